//! What templates print, by table.

mod golden;

use std::borrow::Cow;

use super::{Data, Template};
use crate::model::{Labels, Timestamp};

fn data(value: f64, run: impl FnOnce(&Data<'_>)) {
    let labels = Labels::from_pairs([("__name__", "up"), ("instance", "a:80"), ("job", "node")]);
    let external = Labels::from_pairs([("region", "eu")]);
    run(&Data {
        labels: &labels,
        external_labels: &external,
        external_url: "http://sidewatch:10842/x",
        value,
        at: Timestamp::from_millis(90_000),
        ask: &|_| Ok(Vec::new()),
    });
}

fn expand(text: &str, value: f64) -> Result<String, String> {
    let template = Template::parse("T", text).map_err(|error| format!("parse: {error}"))?;
    let mut shown = Ok(String::new());
    data(value, |data| shown = template.expand(data).map(Cow::into_owned));
    shown
}

/// Values, and what promtool 2.42 printed for each through [`NUMBERS_TEMPLATE`].
const NUMBERS: &[(f64, &str)] = &[
    (0.0, "0 0|0%|0s|0|0.00 0 0 %!s(float64=0) %!d(float64=0)"),
    (1.0, "1 1|100%|1s|1|1.00 1 1 %!s(float64=1) %!d(float64=1)"),
    (99999.0, "99999 100k|1e+07%|1d 3h 46m 39s|97.66ki|99999.00 99999 99999 %!s(float64=99999) %!d(float64=99999)"),
    (100_000.0, "100000 100k|1e+07%|1d 3h 46m 40s|97.66ki|100000.00 100000 100000 %!s(float64=100000) %!d(float64=100000)"),
    (123_456.0, "123456 123.5k|1.235e+07%|1d 10h 17m 36s|120.6ki|123456.00 123456 123456 %!s(float64=123456) %!d(float64=123456)"),
    (999_999.0, "999999 1000k|1e+08%|11d 13h 46m 39s|976.6ki|999999.00 999999 999999 %!s(float64=999999) %!d(float64=999999)"),
    (1e6, "1e+06 1M|1e+08%|11d 13h 46m 40s|976.6ki|1000000.00 1e+06 1e+06 %!s(float64=1e+06) %!d(float64=1e+06)"),
    (
        1_234_567.0,
        "1.234567e+06 1.235M|1.235e+08%|14d 6h 56m 7s|1.177Mi|1234567.00 1.234567e+06 1.234567e+06 %!s(float64=1.234567e+06) %!d(float64=1.234567e+06)",
    ),
    (
        123_456_789.0,
        "1.23456789e+08 123.5M|1.235e+10%|1428d 21h 33m 9s|117.7Mi|123456789.00 1.23456789e+08 1.23456789e+08 %!s(float64=1.23456789e+08) %!d(float64=1.23456789e+08)",
    ),
    (
        1e20,
        "1e+20 100E|1e+22%|-106751991167300d -15h -30m -8s|86.74Ei|100000000000000000000.00 1e+20 1e+20 %!s(float64=1e+20) %!d(float64=1e+20)",
    ),
    (
        1e22,
        "1e+22 10Z|1e+24%|-106751991167300d -15h -30m -8s|8.47Zi|10000000000000000000000.00 1e+22 1e+22 %!s(float64=1e+22) %!d(float64=1e+22)",
    ),
    (0.001, "0.001 1m|0.1%|1ms|0.001|0.00 0.001 0.001 %!s(float64=0.001) %!d(float64=0.001)"),
    (0.0001, "0.0001 100u|0.01%|100us|0.0001|0.00 0.0001 0.0001 %!s(float64=0.0001) %!d(float64=0.0001)"),
    (0.00001, "1e-05 10u|0.001%|10us|1e-05|0.00 1e-05 1e-05 %!s(float64=1e-05) %!d(float64=1e-05)"),
    (0.1, "0.1 100m|10%|100ms|0.1|0.10 0.1 0.1 %!s(float64=0.1) %!d(float64=0.1)"),
    (
        1_234_567.5,
        "1.2345675e+06 1.235M|1.235e+08%|14d 6h 56m 7s|1.177Mi|1234567.50 1.2345675e+06 1.2345675e+06 %!s(float64=1.2345675e+06) %!d(float64=1.2345675e+06)",
    ),
    (-1e6, "-1e+06 -1M|-1e+08%|-11d 13h 46m 40s|-976.6ki|-1000000.00 -1e+06 -1e+06 %!s(float64=-1e+06) %!d(float64=-1e+06)"),
    (f64::NAN, "NaN NaN|NaN%|NaN|NaN|NaN NaN NaN %!s(float64=NaN) %!d(float64=NaN)"),
    (f64::INFINITY, "+Inf +Inf|+Inf%|+Inf|+Inf|+Inf +Inf +Inf %!s(float64=+Inf) %!d(float64=+Inf)"),
    (
        1_048_576.0,
        "1.048576e+06 1.049M|1.049e+08%|12d 3h 16m 16s|1Mi|1048576.00 1.048576e+06 1.048576e+06 %!s(float64=1.048576e+06) %!d(float64=1.048576e+06)",
    ),
    (0.95, "0.95 950m|95%|950ms|0.95|0.95 0.95 0.95 %!s(float64=0.95) %!d(float64=0.95)"),
];

const NUMBERS_TEMPLATE: &str = r#"{{ $value }} {{ $value | humanize }}|{{ humanizePercentage $value }}|{{ .Value | humanizeDuration }}|{{ $value | humanize1024 }}|{{ printf "%.2f %g %v %s %d" $value $value $value $value $value }}"#;

#[test]
fn numbers_print_as_promtool_prints_them() {
    for (value, shown) in NUMBERS {
        assert_eq!(expand(NUMBERS_TEMPLATE, *value).as_deref(), Ok(*shown), "{value}");
    }
}

#[test]
fn nesting_is_bounded() {
    for (open, close) in [("(", ")"), ("{{ if true }}", "{{ end }}"), ("{{ block \"x\" 1 }}", "{{ end }}")] {
        let (open, close) = (open.repeat(10_000), close.repeat(10_000));
        let deep = if open.starts_with('(') { format!("{{{{ {open}1{close} }}}}") } else { format!("{open}1{close}") };
        assert!(Template::parse("T", &deep).expect_err("too deep").message.contains("nested deeper"));
    }
}

/// What is wrong when a template is expanded, without where.
fn refused(text: &str) -> String {
    let error = expand(text, 1.0).expect_err(text);
    error.rsplit_once(">: ").map_or(error.clone(), |(_, message)| message.to_owned())
}

#[test]
fn what_an_expansion_makes_is_bounded() {
    let loops = format!("{}x{}", "{{ range $labels }}".repeat(60), "{{ end }}".repeat(60));
    assert_eq!(refused(&loops), "more than 100000 steps");
    assert_eq!(refused("{{ range 9000000000000000000 }}{{ end }}"), "more than 100000 steps");
    let doubled = format!("{{{{ $x := \"xx\" }}}}{}{{{{ $x }}}}", "{{ $x = print $x $x }}".repeat(60));
    assert_eq!(refused(&doubled), "the text is longer than 65536 bytes");
    let wide = format!("{{{{ printf \"{}\"{} }}}}", "%9999v".repeat(100), " $value".repeat(100));
    assert_eq!(refused(&wide), "the text is longer than 65536 bytes");
    let many = format!("{{{{ $x := \"{}\" }}}}{{{{ print{} }}}}", "x".repeat(60_000), " $x".repeat(100));
    assert_eq!(refused(&many), "the arguments of print are longer than 262144 bytes");
    let replaced = format!("{{{{ reReplaceAll \"\" \"{0}\" \"{0}\" }}}}", "x".repeat(60_000));
    assert_eq!(refused(&replaced), "the text is longer than 65536 bytes");
    let held = format!("{{{{ $x := args 1 }}}}{}", "{{ $x = args $x $x }}".repeat(60));
    assert_eq!(refused(&held), "error calling args: nested deeper than 32");
    assert_eq!(
        refused(&format!("{{{{ $x := args 1 }}}}{}{{{{ $x }}}}", "{{ $x = args $x $x }}".repeat(30))),
        "the text is longer than 65536 bytes"
    );
    assert_eq!(refused("{{ range 50 }}{{ query \"up\" }}{{ end }}"), "error calling query: more than 32 queries");
    assert!(refused("{{ range 1000 }}{{ match (print .) \"b\" }}{{ end }}").ends_with("more than 100000 steps"));
    let read = format!("{{{{ $x := \"{}\" }}}}{{{{ range 1000 }}}}{{{{ $y := toUpper $x }}}}{{{{ end }}}}", "x".repeat(60_000));
    assert_eq!(refused(&read), "error calling toUpper: more than 100000 steps");
    assert_eq!(
        refused("{{ define \"x\" }}{{ template \"x\" }}{{ template \"x\" }}{{ end }}{{ template \"x\" }}"),
        "exceeded maximum template depth (200)"
    );
}

#[test]
fn a_mistake_is_told_at_its_place_in_the_text() {
    for (text, at) in [
        ("{{ foo }}", 3),
        ("ab\n{{ if true }}", 16),
        ("{{ (print 1 }}", 12),
        ("x{{ $value ! }}", 11),
        ("{{ range $labels }}{{ break 1 }}", 28),
    ] {
        assert_eq!(Template::parse("T", text).expect_err(text).at, at, "{text}");
    }
}

#[test]
fn functions_newer_than_the_table_work() {
    for (text, shown) in [
        ("{{ now }} {{ toTime now }}", "90 1970-01-01 00:01:30 +0000 UTC"),
        (
            "{{ toDuration 3605.5 }} {{ (toDuration 90).Minutes }} {{ (toTime now).Add (toDuration 60) }}",
            "1h0m5.5s 1.5 1970-01-01 00:02:30 +0000 UTC",
        ),
        ("{{ (toDuration 90.6).Round 1000000000 }} {{ (toDuration 90.6).Truncate 1000000000 }}", "1m31s 1m30s"),
        ("{{ urlQueryEscape \"a b&c\" }} {{ parseDuration \"-1h\" }}", "a+b%26c -3600"),
        ("{{ externalURL }} {{ pathPrefix }}", "http://sidewatch:10842/x /x"),
    ] {
        assert_eq!(expand(text, 1.0).as_deref(), Ok(shown), "{text}");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(300))]
    #[test]
    fn no_text_makes_the_parser_or_the_evaluator_panic(
        text in "(\\{\\{-? ?|\\$labels|\\.|x|[ \"`|(),:=0-9é]|if|else|end|range|break|define \"x\"|template \"x\"|nil|args|index|slice|printf|humanize|with| ?-?\\}\\})*",
    ) {
        if let Ok(template) = Template::parse("T", &text) {
            data(1.5, |data| drop(template.expand(data)));
        }
    }

    #[test]
    fn no_arguments_make_a_function_panic(
        function in proptest::sample::select(super::functions::template_functions().map(|function| function.name).collect::<Vec<_>>()),
        args in proptest::collection::vec(proptest::sample::select(vec![
            "1", "-1", "1e300", "\"é\"", "\"%*[1]d%x\"", "\"\"", "nil", ".", "$labels", "$value", "(query \"up\")", "(args 1)", "(toTime 1e10)",
            "(toDuration 1e300)", "(safeHtml \"a\")", "9223372036854775807", "(index \"é\" 1)", "\"1e5\"", "\"(\"",
        ]), 0..4),
    ) {
        let text = format!("{{{{ {function} {} }}}}{{{{ {} | printf \"%v %d %x %q\" 1.5 }}}}", args.join(" "), args.first().unwrap_or(&"1"));
        if let Ok(template) = Template::parse("T", &text) {
            data(f64::NAN, |data| drop(template.expand(data)));
        }
    }
}
