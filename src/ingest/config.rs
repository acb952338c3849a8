//! The `ingest` section of the configuration.

use std::borrow::Cow;
use std::path::PathBuf;

use super::address::InternetAddress;
use super::dialect::{BareTags, Dialect, TagStyle};
use crate::model::PromDuration;

/// The most bytes of a line, a frame or a datagram by default: what a sender may count on.
pub const MAX_FRAME: usize = 65_536;

/// Events from application processes: the sockets they come over and the limits they are held to.
#[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The stream socket. Its default path is `events.sock` in the folder for sockets.
    pub stream: SocketConfig,
    /// The datagram socket. Its default path is `events.dgram.sock` in the folder for sockets.
    pub datagram: DatagramConfig,
    /// Who may send. A change closes the connections that are open.
    pub allow: Allow,
    /// Whether series of a sender that is known to belong to a systemd unit get its name as the label `unit`.
    pub unit_label: bool,
    /// StatsD over UDP.
    pub udp: UdpConfig,
    /// StatsD over TCP.
    pub tcp: TcpConfig,
    /// The label `service_name` of events that name no service themselves; empty for none.
    pub service: String,
    /// Keys of `tags` that become labels of what events of a kind of its own measure (requests, queries, operations, …);
    /// others are passed over there. (On `count`, `gauge`, `histogram` and StatsD lines every tag is a label.)
    pub event_tags: Vec<String>,
    /// What becomes of a tag without a value on a StatsD line: `label` makes its value `true`, `drop` passes it over.
    pub bare_tags: BareTags,
    /// How far ahead of the agent's clock a time stamp on a StatsD line may be.
    pub clock_slack: PromDuration,
    /// How long a StatsD set collects members; the gauge shows how many the last whole interval had. Intervals begin at
    /// multiples of this in Unix time.
    pub set_interval: PromDuration,
    /// The most bytes of a line, a length-prefixed frame or a datagram. A change reaches new connections.
    pub frame_bytes_max: FrameBytes,
    /// The most stream connections at a time; more wait in the kernel's queue. A change closes the
    /// connections that are open, once what they have sent is read.
    pub connections_max: usize,
    /// The most names of senders under which losses are counted and numbers are followed; more are counted together, as
    /// `__other__`.
    pub senders_max: usize,
    /// The most bytes a second that one sender may send, over all its connections and datagrams; 0 for any number. A connection is
    /// not read meanwhile, a datagram is dropped.
    pub bytes_per_second_max: usize,
    /// How many bytes a sender may save up and send at once, where `bytes_per_second_max` says how many it may.
    pub burst_bytes_max: usize,
    /// The most new series that one sender may make; it gets them back evenly over a day.
    pub series_per_sender_max: usize,
    /// How long a connection may be silent before the agent closes it; 0 for ever.
    pub idle_timeout: PromDuration,
    /// The most labels of a series.
    pub labels_max: usize,
    /// The most bytes of a label's value.
    pub label_value_bytes_max: usize,
    /// The most bytes of a metric's or a label's name.
    pub name_bytes_max: usize,
    /// How long a session collects changes before it hands them to the registry.
    pub flush_interval: PromDuration,
    /// How many series a session may change before it hands the changes over early.
    pub flush_series: usize,
    /// How many bytes a session may remember of the names and series of its sender; beyond, it begins anew.
    pub session_bytes_max: usize,
    /// How many bytes all sessions may remember together; beyond, those that remember more than 32 KiB begin anew.
    pub sessions_bytes_max: usize,
    /// The most requests of one sender that may have begun and not ended.
    pub open_requests_max: usize,
    /// After this time a request that has begun no longer counts as active, even if its end never came.
    pub open_request_timeout: PromDuration,
    /// The most tasks of one sender that may be pending, running or retrying.
    pub open_tasks_max: usize,
    /// After this time without an event of its own a task no longer counts in any state.
    pub open_task_timeout: PromDuration,
    /// After this time without an event of its own a running task counts as stalled.
    pub task_stalled_after: PromDuration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            stream: SocketConfig::default(),
            datagram: DatagramConfig::default(),
            allow: Allow::default(),
            unit_label: false,
            udp: UdpConfig::default(),
            tcp: TcpConfig::default(),
            service: String::new(),
            event_tags: Vec::new(),
            bare_tags: BareTags::default(),
            clock_slack: PromDuration::from_secs(60),
            set_interval: PromDuration::from_secs(10),
            frame_bytes_max: FrameBytes(MAX_FRAME),
            connections_max: 1024,
            senders_max: 1000,
            bytes_per_second_max: 0,
            burst_bytes_max: 16 << 20,
            series_per_sender_max: 50_000,
            idle_timeout: PromDuration::from_secs(0),
            labels_max: 32,
            label_value_bytes_max: 1024,
            name_bytes_max: 256,
            flush_interval: PromDuration::from_millis(100),
            flush_series: 4096,
            session_bytes_max: 16 << 20,
            sessions_bytes_max: 128 << 20,
            open_requests_max: 10_000,
            open_request_timeout: PromDuration::from_secs(900),
            open_tasks_max: 10_000,
            open_task_timeout: PromDuration::from_secs(86_400),
            task_stalled_after: PromDuration::from_secs(600),
        }
    }
}

