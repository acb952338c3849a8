//! Prometheus's text format, version 0.0.4.
//! Source: Prometheus documentation "Exposition formats".

use super::{Format, escape, sample};
use crate::model::{Family, MetricType};

pub(super) fn write(families: &[Family], out: &mut Vec<u8>) {
    for family in families.iter().filter(|family| !family.series.is_empty()) {
        if !family.help.is_empty() {
            out.extend_from_slice(b"# HELP ");
            out.extend_from_slice(family.name.as_bytes());
            out.push(b' ');
            escape::unquoted(&family.help, out);
            out.push(b'\n');
        }
        out.extend_from_slice(b"# TYPE ");
        out.extend_from_slice(family.name.as_bytes());
        out.push(b' ');
        let kind = if family.kind == MetricType::Unknown { "untyped" } else { family.kind.as_str() };
        out.extend_from_slice(kind.as_bytes());
        out.push(b'\n');
        sample::write(family, Format::Text004, out);
    }
}
