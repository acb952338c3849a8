//! StatsD and DogStatsD metric lines: `name:value|type|@rate|#tag:value,…`.
//! Sources: StatsD `docs/metric_types.md`; Datadog documentation "Datagram format and shell usage" (v1.0 to v1.6) and
//! the agent's `comp/dogstatsd/server/impl/parse*.go`.

use super::shape::Effect;
use super::{Refusal, sampling};
use crate::model::{CountEvent, Event, GaugeEvent, GaugeMerge, GaugeOp, HistogramEvent, Tags, Text};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Count,
    Gauge,
    Milliseconds,
    Distribution,
}

/// A line before its values are read.
#[derive(Debug, PartialEq)]
pub(super) struct Line<'a> {
    kind: Type,
    name: &'a str,
    /// One value, or several with colons between them.
    values: &'a str,
    rate: f64,
    service: Option<&'a str>,
    tags: Tags<'a>,
    /// The sender has stamped it with a time.
    stamped: bool,
}

/// Reads a line, all but its values.
///
/// # Errors
/// When it is no metric, or none that is counted.
pub(super) fn decode(line: &str) -> Result<Line<'_>, Refusal> {
    if line.starts_with("_e{") || line.starts_with("_sc|") {
        return Err(Refusal::UnsupportedKind);
    }
    let (head, fields) = line.split_once('|').ok_or(Refusal::Malformed)?;
    let (name, values) = head.split_once(':').ok_or(Refusal::Malformed)?;
    if name.is_empty() {
        return Err(Refusal::EmptyName);
    }
    let mut fields = fields.split('|');
    let kind = match fields.next().unwrap_or("") {
        "c" => Type::Count,
        "g" => Type::Gauge,
        "ms" => Type::Milliseconds,
        "h" | "d" => Type::Distribution,
        "s" => return Err(Refusal::UnsupportedType),
        _ => return Err(Refusal::UnknownType),
    };
    let mut decoded = Line { kind, name, values, rate: 1.0, service: None, tags: Tags::new(), stamped: false };
    // Fields come in any order, a later one replaces an earlier one, unknown ones (`c:`, `e:`, `card:`, …) are passed over.
    for field in fields {
        if let Some(rate) = field.strip_prefix('@') {
            decoded.rate = rate.parse().map_err(|_| Refusal::BadRate)?;
        } else if let Some(tags) = field.strip_prefix('#') {
            decoded.read_tags(tags);
        } else if let Some(stamp) = field.strip_prefix('T') {
            stamp.parse::<i64>().ok().filter(|seconds| *seconds >= 1).ok_or(Refusal::BadTimestamp)?;
            decoded.stamped = true;
        }
    }
    sampling::inverse(decoded.rate)?;
    // A count with a time is complete already: the client has done the sampling's arithmetic.
    if decoded.stamped && kind == Type::Count {
        decoded.rate = 1.0;
    }
    Ok(decoded)
}

impl<'a> Line<'a> {
    fn read_tags(&mut self, tags: &'a str) {
        self.tags.clear();
        self.service = None;
        for tag in tags.split(',').filter(|tag| !tag.is_empty()) {
            let (name, value) = tag.split_once(':').unwrap_or((tag, "true"));
            match name {
                // The agent takes these for itself; the host is known better here.
                "" | "host" => {}
                _ if name.starts_with("dd.internal.") => {}
                // Datadog's "unified service tagging" names the sender's service with this tag.
                "service" => self.service = Some(value),
                _ => self.tags.push((Text::Borrowed(name), Text::Borrowed(value))),
            }
        }
    }

    /// What another line like this one, but for the value, would do: by how much the value is multiplied before the unit
    /// comes into it, and what happens with it. `None` for a line that will hardly come again: it has a time in it.
    pub(super) fn recurrent(&self) -> Option<(f64, Effect)> {
        let recurrent = match self.kind {
            Type::Count => (sampling::inverse(self.rate).ok()?, Effect::Rise),
            Type::Gauge => (1.0, Effect::Set),
            Type::Milliseconds | Type::Distribution => (1.0, Effect::Observe(sampling::weight(self.rate).ok()?)),
        };
        (!self.stamped).then_some(recurrent)
    }