/// One Unix socket. A change closes the connections that are open, once what they have sent is read. Where systemd passes a
/// socket of this kind, all of this but the dialect and the tag styles is systemd's to say, and has no effect.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SocketConfig {
    /// Whether to listen at all.
    pub enabled: bool,
    /// Where the socket is; its folder is made when it is missing. Default: see above.
    pub path: Option<PathBuf>,
    /// Who may send, as octal digits; `w` is what it takes.
    pub mode: Mode,
    /// The user that the socket belongs to, by name or number. Default: the agent's own.
    pub owner: Option<String>,
    /// The group that the socket belongs to, by name or number. Default: the agent's own.
    pub group: Option<String>,
    /// `dogstatsd` or `statsd`: with the latter a gauge's value with a sign in front is a change, `name:1|c:2|c` is two values
    /// with a type each, and names are cleaned as StatsD's own server does it.
    pub dialect: Dialect,
    /// Ways of writing tags into a metric's name that are understood beside DogStatsD's field: `influxdb` (`name,k=v`),
    /// `librato` (`name#k=v`), `signalfx` (`name[k=v]`).
    pub tag_styles: Vec<TagStyle>,
}

impl Default for SocketConfig {
    fn default() -> Self {
        Self { enabled: true, path: None, mode: Mode(0o660), owner: None, group: None, dialect: Dialect::default(), tag_styles: Vec::new() }
    }
}

/// The datagram socket. A change closes the connections that are open, once what they have sent is read. Where systemd passes
/// one, its place and access are systemd's to say.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DatagramConfig {
    /// Whether to listen at all.
    pub enabled: bool,
    /// Where the socket is; its folder is made when it is missing. Default: see above.
    pub path: Option<PathBuf>,
    /// Who may send, as octal digits; `w` is what it takes.
    pub mode: Mode,
    /// The user that the socket belongs to, by name or number. Default: the agent's own.
    pub owner: Option<String>,
    /// The group that the socket belongs to, by name or number. Default: the agent's own.
    pub group: Option<String>,
    /// Whether the kernel is asked which process each datagram comes from. Without, all datagrams come from one sender, of
    /// which nothing is known.
    pub credentials: bool,
    /// The most processes that are told apart at a time; beyond, the one that has been silent for longest is forgotten.
    pub senders_max: usize,
    /// `dogstatsd` or `statsd`, as of the stream socket.
    pub dialect: Dialect,
    /// Ways of writing tags into a metric's name, as of the stream socket.
    pub tag_styles: Vec<TagStyle>,
}

impl Default for DatagramConfig {
    fn default() -> Self {
        let SocketConfig { enabled, path, mode, owner, group, dialect, tag_styles } = SocketConfig::default();
        Self { enabled, path, mode, owner, group, credentials: true, senders_max: 512, dialect, tag_styles }
    }
}

impl DatagramConfig {
    /// What it has in common with the other sockets.
    pub(super) fn socket(&self) -> SocketConfig {
        let Self { enabled, path, mode, owner, group, dialect, tag_styles, .. } = self.clone();
        SocketConfig { enabled, path, mode, owner, group, dialect, tag_styles }
    }
}

/// UDP sockets for StatsD lines; JSON is not spoken here. Whoever reaches the address may send, and may write what address it
/// likes into a datagram: listen on `127.0.0.1` or `[::1]` unless the network is trusted. A change closes all sockets of events and
/// opens them anew.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UdpConfig {
    /// Addresses to listen on, such as `127.0.0.1:8125`; none for no listening.
    pub listen: Vec<InternetAddress>,
    /// `statsd` or `dogstatsd`, as of the stream socket.
    pub dialect: Dialect,
    /// Ways of writing tags into a metric's name, as of the stream socket.
    pub tag_styles: Vec<TagStyle>,
    /// How many bytes of datagrams, with their management, may wait in the kernel for each socket. Beyond, it drops them. It gives no
    /// more than `net.core.rmem_max` to an agent that is not privileged, and the log says so.
    pub receive_buffer_bytes: usize,
}

