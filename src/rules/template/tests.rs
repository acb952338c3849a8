//! What templates print, by table.

use super::{Data, Template};
use crate::model::Labels;

fn data(value: f64, run: impl FnOnce(&Data<'_>)) {
    let labels = Labels::from_pairs([("__name__", "up"), ("instance", "a:80"), ("job", "node")]);
    let external = Labels::from_pairs([("region", "eu")]);
    run(&Data { labels: &labels, external_labels: &external, external_url: "http://sidewatch:10842/x", value });
}

fn expand(text: &str, value: f64) -> Result<String, String> {
    let template = Template::parse(text).map_err(|error| format!("parse: {error}"))?;
    let mut shown = Ok(String::new());
    data(value, |data| shown = template.expand(data));
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
fn actions_print_what_go_prints() {
    for (text, shown) in [
        ("plain }} text", "plain }} text"),
        ("{{ $labels.job }}/{{ .Labels.instance }}/{{$labels.missing}}/", "node/a:80//"),
        ("{{ $labels }}", "map[__name__:up instance:a:80 job:node]"),
        (
            "{{ $externalLabels.region }}{{ .ExternalLabels }} {{ $externalURL }} {{ externalURL }}{{ pathPrefix }}",
            "eumap[region:eu] http://sidewatch:10842/x http://sidewatch:10842/x/x",
        ),
        ("{{ \"a\" }}{{ `b\\n` }}{{ 1 }}{{ 1.5 }}{{ 'a' }}{{ true }}{{ -3 }}", "ab\\n11.597true-3"),
        ("{{ $labels.job | toUpper | printf \"%s-%s\" \"x\" }}", "x-NODE"),
        ("{{ printf \"%.1f\" $value }}{{ $value | printf \"%5.1f|\" }}", "2.5  2.5|"),
        ("{{ \"12.5\" | humanize }}{{ 2000 | humanize }}", "12.52k"),
        ("{{ $x := \"a\" }}{{ $x }}{{ $x = \"b\" }}{{ $x }}", "ab"),
        ("{{ if gt $value 1.0 }}high{{ else }}low{{ end }}", "high"),
        ("{{ if eq $labels.job \"x\" \"y\" }}1{{ else if eq $labels.job \"node\" }}2{{ else }}3{{ end }}", "2"),
        ("{{ with $labels.missing }}has {{ . }}{{ else }}none{{ end }}", "none"),
        ("{{ with $labels.job }}has {{ . }} {{ $.Value }}{{ end }}", "has node 2.5"),
        ("{{ range $k, $v := $labels }}{{ $k }}={{ $v }};{{ end }}", "__name__=up;instance=a:80;job=node;"),
        ("{{ range .Labels }}{{ . }} {{ end }}", "up a:80 node "),
        ("{{ $x := 1 }}{{ if true }}{{ $x := 2 }}{{ $x }}{{ $x = 3 }}{{ end }}{{ $x }}", "21"),
        ("{{ and 1 0 2 }}{{ or 0 \"\" \"z\" }}{{ not 1 }}", "0zfalse"),
        ("{{ or true (len 5) }}", "true"),
        ("{{ len $labels }}{{ len \"é\" }}{{ index $labels \"job\" }}", "32node"),
        ("{{ (printf \"%s\" \"a\") | toUpper }}", "A"),
        ("{{ ($labels).job }}", "node"),
        ("{{ \"a.b:80\" | stripPort }} {{ \"a.b:80\" | stripDomain }} {{ title \"x y\" }} {{ toLower \"AB\" }}", "a.b a:80 X Y ab"),
        ("{{ reReplaceAll \"(.*):.*\" \"$1\" $labels.instance }} {{ match \"a.*\" \"xab\" }}", "a true"),
        ("{{ parseDuration \"1h\" }} {{ 0 | humanizeTimestamp }}", "3600 1970-01-01 00:00:00 +0000 UTC"),
        ("{{ lt 1 2 }}{{ le 2 2 }}{{ ne \"a\" \"b\" }}{{ ge 1.5 2.5 }}", "truetruetruefalse"),
        ("{{ print 1 2 \"a\" }}{{ println \"b\" }}{{ urlquery \"a b\" }}", "1 2ab\na+b"),
        ("a  {{- /* gone */ -}}  b", "ab"),
    ] {
        assert_eq!(expand(text, 2.5).as_deref(), Ok(shown), "{text}");
    }
}

#[test]
fn mistakes_that_only_data_can_show_are_errors_at_expansion() {
    for (text, message) in [
        ("{{ $labels.job.x }}", "can't evaluate field x in type string"),
        ("{{ .Foo }}", "can't evaluate field Foo in type struct"),
        ("{{ humanize }}", "wrong number of args for humanize: want 1 got 0"),
        ("{{ gt $value 1 }}", "error calling gt: incompatible types for comparison"),
        ("{{ toUpper $value }}", "error calling toUpper: wrong type for value; expected string; got float64"),
        ("{{ $labels.job | humanize }}", "error calling humanize: strconv.ParseFloat: parsing \"node\": invalid syntax"),
        ("{{ $labels.job $value }}", "can't give argument to non-function"),
        ("{{ range $value }}{{ end }}", "range can't iterate over 2.5"),
        ("{{ match \"(\" \"a\" }}", "error calling match: error parsing regexp \"(\""),
    ] {
        let error = expand(text, 2.5).expect_err(text);
        assert!(error.starts_with(message), "{text}: {error}");
    }
}

#[test]
fn mistakes_in_the_text_are_found_when_it_is_parsed() {
    for (text, at, message) in [
        ("{{ foo }}", 3, "function \"foo\" not defined"),
        ("{{ query \"up\" | first | value }}", 3, "function \"query\" is not supported yet"),
        ("{{ $nope }}", 3, "undefined variable \"$nope\""),
        ("a {{ }}", 2, "missing value for command"),
        ("{{ $value | }}", 0, "missing value for command"),
        ("{{ $value | 1 }}", 12, "non executable command in pipeline stage 2"),
        ("{{ if $value }}x", 16, "{{if}} without {{end}}"),
        ("{{ end }}", 0, "unexpected {{end}}"),
        ("{{ else }}", 0, "unexpected {{else}}"),
        ("{{ if true }}{{ else }}{{ else }}{{ end }}", 23, "expected {{end}}; found {{else}}"),
        ("{{ (print 1 }}", 3, "unclosed left paren"),
        ("{{ print 1) }}", 10, "unexpected \")\" in command"),
        ("{{ \"a\"\"b\" }}", 6, "unexpected \"b\" in operand"),
        ("{{ define \"x\" }}{{ end }}", 0, "{{define}} is not supported yet"),
        ("{{ $value ", 0, "unclosed action"),
        ("{{ if true }}{{ $x := 1 }}{{ end }}{{ $x }}", 38, "undefined variable \"$x\""),
    ] {
        let error = Template::parse(text).expect_err(text);
        assert_eq!((error.at, error.message.as_str()), (at, message), "{text}");
    }
}

#[test]
fn nesting_is_bounded() {
    let deep = format!("{{{{ {}1{} }}}}", "(".repeat(10_000), ")".repeat(10_000));
    assert!(Template::parse(&deep).expect_err("too deep").message.starts_with("nested deeper"));
}

#[test]
fn what_an_expansion_makes_is_bounded() {
    let loops = format!("{}x{}", "{{ range $labels }}".repeat(60), "{{ end }}".repeat(60));
    assert_eq!(expand(&loops, 1.0).expect_err("too long"), "more than 10000 steps");
    let doubled = format!("{{{{ $x := \"xx\" }}}}{}{{{{ $x }}}}", "{{ $x = print $x $x }}".repeat(60));
    assert_eq!(expand(&doubled, 1.0).expect_err("too long"), "the text is longer than 65536 bytes");
    let wide = format!("{{{{ printf \"{}\"{} }}}}", "%9999v".repeat(100), " $value".repeat(100));
    assert_eq!(expand(&wide, 1.0).expect_err("too long"), "the text is longer than 65536 bytes");
    let many = format!("{{{{ $x := \"{}\" }}}}{{{{ print{} }}}}", "x".repeat(60_000), " $x".repeat(100));
    assert_eq!(expand(&many, 1.0).expect_err("too long"), "the arguments of print are longer than 262144 bytes");
    let replaced = format!("{{{{ reReplaceAll \"\" \"{0}\" \"{0}\" }}}}", "x".repeat(60_000));
    assert_eq!(expand(&replaced, 1.0).expect_err("too long"), "error calling reReplaceAll: the text or its replacement is too long");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(300))]
    #[test]
    fn no_text_makes_the_parser_or_the_evaluator_panic(text in "(\\{\\{-? ?|\\$labels|\\.|x|[ \"`|(),:=0-9é]|if|else|end|printf|range|humanize|with| ?-?\\}\\})*") {
        if let Ok(template) = Template::parse(&text) {
            data(1.5, |data| drop(template.expand(data)));
        }
    }
}
