//! What the scenarios stand on: an agent that is ended when its test ends, its peers, HTTP, and waits that are bounded.

mod agent;
mod alertmanager;
mod episodes;
mod exposition;
mod http;
mod peer;
mod queues;
mod receiver;
mod tmpfs;
mod wait;

pub(crate) use agent::{Agent, Setup, escape};
pub(crate) use alertmanager::Alertmanager;
pub(crate) use episodes::{Asked, compare, recorded, rehearsed};
pub(crate) use exposition::Exposition;
pub(crate) use http::{Answer, get, post, post_form};
pub(crate) use peer::{Haproxy, Peer, Prometheus, busy_loop, node, node_exporter, promtool, python, run};
pub(crate) use queues::{QUEUES, await_told, fire, firing_since, resolve};
pub(crate) use receiver::{Receiver, Reply, Told};
pub(crate) use tmpfs::Tmpfs;
pub(crate) use wait::{free_port, until, until_within};