impl Default for UdpConfig {
    fn default() -> Self {
        Self { listen: Vec::new(), dialect: Dialect::Statsd, tag_styles: Vec::new(), receive_buffer_bytes: 4 << 20 }
    }
}

/// TCP sockets for StatsD lines, each ended by a line feed; JSON is not spoken here. Whoever reaches the address may send: listen on
/// `127.0.0.1` or `[::1]` unless the network is trusted. A change closes all sockets of events and opens them anew.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TcpConfig {
    /// Addresses to listen on, such as `127.0.0.1:8125`; none for no listening.
    pub listen: Vec<InternetAddress>,
    /// `statsd` or `dogstatsd`, as of the stream socket.
    pub dialect: Dialect,
    /// Ways of writing tags into a metric's name, as of the stream socket.
    pub tag_styles: Vec<TagStyle>,
}

impl Default for TcpConfig {
    fn default() -> Self {
        Self { listen: Vec::new(), dialect: Dialect::Statsd, tag_styles: Vec::new() }
    }
}

/// Who may send over Unix sockets, as the kernel tells of the process at the other end; beside the mode of the socket's file. Where
/// both lists are empty, everyone may. (Of UDP and TCP nobody can tell; they are not asked.)
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Allow {
    /// Users, by name or number.
    pub users: Vec<String>,
    /// Groups, by name or number: who sends as such a group, and its members in the database of groups.
    pub groups: Vec<String>,
}

impl Allow {
    /// True when everyone may.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.users.is_empty() && self.groups.is_empty()
    }
}

/// A limit on frames that can be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(try_from = "usize", into = "usize")]
#[schemars(with = "usize")]
pub struct FrameBytes(usize);

impl FrameBytes {
    /// As a number.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0
    }
}

impl TryFrom<usize> for FrameBytes {
    type Error = ConfigError;
    /// A length prefix is told from text by a zero third or fourth byte, so a frame stays below 2^24 bytes.
    fn try_from(bytes: usize) -> Result<Self, ConfigError> {
        if (512..=16_000_000).contains(&bytes) { Ok(Self(bytes)) } else { Err(ConfigError::FrameBytes(bytes)) }
    }
}

impl From<FrameBytes> for usize {
    fn from(bytes: FrameBytes) -> Self {
        bytes.0
    }
}

/// Permissions of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(u32);

impl Mode {
    /// As `chmod` takes it.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }
}

/// Why a value of this section is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Not permissions.
    #[error("{0:?} is not a file mode of three or four octal digits, such as \"0660\"")]
    Mode(String),
    /// Not a limit that can be kept.
    #[error("{0} is not between 512 and 16000000 bytes")]
    FrameBytes(usize),
}

impl std::str::FromStr for Mode {
    type Err = ConfigError;
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let refused = || ConfigError::Mode(text.to_owned());
        if !(3..=4).contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(refused());
        }
        u32::from_str_radix(text, 8).ok().filter(|bits| *bits <= 0o777).map(Self).ok_or_else(refused)
    }
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl serde::Serialize for Mode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Mode {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Mode {
    fn schema_name() -> Cow<'static, str> {
        "Mode".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "File permissions as octal digits, such as \"0660\".",
            "pattern": "^0?[0-7]{3}$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_octal_with_or_without_quotes() {
        for text in ["mode: \"0620\"", "mode: 0620", "mode: 620"] {
            assert_eq!(serde_yaml::from_str::<SocketConfig>(text).expect(text).mode, Mode(0o620), "{text}");
        }
        for text in ["mode: 0888", "mode: \"rw\"", "mode: \"4755\"", "mode: \"66\""] {
            assert!(serde_yaml::from_str::<SocketConfig>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_defaults_read_back_as_written() {
        let text = serde_yaml::to_string(&Config::default()).expect("writes");
        assert_eq!(serde_yaml::from_str::<Config>(&text).expect("reads"), Config::default());
    }

    #[test]
    fn a_frame_limit_that_breaks_the_framing_is_refused() {
        assert!(serde_yaml::from_str::<Config>("frame_bytes_max: 16777216").is_err());
        assert!(serde_yaml::from_str::<Config>("frame_bytes_max: 100").is_err());
    }
}
