//! Plain data that every room speaks: time, labels, samples, metric families, events, alerts.
//! No I/O and no clock: whoever makes a value passes the time in.

mod alert;
mod batch;
mod distinct;
mod duration;
mod event;
mod exemplar;
mod exponential;
mod family;
mod heartbeat;
mod histogram;
mod labels;
mod line;
mod matcher;
mod name;
mod number;
mod part;
mod pattern;
mod sample;
mod summary;
mod time;
mod units;

pub use alert::{AlertSnapshot, AlertState, EndedAlert, GroupSnapshot, RuleHealth, RuleKind, RuleSnapshot, RulesSnapshot};
pub use batch::{Change, SeriesKey};
pub use distinct::{Distinct, EXACT_MEMBERS_MAX};
pub use duration::{DurationError, PromDuration, format_millis, parse_millis};
pub use event::{GaugeMerge, GaugeOp, Tags, Text};
pub use exemplar::{Exemplar, Exemplars, TRACE_ID_BYTES_MAX, TraceId};
pub use exponential::{EXPONENTIAL_BUCKETS_MAX, Exponential, SCHEMA_MAX, SCHEMA_MIN, Sign, ZERO_THRESHOLD};
pub use family::{Family, MetricType, Origin, Series, Value};
pub use heartbeat::{HEARTBEAT_INTERVAL, HEARTBEAT_TIMESTAMP};
pub use histogram::Histogram;
pub use labels::{Labels, LabelsBuilder, METRIC_NAME};
pub use line::one_line;
pub use matcher::{MatchOp, Matcher};
pub use name::{NameError, is_label_name, is_metric_name, reserved_label, reserved_name, sanitize_label, sanitize_metric};
pub use number::{FloatStyle, format_float, write_float};
pub use part::{Condition, Part};
pub use pattern::{PATTERN_BYTES_MAX, PATTERN_PROGRAM_BYTES_MAX, Pattern, PatternError, Rewrite, Search};
pub use sample::{STALE_BITS, Sample, is_stale, stale_marker};
pub use summary::Summary;
pub use time::Timestamp;
pub use units::{Unit, unit_of_name};
