//! Go's `printf`, `print` and `println` for the values that templates have.
//! Source: the documentation of Go's package fmt; its error forms (`%!d(float64=1)`) are printed as Go prints them.

use super::eval::TEXT_BYTES_MAX;
use super::value::{Root, Value};
use super::verb::{self, Spec};
use crate::model::Labels;

pub(super) use super::verb::quote;

/// Widths and precisions beyond this are refused, as Go refuses those beyond a million. Rust's own end at 65,535.
const WIDTH_MAX: i64 = 10_000;

/// `fmt.Sprintf`.
pub(super) fn sprintf(format: &str, args: &[Value]) -> String {
    let mut printer = Printer { out: String::new(), args, next: 0, reordered: false };
    printer.format(format);
    printer.out
}

/// `fmt.Sprint`: a blank between operands where neither is a text.
pub(super) fn sprint(args: &[Value]) -> String {
    let mut out = String::new();
    let mut text_before = true;
    for (index, arg) in args.iter().enumerate() {
        let text = matches!(arg, Value::Text(_) | Value::Html(_));
        if index > 0 && !text && !text_before {
            out.push(' ');
        }
        write(&mut out, 'v', arg, Spec::default());
        text_before = text;
    }
    out
}

/// `fmt.Sprintln`.
pub(super) fn sprintln(args: &[Value]) -> String {
    let mut out = String::new();
    for (index, arg) in args.iter().enumerate() {
        if index > 0 {
            out.push(' ');
        }
        write(&mut out, 'v', arg, Spec::default());
    }
    out + "\n"
}

/// What an action prints: `%v`, but a pointer's target, and what is not there as Go's templates say it.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Nil | Value::Sample(None) => "<no value>".to_owned(),
        Value::Sample(Some(_)) => plain(value).trim_start_matches('&').to_owned(),
        other => plain(other),
    }
}

/// `%v`.
pub(super) fn plain(value: &Value) -> String {
    let mut out = String::new();
    write(&mut out, 'v', value, Spec::default());
    out
}

/// `%.4g`, which the humanize functions print with.
pub(super) fn significant_4(value: f64) -> String {
    let spec = Spec { precision: Some(4), ..Spec::default() };
    verb::float('g', value, spec).unwrap_or_default()
}

/// What is known of the numbers of arguments in a directive.
struct Indexed {
    /// One has just been read.
    after: bool,
    /// All of them were right.
    good: bool,
}

struct Printer<'a> {
    out: String,
    args: &'a [Value],
    next: usize,
    /// An argument was asked for by its number: then those that are left over are no mistake.
    reordered: bool,
}

