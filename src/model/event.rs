//! What application processes report, decoded but not yet counted. Text is borrowed from the line it came in.

use std::borrow::Cow;

/// One event of any kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Event<'a> {
    /// A request that began or ended.
    Request(RequestEvent<'a>),
    /// A counter's increment.
    Count(CountEvent<'a>),
    /// A gauge's new value or change.
    Gauge(GaugeEvent<'a>),
    /// One observation of a distribution.
    Histogram(HistogramEvent<'a>),
}

/// Text of an event, borrowed unless it held escapes.
pub type Text<'a> = Cow<'a, str>;

/// Label names and values in the order they came.
pub type Tags<'a> = Vec<(Text<'a>, Text<'a>)>;

/// Whether a request begins or has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RequestPhase {
    /// It starts now; an `end` with the same `request_id` follows.
    Begin,
    /// It is over.
    #[default]
    End,
}

/// `kind: request`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestEvent<'a> {
    /// The service that answers it.
    pub service: Option<Text<'a>>,
    /// Begin or end.
    pub phase: RequestPhase,
    /// Ties the begin to the end.
    pub request_id: Option<Text<'a>>,
    /// `GET`, `POST`, …
    pub method: Option<Text<'a>>,
    /// The route's template (`/items/{id}`), preferred over `path`.
    pub route: Option<Text<'a>>,
    /// The path as requested.
    pub path: Option<Text<'a>>,
    /// The response's status code.
    pub status: Option<u16>,
    /// How long it took, in seconds.
    pub duration_s: Option<f64>,
    /// The request body's size.
    pub bytes_in: Option<f64>,
    /// The response body's size as sent.
    pub bytes_out: Option<f64>,
    /// The response's content encoding (`gzip`, …).
    pub encoding: Option<Text<'a>>,
    /// The response body's size before encoding.
    pub bytes_uncompressed: Option<f64>,
    /// How long it waited before a worker took it, in seconds.
    pub queue_s: Option<f64>,
    /// The class of the failure, where it failed.
    pub error: Option<Text<'a>>,
    /// Tags that the configuration lets become labels.
    pub tags: Tags<'a>,
}

/// `kind: count`, and StatsD's `c`.
#[derive(Clone, Debug, PartialEq)]
pub struct CountEvent<'a> {
    /// The service that counts.
    pub service: Option<Text<'a>>,
    /// The metric's name as sent.
    pub name: Text<'a>,
    /// The increment, already divided by the sampling rate.
    pub value: f64,
    /// The unit as sent.
    pub unit: Option<Text<'a>>,
    /// Labels.
    pub tags: Tags<'a>,
}

/// Whether a gauge is set or changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GaugeOp {
    /// The value replaces the old one.
    #[default]
    Set,
    /// The value is added to the old one.
    Add,
}

/// How the gauges of several live senders become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum GaugeMerge {
    /// The last one written counts.
    #[default]
    Last,
    /// Their sum.
    Sum,
    /// The largest.
    Max,
    /// The smallest.
    Min,
}

/// `kind: gauge`, and StatsD's `g`.
#[derive(Clone, Debug, PartialEq)]
pub struct GaugeEvent<'a> {
    /// The service that measures.
    pub service: Option<Text<'a>>,
    /// The metric's name as sent.
    pub name: Text<'a>,
    /// The value or the change.
    pub value: f64,
    /// Set or add.
    pub op: GaugeOp,
    /// How senders are merged.
    pub merge: GaugeMerge,
    /// The unit as sent.
    pub unit: Option<Text<'a>>,
    /// Labels.
    pub tags: Tags<'a>,
}

/// `kind: histogram`, and StatsD's `ms`, `h` and `d`.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramEvent<'a> {
    /// The service that measures.
    pub service: Option<Text<'a>>,
    /// The metric's name as sent.
    pub name: Text<'a>,
    /// The observed value.
    pub value: f64,
    /// How many observations this one stands for: the inverse of the sampling rate, rounded, at least 1.
    pub weight: u64,
    /// The unit as sent.
    pub unit: Option<Text<'a>>,
    /// Labels.
    pub tags: Tags<'a>,
}
