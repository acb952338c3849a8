//! Metric lines: `name:value|type|@rate|#tag:value,…`.

use super::super::dialect::{Dialect, Language};
use super::super::shape::Effect;
use super::super::{Refusal, sampling};
use super::name::clean;
use super::tags::{Tagging, divide};
use crate::model::{GaugeOp, MetricType, Tags, Text};

/// A metric's type, as StatsD has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ingest) enum Kind {
    /// `c`
    Count,
    /// `g`
    Gauge,
    /// `ms`
    Milliseconds,
    /// `h`, `d`
    Distribution,
    /// `s`
    Set,
}

impl Kind {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "c" => Self::Count,
            "g" => Self::Gauge,
            "ms" => Self::Milliseconds,
            "h" | "d" => Self::Distribution,
            "s" => Self::Set,
            _ => return None,
        })
    }

    /// What it becomes.
    pub(in crate::ingest) const fn metric(self) -> MetricType {
        match self {
            Self::Count => MetricType::Counter,
            Self::Gauge | Self::Set => MetricType::Gauge,
            Self::Milliseconds | Self::Distribution => MetricType::Histogram,
        }
    }

    /// The unit that its values are in.
    pub(in crate::ingest) fn unit(self) -> Option<&'static str> {
        (self == Self::Milliseconds).then_some("ms")
    }
}

/// A line before its values are read.
#[derive(Debug, PartialEq)]
pub(in crate::ingest) struct Line<'a> {
    /// What stands in front of the colon and behind it, as sent.
    pub(in crate::ingest) raw: (&'a str, &'a str),
    pub(in crate::ingest) kind: Kind,
    pub(in crate::ingest) name: Text<'a>,
    /// One value, or several with colons between them; of a set one member, whatever is in it.
    values: &'a str,
    rate: f64,
    pub(in crate::ingest) service: Option<&'a str>,
    pub(in crate::ingest) tags: Tags<'a>,
    /// How many tags had a key that stood there before.
    pub(in crate::ingest) repeated: u32,
    /// When the sender says that it was so, in Unix seconds; only of counts and gauges.
    pub(in crate::ingest) stamp: Option<i64>,
    /// A sign in front of a gauge's value makes it a change.
    signed: bool,
    /// It will hardly come again as it is, but for the value: there is a time in it.
    unique: bool,
}

/// What one value does to its series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::ingest) enum Reading<'a> {
    /// It is added to a counter.
    Rise(f64),
    /// A gauge is set or changed.
    Level(f64, GaugeOp),
    /// A gauge had this value at a time, in Unix seconds.
    Stamped(f64, i64),
    /// It was observed, and stands for so many observations.
    Observation(f64, u64),
    /// A set's member.
    Member(&'a str),
}

/// Reads what stands behind a name's colon, all but the values.
///
/// # Errors
/// When it is no metric.
pub(super) fn decode<'a>(name: &'a str, rest: &'a str, language: Language) -> Result<Line<'a>, Refusal> {
    let raw = (name, rest);
    let (values, fields) = rest.split_once('|').ok_or(Refusal::Malformed)?;
    // A bar in front of the first colon: what looks like the name is no name.
    if name.contains('|') {
        return Err(Refusal::Malformed);
    }
    let named = divide(name, language)?;
    let statsd = language.dialect == Dialect::Statsd;
    let name = if statsd { clean(named.name) } else { named.name };
    if name.is_empty() {
        return Err(Refusal::EmptyName);
    }
    let mut fields = fields.split('|');
    let kind = fields.next().and_then(Kind::parse).ok_or(Refusal::UnknownType)?;
    let (mut rate, mut tagging, mut stamp, mut unique) = (1.0, None, None, false);
    // Fields come in any order, and a later one replaces an earlier one. `c:`, `e:` and `card:` say from which container a
    // line comes; they and what is not known are passed over, whatever is in them.
    for field in fields {
        if let Some(text) = field.strip_prefix('@') {
            rate = text.parse().map_err(|_| Refusal::BadRate)?;
        } else if let Some(tags) = field.strip_prefix('#') {
            tagging = Some(Tagging::of_field(tags, language.bare_tags));
        } else if let Some(text) = field.strip_prefix('T') {
            unique = true;
            if matches!(kind, Kind::Count | Kind::Gauge) {
                stamp = Some(text.parse().ok().filter(|seconds| *seconds >= 1).ok_or(Refusal::BadTimestamp)?);
            }
        }
    }
    if !matches!(kind, Kind::Gauge | Kind::Set) {
        sampling::inverse(rate)?;
    }
    // A count with a time is complete already: the client has done the sampling's arithmetic.
    if stamp.is_some() {
        rate = 1.0;
    }
    let Tagging { service, tags, repeated } = match (named.tagging, tagging) {
        (Some(_), Some(field)) if field != Tagging::default() => return Err(Refusal::MixedTags),
        (tagging, field) => tagging.or(field).unwrap_or_default(),
    };
    Ok(Line { raw, kind, name, values, rate, service, tags, repeated, stamp, signed: statsd, unique })
}