    /// Hands on one event a value, the same event with another value each time. A value that is not finite is refused by
    /// itself; one that is no number refuses the line before any is handed on.
    ///
    /// # Errors
    /// When a value is no number, or there is none.
    pub(super) fn events(self, mut sink: impl FnMut(Result<&Event<'a>, Refusal>)) -> Result<(), Refusal> {
        let members = || self.values.split(':').filter(|member| !member.is_empty());
        let mut count = 0_usize;
        for member in members() {
            member.parse::<f64>().map_err(|_| Refusal::BadValue)?;
            count += 1;
        }
        if count == 0 {
            return Err(Refusal::BadValue);
        }
        let (kind, rate) = (self.kind, self.rate);
        let values = members().filter_map(|member| member.parse::<f64>().ok());
        let mut event = event(kind, self.name, self.service, self.tags, rate)?;
        let times = sampling::inverse(rate)?;
        for number in values {
            if !number.is_finite() {
                sink(Err(Refusal::NotFinite));
                continue;
            }
            match &mut event {
                Event::Count(count) => count.value = number * times,
                Event::Gauge(gauge) => gauge.value = number,
                Event::Histogram(histogram) => histogram.value = number,
                Event::Request(_) => {}
            }
            sink(Ok(&event));
        }
        Ok(())
    }
}

/// The event that a line's values fill in. The sign of a gauge belongs to its value: DogStatsD has no relative gauges.
fn event<'a>(kind: Type, name: &'a str, service: Option<&'a str>, tags: Tags<'a>, rate: f64) -> Result<Event<'a>, Refusal> {
    let (service, name, value) = (service.map(Text::Borrowed), Text::Borrowed(name), 0.0);
    Ok(match kind {
        Type::Count => Event::Count(CountEvent { service, name, value, unit: None, tags }),
        Type::Gauge => {
            let (op, merge) = (GaugeOp::Set, GaugeMerge::Last);
            Event::Gauge(GaugeEvent { service, name, value, op, merge, unit: None, tags })
        }
        Type::Milliseconds | Type::Distribution => {
            let unit = (kind == Type::Milliseconds).then_some(Text::Borrowed("ms"));
            Event::Histogram(HistogramEvent { service, name, value, weight: sampling::weight(rate)?, unit, tags })
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `name value[*weight]unit tags` of every event of a line.
    fn read(line: &str) -> Result<Vec<String>, Refusal> {
        let show = |tags: &Tags<'_>| tags.iter().map(|(name, value)| format!(" {name}={value}")).collect::<String>();
        let mut shown = Vec::new();
        decode(line)?.events(|event| {
            shown.push(match event {
                Ok(Event::Count(event)) => format!("{}+{}{}", event.name, event.value, show(&event.tags)),
                Ok(Event::Gauge(event)) => format!("{}={}{}", event.name, event.value, show(&event.tags)),
                Ok(Event::Histogram(event)) => {
                    let unit = event.unit.as_deref().unwrap_or("");
                    format!("{}~{}{unit}*{}{}", event.name, event.value, event.weight, show(&event.tags))
                }
                Ok(Event::Request(_)) => "request".to_owned(),
                Err(reason) => reason.as_str().to_owned(),
            });
        })?;
        Ok(shown)
    }

    #[test]
    fn every_type_is_read() {
        for (line, expected) in [
            ("page.views:1|c", "page.views+1"),
            ("a:-2.5e1|g", "a=-25"),
            ("a:+5|g", "a=5"),
            ("a:320|ms", "a~320ms*1"),
            ("a:0.5|h|@0.1", "a~0.5*10"),
            ("a:3|d|@2", "a~3*1"),
            ("a:2|c|@0.5", "a+4"),
            ("a:2|g|@0.5", "a=2"),
            ("a:2|c|T1656581400|@0.5", "a+2"),
            ("a:1|c|#env:prod,flag,url:http://x:80", "a+1 env=prod flag=true url=http://x:80"),
        ] {
            assert_eq!(read(line), Ok(vec![expected.to_owned()]), "{line}");
        }
    }

    #[test]
    fn packed_values_are_events_of_their_own() {
        assert_eq!(read("a:1:2::3|h|@0.5"), Ok(["a~1*2", "a~2*2", "a~3*2"].map(str::to_owned).to_vec()));
        assert_eq!(read("a:1:x|h"), Err(Refusal::BadValue), "one bad member refuses all");
        assert_eq!(read("a:1:nan:inf:2|g"), Ok(["a=1", "not_finite", "not_finite", "a=2"].map(str::to_owned).to_vec()));
    }

    #[test]
    fn optional_fields_come_in_any_order_and_unknown_ones_are_skipped() {
        let expected = Ok(vec!["a+4 k=v".to_owned()]);
        for line in [
            "a:2|c|@0.5|#k:v",
            "a:2|c|#k:v|@0.5",
            "a:2|c||card:low|c:ci-abc|e:it-false,cn-x|#k:v|@0.5|future",
            "a:2|c|#old:x|@0.1|#k:v|@0.5",
        ] {
            assert_eq!(read(line), expected, "{line}");
        }
    }

    #[test]
    fn tags_for_the_agent_are_consumed() {
        let line = decode("a:1|c|#host:h,dd.internal.entity_id:x,service:shop,,:v,k:v").expect("a metric");
        assert_eq!((line.service, line.tags), (Some("shop"), vec![("k".into(), "v".into())]));
    }

    #[test]
    fn every_refusal_has_its_reason() {
        for (line, reason) in [
            ("hello", Refusal::Malformed),
            ("a|c", Refusal::Malformed),
            (":1|c", Refusal::EmptyName),
            ("a:|c", Refusal::BadValue),
            ("a:x|c", Refusal::BadValue),
            ("a:1|", Refusal::UnknownType),
            ("a:1|q", Refusal::UnknownType),
            ("a:x:y|s", Refusal::UnsupportedType),
            ("a:1|c|@x", Refusal::BadRate),
            ("a:1|c|@0", Refusal::BadRate),
            ("a:1|c|@-1", Refusal::BadRate),
            ("a:1|c|T0", Refusal::BadTimestamp),
            ("a:1|c|T1.5", Refusal::BadTimestamp),
            ("_e{1,1}:a|b", Refusal::UnsupportedKind),
            ("_sc|db|0", Refusal::UnsupportedKind),
        ] {
            assert_eq!(read(line), Err(reason), "{line}");
        }
        assert!(read("_score:1|c").is_ok(), "only a whole prefix names a service check");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(line in ".{0,60}", fields in "[:|@#,a-z0-9.T+-]{0,40}") {
            let _ = read(&line);
            let _ = read(&format!("a:1|{fields}"));
        }
    }
}
