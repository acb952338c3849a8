//! Plain data that every room speaks: time, labels, samples, metric families, events, alerts.
//! No I/O and no clock: whoever makes a value passes the time in.

mod alert;
mod batch;
mod duration;
mod event;
mod family;
mod labels;
mod matcher;
mod name;
mod number;
mod part;
mod sample;
mod time;
mod units;

pub use alert::{AlertSnapshot, AlertState, GroupSnapshot, RuleHealth, RuleKind, RuleSnapshot, RulesSnapshot};
pub use batch::{Batch, Change, Delta, HistogramDelta, SeriesKey};
pub use duration::{DurationError, PromDuration, format_millis, parse_millis};
pub use event::{CountEvent, Event, GaugeEvent, GaugeMerge, GaugeOp, HistogramEvent, RequestEvent, RequestPhase, Tags, Text};
pub use family::{Family, Histogram, MetricType, Origin, Series, Value};
pub use labels::{Labels, LabelsBuilder, METRIC_NAME};
pub use matcher::{MatchOp, Matcher, MatcherError};
pub use name::{NameError, is_label_name, is_metric_name, reserved_label, reserved_name, sanitize_label, sanitize_metric};
pub use number::{FloatStyle, format_float, write_float};
pub use part::{Condition, Part};
pub use sample::{STALE_BITS, Sample, is_stale, stale_marker};
pub use time::Timestamp;
pub use units::{Unit, unit_of_name};