/// Divides the first of several parts with types of their own (`1|c:2|c|@0.1`) from the others. A colon ends a part behind
/// its type or its rate; in front of the type it stands between packed values, and in any other field it is text.
pub(in crate::ingest) fn part(rest: &str) -> (&str, Option<&str>) {
    let mut start = 0;
    for (index, field) in rest.split('|').enumerate() {
        let ends = index == 1 || (index > 1 && field.starts_with('@'));
        if let Some(colon) = field.find(':').filter(|_| ends)
            && let (Some(part), Some(others)) = (rest.get(..start + colon), rest.get(start + colon + 1..))
        {
            return (part, Some(others));
        }
        start += field.len() + 1;
    }
    (rest, None)
}

impl<'a> Line<'a> {
    /// What another line like this one, but for the value, would do: by how much the value is multiplied before the unit
    /// comes into it, and what happens with it. `None` for a line that will hardly come again.
    pub(in crate::ingest) fn recurrent(&self) -> Option<(f64, Effect)> {
        let recurrent = match self.kind {
            Kind::Count => (sampling::inverse(self.rate).ok()?, Effect::Rise),
            Kind::Gauge if self.signed => (1.0, Effect::SetOrChange),
            Kind::Gauge => (1.0, Effect::Set),
            Kind::Milliseconds | Kind::Distribution => (1.0, Effect::Observe(u32::try_from(sampling::weight(self.rate).ok()?).ok()?)),
            Kind::Set => (1.0, Effect::Join),
        };
        (!self.unique).then_some(recurrent)
    }

    /// Hands on what each value does. One that is not finite is refused by itself; one that is no number refuses the line
    /// before any is handed on.
    ///
    /// # Errors
    /// When a value is no number, or there is none.
    pub(in crate::ingest) fn readings(&self, mut sink: impl FnMut(Result<Reading<'a>, Refusal>)) -> Result<(), Refusal> {
        if self.kind == Kind::Set {
            if self.values.is_empty() {
                return Err(Refusal::BadValue);
            }
            sink(Ok(Reading::Member(self.values)));
            return Ok(());
        }
        let members = || self.values.split(':').filter(|member| !member.is_empty());
        if members().any(|member| member.parse::<f64>().is_err()) || members().next().is_none() {
            return Err(Refusal::BadValue);
        }
        let times = if self.kind == Kind::Count { sampling::inverse(self.rate)? } else { 1.0 };
        let weight = if self.kind.metric() == MetricType::Histogram { sampling::weight(self.rate)? } else { 1 };
        for (text, number) in members().filter_map(|member| Some((member, member.parse::<f64>().ok()?))) {
            if !number.is_finite() {
                sink(Err(Refusal::NotFinite));
                continue;
            }
            sink(Ok(match (self.kind, self.stamp) {
                (Kind::Count, _) => Reading::Rise(number * times),
                (Kind::Gauge, Some(seconds)) => Reading::Stamped(number, seconds),
                (Kind::Gauge, None) if self.signed && text.starts_with(['+', '-']) => Reading::Level(number, GaugeOp::Add),
                (Kind::Gauge, None) => Reading::Level(number, GaugeOp::Set),
                (Kind::Milliseconds | Kind::Distribution | Kind::Set, _) => Reading::Observation(number, weight),
            }));
        }
        Ok(())
    }
}