impl Printer<'_> {
    fn format(&mut self, format: &str) {
        let mut rest = format;
        while let Some(at) = rest.find('%') {
            self.out.push_str(rest.get(..at).unwrap_or(""));
            rest = self.directive(rest.get(at + 1..).unwrap_or(""));
            if self.out.len() > TEXT_BYTES_MAX {
                // Whoever asked refuses it, however long it would have become.
                return;
            }
        }
        self.out.push_str(rest);
        let extra = self.args.get(self.next..).unwrap_or(&[]);
        if self.reordered || extra.is_empty() {
            return;
        }
        self.out.push_str("%!(EXTRA ");
        for (index, arg) in extra.iter().enumerate() {
            if index > 0 {
                self.out.push_str(", ");
            }
            if !matches!(arg, Value::Nil) {
                self.out.push_str(&format!("{}=", arg.type_name()));
            }
            write(&mut self.out, 'v', arg, Spec::default());
        }
        self.out.push(')');
    }

    /// What follows a `%`; answers what follows that.
    fn directive<'f>(&mut self, format: &'f str) -> &'f str {
        let mut rest = format;
        let mut spec = Spec::default();
        while let Some(flag) = rest.chars().next().filter(|c| "+-# 0".contains(*c)) {
            match flag {
                '+' => spec.plus = true,
                '-' => spec.minus = true,
                '#' => spec.sharp = true,
                ' ' => spec.space = true,
                _ => spec.zero = true,
            }
            rest = rest.get(1..).unwrap_or("");
        }
        let mut indexed = Indexed { after: false, good: true };
        self.index(&mut rest, &mut indexed);
        if let Some(after) = rest.strip_prefix('*') {
            rest = after;
            match self.star() {
                Some(width) => {
                    spec.minus |= width < 0;
                    spec.width = usize::try_from(width.abs()).ok();
                }
                None => self.out.push_str("%!(BADWIDTH)"),
            }
            indexed.after = false;
        } else {
            spec.width = self.number(&mut rest, "%!(BADWIDTH)");
            indexed.good &= spec.width.is_none() || !indexed.after;
        }
        if let Some(after) = rest.strip_prefix('.') {
            rest = after;
            indexed.good &= !indexed.after;
            self.index(&mut rest, &mut indexed);
            if let Some(after) = rest.strip_prefix('*') {
                rest = after;
                match self.star().map(usize::try_from) {
                    Some(Ok(precision)) => spec.precision = Some(precision),
                    Some(Err(_)) => {}
                    None => self.out.push_str("%!(BADPREC)"),
                }
                indexed.after = false;
            } else if rest.starts_with(|c: char| c.is_ascii_digit()) {
                spec.precision = self.number(&mut rest, "%!(BADPREC)");
            } else {
                spec.precision = Some(0);
            }
        }
        if !indexed.after {
            self.index(&mut rest, &mut indexed);
        }
        let Some(verb) = rest.chars().next() else {
            self.out.push_str("%!(NOVERB)");
            return "";
        };
        if verb == '%' {
            self.out.push('%');
        } else if !indexed.good {
            self.out.push_str(&format!("%!{verb}(BADINDEX)"));
        } else if let Some(arg) = self.args.get(self.next) {
            self.next += 1;
            if verb == 'v' {
                // They are not for what is in it.
                (spec.sharp_v, spec.plus_v) = (spec.sharp, spec.plus);
                (spec.sharp, spec.plus) = (false, false);
            }
            write(&mut self.out, verb, arg, spec);
        } else {
            self.out.push_str(&format!("%!{verb}(MISSING)"));
        }
        rest.get(verb.len_utf8()..).unwrap_or("")
    }

    /// `[3]`: the number of the argument that comes next.
    fn index(&mut self, rest: &mut &str, indexed: &mut Indexed) {
        indexed.after = false;
        let Some(inner) = rest.strip_prefix('[') else { return };
        self.reordered = true;
        let Some((number, after)) = inner.split_once(']') else {
            indexed.good = false;
            *rest = inner;
            return;
        };
        *rest = after;
        let number = number.parse::<usize>().ok();
        // One that is beyond the last argument is a number all the same: no other one is looked for.
        indexed.after = number.is_some();
        match number {
            Some(number) if (1..=self.args.len()).contains(&number) => self.next = number - 1,
            _ => indexed.good = false,
        }
    }

    /// A width or precision that is an argument.
    fn star(&mut self) -> Option<i64> {
        let number = self.args.get(self.next).and_then(Value::integer);
        self.next = (self.next + 1).min(self.args.len());
        number.filter(|number| (-WIDTH_MAX..=WIDTH_MAX).contains(number))
    }

    fn number(&mut self, rest: &mut &str, too_large: &str) -> Option<usize> {
        let length = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let digits = rest.get(..length).filter(|digits| !digits.is_empty())?;
        *rest = rest.get(length..).unwrap_or("");
        let number = digits.parse::<i64>().ok().filter(|number| *number <= WIDTH_MAX).and_then(|number| usize::try_from(number).ok());
        if number.is_none() {
            self.out.push_str(too_large);
        }
        number
    }
}

