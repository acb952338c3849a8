//! OpenMetrics text, version 1.0.0.
//! Source: the OpenMetrics 1.0 specification, "Text format" and "Metric types".
//!
//! A counter's family has no `_total` in its name, only its samples have. Where that shorter name would meet another
//! family, or a sample name that another family may use, the document would be invalid; the counter is then exposed as
//! `unknown` under its full name. So is a counter that does not end in `_total`. The sample's name never changes: what
//! is stored behind a scrape stays the same, only the type hint is lost.

use super::{Format, escape, sample};
use crate::model::{Family, MetricType};

pub(super) fn write(families: &[Family], out: &mut Vec<u8>) {
    for family in families.iter().filter(|family| !family.series.is_empty()) {
        let (name, kind) = describe(family, families);
        if !family.help.is_empty() {
            start_line(b"# HELP ", name, out);
            escape::quoted(&family.help, out);
            out.push(b'\n');
        }
        start_line(b"# TYPE ", name, out);
        out.extend_from_slice(kind.as_str().as_bytes());
        out.push(b'\n');
        if let Some(unit) = family.unit.map(|unit| unit.as_str()).filter(|unit| ends_in_unit(name, unit)) {
            start_line(b"# UNIT ", name, out);
            out.extend_from_slice(unit.as_bytes());
            out.push(b'\n');
        }
        sample::write(family, Format::OpenMetrics100, out);
    }
    out.extend_from_slice(b"# EOF\n");
}

fn start_line(keyword: &[u8], name: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(keyword);
    out.extend_from_slice(name.as_bytes());
    out.push(b' ');
}

/// The unit has to be the name's last word; a counter under its full name ends in `_total` instead.
fn ends_in_unit(name: &str, unit: &str) -> bool {
    name.strip_suffix(unit).is_some_and(|rest| rest.ends_with('_'))
}

/// The name and type that a family has in OpenMetrics.
fn describe<'a>(family: &'a Family, all: &[Family]) -> (&'a str, MetricType) {
    match (family.kind, family.name.strip_suffix("_total")) {
        (MetricType::Counter, Some(short)) if !short.is_empty() && !is_taken(short, all) => (short, MetricType::Counter),
        (MetricType::Counter, _) => (&family.name, MetricType::Unknown),
        (kind, _) => (&family.name, kind),
    }
}

/// Whether a counter may not be called `short`: the name belongs to another family; or it is the name of a sample that
/// another family has or may have (`_created` may stand beside every counter and histogram); or its own `_created`
/// would be another family.
fn is_taken(short: &str, all: &[Family]) -> bool {
    let find = |name: &str| all.binary_search_by(|family| (*family.name).cmp(name)).ok().and_then(|at| all.get(at));
    let is = |name: &str, kind: MetricType| find(name).is_some_and(|family| family.kind == kind);
    let sample_of_histogram = ["_bucket", "_sum", "_count", "_created"]
        .iter()
        .any(|suffix| short.strip_suffix(suffix).is_some_and(|owner| is(owner, MetricType::Histogram)));
    let created_of_counter = short.strip_suffix("_created").is_some_and(|owner| is(&format!("{owner}_total"), MetricType::Counter));
    find(short).is_some() || sample_of_histogram || created_of_counter || find(&format!("{short}_created")).is_some()
}
