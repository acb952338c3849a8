//! The `http` section of the configuration.

use super::Address;
use crate::model::PromDuration;

/// The `http` section of the configuration. A change closes the connections that are open.
///
/// The interface only reads: nothing that is asked here changes the agent or its rules.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where to listen: `host:port` for TCP (port 0 takes any free one) or `unix:/path`; several are possible, none
    /// switches the interface off. Anyone who reaches such an address can read everything: beyond loopback, put a
    /// firewall or a proxy with authentication in front. A Unix socket gets mode 0660.
    pub listen: Vec<Address>,
    /// Host names, besides `localhost`, IP addresses and those in `listen`, under which the agent may be asked over TCP,
    /// without port: the name that a scraper uses, for one. Requests under other names get 403, so that a web page
    /// cannot read the agent through a DNS name of its own (DNS rebinding). An origin that is listed here
    /// may ask from a browser. `*` allows every name and origin.
    pub allowed_hosts: Vec<String>,
    /// The most connections at a time over all listeners. More wait in the kernel's queue until one closes.
    pub connections_max: usize,
    /// The most bytes of a request's first line and headers. More get 431.
    pub header_bytes_max: usize,
    /// The most bytes of a request's body. More get 413.
    pub body_bytes_max: usize,
    /// How long a connection may take to send a request's headers, and how long it may stay idle between requests.
    pub header_timeout: PromDuration,
    /// How long an answer may take to make, its wait for a free turn included. Then it is 503. It is also how long a
    /// client may keep an answer from being written before the connection is closed.
    pub request_timeout: PromDuration,
    /// How many queries run at a time, and how many of their large answers are sent at a time. More wait for their turn; after half of
    /// `request_timeout` an answer that is still being sent is broken off when another one needs its place.
    pub query_concurrency: usize,
    /// How many answers of `/metrics` are made at a time. More wait for their turn.
    pub metrics_concurrency: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: vec![Address::default()],
            allowed_hosts: Vec::new(),
            connections_max: 128,
            header_bytes_max: 16 << 10,
            body_bytes_max: 1 << 20,
            header_timeout: PromDuration::from_secs(30),
            request_timeout: PromDuration::from_secs(30),
            query_concurrency: 4,
            metrics_concurrency: 2,
        }
    }
}
