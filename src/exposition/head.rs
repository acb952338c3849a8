//! The lines that stand before a family's samples. The formats differ in them more than in anything else.
//! Source: Prometheus documentation "Exposition formats"; the OpenMetrics 1.0 specification, "Text format".

use super::{Format, Names, escape};
use crate::model::{MetricType, unit_of_name};

pub(super) fn write(format: Format, names: &Names, name: &str, kind: MetricType, help: &str, out: &mut Vec<u8>) {
    match format {
        Format::Text004 => {
            write_help(name, help, escape::unquoted, out);
            write_line(b"# TYPE ", name, if kind == MetricType::Unknown { "untyped" } else { kind.as_str() }, out);
        }
        Format::OpenMetrics100 => {
            let unit = unit_of_name(name);
            let (name, kind) = names.describe(name, kind);
            write_help(name, help, escape::quoted, out);
            write_line(b"# TYPE ", name, kind.as_str(), out);
            if let Some(unit) = unit.map(|unit| unit.as_str()).filter(|unit| ends_in_unit(name, unit)) {
                write_line(b"# UNIT ", name, unit, out);
            }
        }
    }
}

fn write_help(name: &str, help: &str, escape: fn(&str, &mut Vec<u8>), out: &mut Vec<u8>) {
    if !help.is_empty() {
        start_line(b"# HELP ", name, out);
        escape(help, out);
        out.push(b'\n');
    }
}

fn write_line(keyword: &[u8], name: &str, what: &str, out: &mut Vec<u8>) {
    start_line(keyword, name, out);
    out.extend_from_slice(what.as_bytes());
    out.push(b'\n');
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
