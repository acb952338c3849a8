//! Events from application processes over Unix sockets: received, decoded, summed up where they are read, and handed to
//! the registry a batch at a time. Nothing is lost silently: what is not counted is counted by its reason.

#![warn(clippy::indexing_slicing, clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]

mod accept;
mod address;
mod aggregate;
mod cgroup;
mod config;
mod conformance;
mod datagram;
mod dialect;
mod frame;
mod guests;
mod intake;
mod json;
mod kernel_drops;
mod kinds;
mod lines;
mod listener;
mod log;
mod metrics;
mod naming;
mod notes;
mod open;
mod origin;
mod part;
mod peer;
mod probe;
mod quota;
mod reason;
mod room;
mod route;
mod rows;
mod sampling;
mod senders;
mod sequence;
mod session;
mod shape;
mod statsd;
mod task;
mod totals;
mod writer;

pub use address::{InternetAddress, InternetAddressError};
pub use config::{Allow, Config, ConfigError, DatagramConfig, FrameBytes, MAX_FRAME, Mode, SocketConfig, TcpConfig, UdpConfig};
pub use conformance::{Conformance, conformance};
pub use dialect::{BareTags, Dialect, TagStyle};
pub use kinds::{ALL as KINDS, Field, Group, Instrument, Kind, Takes};
pub use listener::{ListenError, Passed, Sockets};
#[doc(hidden)]
pub use probe::{Counts, Probe, Sender, Transport, payloads};
pub use reason::Refusal;
pub use task::{Ingest, run};

use crate::telemetry::MetricDoc;

/// The metrics of ingest's own that live in the registry: what the documentation says of them.
pub fn described() -> impl Iterator<Item = MetricDoc> {
    let doc = |name: &str, kind, help: &str, labels: &[&str]| {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        MetricDoc { name: name.to_owned(), kind, help: help.to_owned(), labels }
    };
    let of_senders = senders::DESCRIBED.into_iter().map(move |((name, kind, help), labels)| doc(name, kind, help, labels));
    of_senders.chain(totals::DESCRIBED.into_iter().map(move |(name, kind, help, label)| doc(name, kind, help, &[label])))
}