/// One value by one verb. What is far too long is left unfinished: whoever asked refuses it.
fn write(out: &mut String, verb: char, arg: &Value, spec: Spec) {
    if verb == 'T' {
        return out.push_str(&verb::string('s', arg.type_name(), spec).unwrap_or_default());
    }
    // For errors only, which a template does not have.
    if verb == 'w' {
        return bad(out, verb, arg, spec);
    }
    if let Some(named) = arg.named()
        && let Some(text) = verb::string(verb, &named, spec)
    {
        return out.push_str(&text);
    }
    let text = match arg {
        Value::Nil if verb == 'v' => Some(verb::pad("<nil>", spec)),
        Value::Bool(truth) if matches!(verb, 'v' | 't') => Some(verb::pad(&truth.to_string(), spec)),
        Value::Float(number) => verb::float(verb, *number, spec),
        Value::Text(text) | Value::Html(text) => verb::string(verb, text, spec),
        Value::Map(map) => return write_map(out, verb, map, spec),
        Value::Args(entries, _) => {
            let entries = entries.iter().map(|(name, value)| (name.as_str(), value.clone()));
            return write_entries(out, verb, entries, spec);
        }
        Value::List(samples) => {
            out.push('[');
            for (index, sample) in samples.as_slice().iter().enumerate() {
                if index > 0 {
                    out.push(' ');
                }
                write(out, verb, &Value::Sample(Some(sample.clone())), spec);
                if out.len() > TEXT_BYTES_MAX {
                    return;
                }
            }
            return out.push(']');
        }
        Value::Sample(Some(sample)) => {
            out.push('&');
            let fields = [("Labels", Value::Map(sample.labels.clone())), ("Value", Value::Float(sample.value))];
            return write_struct(out, verb, &fields, spec);
        }
        Value::Sample(None) if verb == 'v' => Some(verb::pad("<nil>", spec)),
        Value::Root(root) => return write_root(out, verb, root, spec),
        other => other.integer().and_then(|number| verb::int(verb, number, spec)),
    };
    match text {
        Some(text) => out.push_str(&text),
        None => bad(out, verb, arg, spec),
    }
}

/// A verb that does not fit: the value follows as `%v` with the same flags.
fn bad(out: &mut String, verb: char, arg: &Value, spec: Spec) {
    match arg {
        Value::Nil => out.push_str(&format!("%!{verb}(<nil>)")),
        arg => {
            out.push_str(&format!("%!{verb}({}=", arg.type_name()));
            write(out, 'v', arg, spec);
            out.push(')');
        }
    }
}

fn write_map(out: &mut String, verb: char, map: &Labels, spec: Spec) {
    write_entries(out, verb, map.iter().map(|(name, value)| (name, Value::text(value))), spec);
}

fn write_entries<'a>(out: &mut String, verb: char, entries: impl Iterator<Item = (&'a str, Value)>, spec: Spec) {
    out.push_str("map[");
    for (index, (name, value)) in entries.enumerate() {
        if index > 0 {
            out.push(' ');
        }
        write(out, verb, &Value::text(name), spec);
        out.push(':');
        write(out, verb, &value, spec);
        if out.len() > TEXT_BYTES_MAX {
            return;
        }
    }
    out.push(']');
}

fn write_root(out: &mut String, verb: char, root: &Root, spec: Spec) {
    let fields = [
        ("Labels", Value::Map(root.labels.clone())),
        ("ExternalLabels", Value::Map(root.external_labels.clone())),
        ("ExternalURL", Value::Text(root.external_url.clone())),
        ("Value", Value::Float(root.value)),
    ];
    write_struct(out, verb, &fields, spec);
}

