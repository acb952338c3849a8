//! What events are made of. Text is borrowed from the line it came in.

use std::borrow::Cow;

/// Text of an event, borrowed unless it held escapes.
pub type Text<'a> = Cow<'a, str>;

/// Label names and values in the order they came.
pub type Tags<'a> = Vec<(Text<'a>, Text<'a>)>;

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