fn write_struct(out: &mut String, verb: char, fields: &[(&str, Value)], spec: Spec) {
    out.push('{');
    for (index, (name, value)) in fields.iter().enumerate() {
        if index > 0 {
            out.push(' ');
        }
        if spec.plus_v {
            out.push_str(&format!("{name}:"));
        }
        write(out, verb, value, spec);
    }
    out.push('}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_print_as_go_prints_them() {
        let text = || Value::text("abc");
        for (format, arg, shown) in [
            ("%v", Value::Float(1_234_567.891), "1.234567891e+06"),
            ("%g", Value::Float(1e21), "1e+21"),
            ("%.2f", Value::Float(0.125), "0.12"),
            ("%0.0f", Value::Float(2.5), "2"),
            ("%f", Value::Float(1.0), "1.000000"),
            ("%e", Value::Float(1234.5), "1.234500e+03"),
            ("%.3g", Value::Float(0.000_012_34), "1.23e-05"),
            ("%#.4g", Value::Float(1.0), "1.000"),
            ("%+.1f", Value::Float(1.0), "+1.0"),
            ("%+v", Value::Float(f64::NEG_INFINITY), "-Inf"),
            ("%6.1f|", Value::Float(-1.25), "  -1.2|"),
            ("%-6.1f|", Value::Float(-1.25), "-1.2  |"),
            ("%06.1f", Value::Float(-1.25), "-001.2"),
            ("%d%%", Value::Int(5), "5%"),
            ("%05d", Value::Int(-5), "-0005"),
            ("%x", Value::Int(255), "ff"),
            ("%c", Value::Int(97), "a"),
            ("%d", Value::Float(1e6), "%!d(float64=1e+06)"),
            ("%s", Value::Float(0.5), "%!s(float64=0.5)"),
            ("%.2f", Value::Int(1), "%!f(int=01)"),
            ("%d", text(), "%!d(string=abc)"),
            ("%q", Value::text("a\"b"), r#""a\"b""#),
            ("%.2s", text(), "ab"),
            ("%5s|", text(), "  abc|"),
            ("%x", text(), "616263"),
            ("%t", Value::Bool(true), "true"),
            ("%T", Value::Float(1.0), "float64"),
            ("%s %s", text(), "abc %!s(MISSING)"),
            ("x", Value::Float(1.0), "x%!(EXTRA float64=1)"),
            ("%", text(), "%!(NOVERB)%!(EXTRA string=abc)"),
            ("%v", Value::Nil, "<nil>"),
            ("%[1]d %[1]x", Value::Int(11), "11 b"),
            ("%[2]d", Value::Int(11), "%!d(BADINDEX)"),
            ("%v", Value::Duration(90_000_000_000), "1m30s"),
            ("%d", Value::Duration(9), "9"),
            ("%s", Value::Month(2), "February"),
        ] {
            assert_eq!(sprintf(format, &[arg]), shown, "{format}");
        }
        assert_eq!(sprintf("%*d|%-*d|", &[Value::Int(3), Value::Int(1), Value::Int(3), Value::Int(2)]), "  1|2  |");
    }

    #[test]
    fn a_map_prints_sorted() {
        let map = Value::Map(Labels::from_pairs([("b", "2"), ("a", "1")]));
        assert_eq!(sprintf("%v", std::slice::from_ref(&map)), "map[a:1 b:2]");
        assert_eq!(sprintf("%s", &[map]), "map[a:1 b:2]");
    }

    #[test]
    fn print_puts_blanks_only_between_what_is_no_text() {
        let (one, text) = (Value::Int(1), Value::text("a"));
        assert_eq!(sprint(&[one.clone(), one.clone(), text.clone(), one.clone()]), "1 1a1");
        assert_eq!(sprintln(&[one, text]), "1 a\n");
    }

    #[test]
    fn a_huge_width_is_refused() {
        assert!(sprintf("%9999999999d", &[Value::Int(1)]).starts_with("%!(BADWIDTH)"));
        for verb in ["%100000d", "%0100000d", "%.100000d", "%.100000f", "%.100000g", "%.100000e", "%100000s", "%.100000v", "%0100000.2f"] {
            for value in [Value::Int(1), Value::Float(1.5), Value::text("a")] {
                assert!(sprintf(verb, &[value]).starts_with("%!("), "{verb}");
            }
        }
        assert!(sprintf("%*d", &[Value::Int(100_000), Value::Int(1)]).starts_with("%!(BADWIDTH)"));
        assert_eq!(sprintf("%10000d", &[Value::Int(1)]).len(), 10_000);
    }
}
