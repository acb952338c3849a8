//! Every construct of the language, precedence, and the places of nodes.

mod mistakes;
mod properties;

use super::*;
use crate::promql::ast::{AtModifier, DurationArg, DurationKind, Extension, ValueType};
use crate::promql::quote::quote;

/// The query with a parenthesis around every operation, so that precedence shows.
fn shape(expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Binary(binary) => format!("({} {} {})", shape(&binary.lhs), binary.op.as_str(), shape(&binary.rhs)),
        ExprKind::Unary(unary) => format!("({}{})", if unary.negative { '-' } else { '+' }, shape(&unary.expr)),
        ExprKind::Paren(inner) => format!("[{}]", shape(inner)),
        _ => expr.to_string(),
    }
}

fn parsed(text: &str) -> Expr {
    parse(text).unwrap_or_else(|error| panic!("{text}: {error}\n{}", error.caret(text)))
}

fn failed(text: &str) -> ParseError {
    parse(text).map_or_else(|error| error, |expr| panic!("{text} is read as {expr}"))
}

#[test]
fn operators_bind_as_in_prometheus() {
    for (text, expected) in [
        ("-1^2", "(-(1 ^ 2))"),
        ("-1*2", "(-1 * 2)"),
        ("-1+2", "(-1 + 2)"),
        ("-1^-2", "(-(1 ^ -2))"),
        ("+1 + -2 * 1", "(1 + (-2 * 1))"),
        ("1 + 2/(3*1)", "(1 + (2 / [(3 * 1)]))"),
        ("1 < bool 2 - 1 * 2", "(1 < (2 - (1 * 2)))"),
        ("2^3^2", "(2 ^ (3 ^ 2))"),
        ("2^-a*b", "((2 ^ (-a)) * b)"),
        ("-a^b*c", "((-(a ^ b)) * c)"),
        ("--a", "(-(-a))"),
        ("a - b - c", "((a - b) - c)"),
        ("a % b atan2 c / d", "(((a % b) atan2 c) / d)"),
        ("a + b or c and d", "((a + b) or (c and d))"),
        ("a and b unless c or d", "(((a and b) unless c) or d)"),
        ("a or b or c", "((a or b) or c)"),
        ("a == b != c", "((a == b) != c)"),
        ("a </ b + c", "(a </ (b + c))"),
        ("a >/ b > c", "((a >/ b) > c)"),
        ("a*b</c", "((a * b) </ c)"),
        ("a + on(x) b / on(y, z) group_right(w) c", "(a + (b / c))"),
        ("foo offset 5s-8", "(foo offset 5s - 8)"),
        ("foo offset -1^1", "(foo offset -1s ^ 1)"),
        ("foo offset step()*2", "(foo offset step() * 2)"),
        ("foo offset (1m) + 2", "(foo offset (1m) + 2)"),
        ("foo offset (-1m) * bar", "(foo offset (-1m) * bar)"),
        ("foo offset -(1)*2", "(foo offset -(1) * 2)"),
        ("-foo @ 1 offset 5m", "(-foo @ 1.000 offset 5m)"),
        ("-sum(a)[5m:] @ 3", "-"),
    ] {
        match parse(text) {
            Ok(expr) => assert_eq!(shape(&expr), expected, "{text}"),
            Err(_) => assert_eq!(expected, "-", "{text}"),
        }
    }
}

#[test]
fn numbers_are_read_as_go_reads_them() {
    for (text, value) in [
        ("1", 1.0),
        ("+Inf", f64::INFINITY),
        ("-inf", f64::NEG_INFINITY),
        (".5", 0.5),
        ("5.", 5.0),
        ("123.4567", 123.4567),
        ("5e-3", 0.005),
        ("5E3", 5000.0),
        ("0xc", 12.0),
        ("0xFe", 254.0),
        ("0x_1f", 31.0),
        ("0755", 493.0),
        ("-0755", -493.0),
        ("089", 89.0),
        ("1_000", 1000.0),
        ("+5.5e-3", 0.0055),
        ("9223372036854775808", 9_223_372_036_854_775_808.0),
        ("1h30m", 5400.0),
        ("-1m30ms", -60.03),
    ] {
        let ExprKind::Number(number) = parsed(text).kind else { panic!("{text} is no number") };
        assert!((number.value - value).abs() < 1e-12 || number.value == value, "{text}: {}", number.value);
        assert_eq!(parsed(text).span, Span::new(0, u32::try_from(text.len()).expect("short")), "{text}");
    }
    assert!(matches!(parsed("NaN").kind, ExprKind::Number(number) if number.value.is_nan()));
}

#[test]
fn strings_have_three_kinds_of_quotes() {
    for (text, value) in [
        (r#""a \" b""#, "a \" b"),
        (r"'a \' b'", "a ' b"),
        ("`a \\n b`", "a \\n b"),
        (r#""\u2603""#, "☃"),
        ("\"#no comment\" # a comment", "#no comment"),
    ] {
        assert_eq!(parsed(text).kind, ExprKind::String(value.to_owned()), "{text}");
    }
}

#[test]
fn every_node_knows_its_place() {
    let text = "sum by (a) (rate(x{b=\"c\"}[5m] offset 1m)) + on (a)\n -(y @ 3) [1h:] # end";
    let error = failed(text);
    assert_eq!(error.position.text(text), "-(y @ 3) [1h:]", "{error}");
    let text = "sum by (a) (rate(x{b=\"c\"}[5m] offset 1m)) + on (a)\n -(y @ 3) # end";
    let expr = parsed(text);
    let mut places = Vec::new();
    expr.walk(&mut |part| places.push(part.span.text(text)));
    assert_eq!(
        places,
        [
            "sum by (a) (rate(x{b=\"c\"}[5m] offset 1m)) + on (a)\n -(y @ 3)",
            "sum by (a) (rate(x{b=\"c\"}[5m] offset 1m))",
            "rate(x{b=\"c\"}[5m] offset 1m)",
            "x{b=\"c\"}[5m] offset 1m",
            "-(y @ 3)",
            "(y @ 3)",
            "y @ 3",
        ]
    );
    for (text, aggregate) in [("(sum(foo) )", "sum(foo)"), ("(sum(foo) by (bar))", "sum(foo) by (bar)")] {
        assert_eq!(parsed(text).unwrap_parens().span.text(text), aggregate);
    }
}

#[test]
fn selectors_carry_their_conditions() {
    let conditions = |text: &str| -> Vec<String> {
        let ExprKind::VectorSelector(selector) = parsed(text).kind else { panic!("{text} is no selector") };
        let condition = |m: &Matcher| format!("{}{}{}", m.name(), m.op().as_str(), quote(m.value()));
        selector.matchers.iter().map(condition).collect()
    };
    for (text, expected) in [
        ("foo", vec!["__name__=\"foo\""]),
        ("foo:bar{a=\"bc\"}", vec!["a=\"bc\"", "__name__=\"foo:bar\""]),
        ("{\"foo\"}", vec!["__name__=\"foo\""]),
        ("{\"my.metric\", 'label.x'=`v`}", vec!["__name__=\"my.metric\"", "label.x=\"v\""]),
        ("{'foo\\'bar', 'a\\\\dos\\\\path'='boo\\\\urns'}", vec!["__name__=\"foo'bar\"", "a\\dos\\path=\"boo\\\\urns\""]),
        ("foo{NaN='bc'}", vec!["NaN=\"bc\"", "__name__=\"foo\""]),
        ("foo{bar='}'}", vec!["bar=\"}\"", "__name__=\"foo\""]),
        ("foo{a=\"b\", c!=\"d\", e=~\"f\", g!~\"h\",}", vec!["a=\"b\"", "c!=\"d\"", "e=~\"f\"", "g!~\"h\"", "__name__=\"foo\""]),
        ("{a=\"b\", \"foo\", c=~\"d\"}", vec!["a=\"b\"", "__name__=\"foo\"", "c=~\"d\""]),
        ("{__name__=\"bar\", __name__=\"baz\"}", vec!["__name__=\"bar\"", "__name__=\"baz\""]),
        ("{\"bar\", __name__=\"baz\"}", vec!["__name__=\"bar\"", "__name__=\"baz\""]),
        ("foo{ # why\n a = 'b' }", vec!["a=\"b\"", "__name__=\"foo\""]),
    ] {
        assert_eq!(conditions(text), expected, "{text}");
    }
}

#[test]
fn keywords_are_names_where_they_can_be() {
    for name in [
        "sum",
        "min",
        "limitk",
        "by",
        "without",
        "and",
        "or",
        "unless",
        "offset",
        "start",
        "end",
        "step",
        "range",
        "min_of",
        "max_of",
        "anchored",
        "smoothed",
        "fill",
        "fill_left",
        "fill_right",
    ] {
        for text in [name.to_owned(), format!("{name}{{a=\"b\"}}"), format!("foo + {name} > {name}"), format!("sum({name})")] {
            let mut found = false;
            parsed(&text).walk(&mut |part| {
                found |= matches!(&part.kind, ExprKind::VectorSelector(selector) if selector.name.as_deref() == Some(name));
            });
            assert!(found, "{text}");
        }
    }
    for label in
        ["and", "by", "avg", "bool", "on", "ignoring", "group_left", "offset", "atan2", "start", "step", "min_of", "smoothed", "fill"]
    {
        let text = format!("sum by ({label}, x) (foo)");
        let ExprKind::Aggregate(aggregate) = parsed(&text).kind else { panic!("{text}") };
        assert_eq!(aggregate.grouping, [label, "x"]);
    }
    assert_eq!(parsed("SUM BY (a) (foo OFFSET 5M)".replace("5M", "5m").as_str()).to_string(), "sum by (a) (foo offset 5m)");
    assert_eq!(parsed("a AND b UnLess c").to_string(), "a and b unless c");
}

#[test]
fn vectors_are_matched_as_told() {
    let matching = |text: &str| {
        let ExprKind::Binary(binary) = parsed(text).kind else { panic!("{text}") };
        binary.matching.map(|m| (m.cardinality, m.on, m.labels.join(","), m.include.join(","), m.fill))
    };
    let none = Fill::default();
    let plain = |cardinality, on, labels: &str, include: &str| Some((cardinality, on, labels.to_owned(), include.to_owned(), none));
    for (text, expected) in [
        ("a * b", plain(Cardinality::OneToOne, false, "", "")),
        ("a and b", plain(Cardinality::ManyToMany, false, "", "")),
        ("a * on() b", plain(Cardinality::OneToOne, true, "", "")),
        ("a and on(x, \"y z\",) b", plain(Cardinality::ManyToMany, true, "x,y z", "")),
        ("a / on(x) group_left b", plain(Cardinality::ManyToOne, true, "x", "")),
        ("a / ignoring(x) group_left(x) b", plain(Cardinality::ManyToOne, false, "x", "x")),
        ("a == bool on(x) group_right(y) b", plain(Cardinality::OneToMany, true, "x", "y")),
        ("a * 1", None),
        ("1 * on() a", None),
    ] {
        assert_eq!(matching(text), expected, "{text}");
    }
    for (text, left, right) in [
        ("a + fill(0) b", Some(0.0), Some(0.0)),
        ("a + on(x) fill_left(-1) b", Some(-1.0), None),
        ("a + on(x) group_left fill_right(+1m) b", None, Some(60.0)),
        ("a + fill_left(1) fill_right(2) b", Some(1.0), Some(2.0)),
        ("a + fill_right (2) fill_left (NaN) b", Some(f64::NAN), Some(2.0)),
    ] {
        assert_eq!(matching(text).expect("vectors").4, Fill { left, right }, "{text}");
    }
}

#[test]
fn selectors_can_be_moved_in_time() {
    let modifiers = |text: &str| {
        let expr = parsed(text);
        match expr.kind {
            ExprKind::VectorSelector(v) => (v.offset, v.at, v.extension),
            ExprKind::MatrixSelector(m) => (m.selector.offset, m.selector.at, m.selector.extension),
            ExprKind::Subquery(s) => (s.offset, s.at, None),
            _ => panic!("{text}"),
        }
    };
    let at = |millis| Some(AtModifier::Timestamp(crate::model::Timestamp::from_millis(millis)));
    for (text, offset, at, extension) in [
        ("foo offset 1h30m", 5_400_000, None, None),
        ("foo offset -7m", -420_000, None, None),
        ("foo offset +90", 90_000, None, None),
        ("foo[5m] OFFSET 3600", 3_600_000, None, None),
        ("foo @ 3.3335", 0, at(3334), None),
        ("foo @ -3.3e1", 0, at(-33_000), None),
        ("foo @ 0xA", 0, at(10_000), None),
        ("foo @ 1m", 0, at(60_000), None),
        ("foo @ .3 offset 1m", 60_000, at(300), None),
        ("foo offset 1m @ 1603774568", 60_000, at(1_603_774_568_000), None),
        ("foo[3ms] @ start()", 0, Some(AtModifier::Start), None),
        ("foo[5m:10s] @ END ( ) offset 2w", 1_209_600_000, Some(AtModifier::End), None),
        ("foo anchored", 0, None, Some(Extension::Anchored)),
        ("foo[5m] smoothed @ 1 offset 1s", 1000, at(1000), Some(Extension::Smoothed)),
        ("foo[5m] offset 1s anchored", 1000, None, Some(Extension::Anchored)),
        ("foo anchored[5m]", 0, None, Some(Extension::Anchored)),
    ] {
        assert_eq!(modifiers(text), (DurationArg::Millis(offset), at, extension), "{text}");
    }
}

#[test]
fn ranges_and_steps_are_durations_or_arithmetic() {
    for (text, printed) in [
        ("foo[1001ms]", "foo[1s1ms]"),
        ("foo[5m30s]", "foo[5m30s]"),
        ("foo[4.18]", "foo[4s180ms]"),
        ("foo[5]", "foo[5s]"),
        ("foo[ 5y ]", "foo[5y]"),
        ("foo[10m5s:1h6ms]", "foo[10m5s:1h6ms]"),
        ("foo[10m:]", "foo[10m:]"),
        ("foo[10m : 6s]", "foo[10m:6s]"),
        ("foo[11s+10s-5*2^2]", "foo[11s + 10s - 5 * 2 ^ 2]"),
        ("foo[-(10s-5s)+20s]", "foo[-(10s - 5s) + 20s]"),
        ("foo[-10s+15s]", "foo[-10s + 15s]"),
        ("foo[  -  step  (  )  ]", "foo[-step()]"),
        ("foo[STEP()]", "foo[step()]"),
        ("foo[-2^2]", "foo[-2 ^ 2]"),
        ("foo[0+-2^2]", "foo[0 + -2 ^ 2]"),
        ("foo[max_of(range(),5s)]", "foo[max_of(range(), 5s)]"),
        ("foo[2m/range()]", "foo[2m / range()]"),
        ("foo[(5s)]", "foo[(5s)]"),
        ("foo[((5s))]", "foo[(5s)]"),
        ("foo[4s+4s:1s*2] offset (5s-8)", "foo[4s + 4s:1s * 2] offset (5s - 8)"),
        ("foo[5m:step() + 1]", "foo[5m:step() + 1]"),
        ("foo offset (5)", "foo offset (5)"),
        ("foo offset +(5)", "foo offset (5)"),
        ("foo offset -(5)", "foo offset -(5)"),
        ("foo offset -(1^2)", "foo offset -(1 ^ 2)"),
        ("foo offset (-1^2)", "foo offset (-1 ^ 2)"),
        ("foo offset -range()", "foo offset -range()"),
        ("foo offset -min_of(5s,step()+8s)", "foo offset -min_of(5s, step() + 8s)"),
    ] {
        assert_eq!(parsed(text).to_string(), printed, "{text}");
    }
    let ExprKind::MatrixSelector(matrix) = parsed("foo[11s-5*2]").kind else { panic!("no matrix") };
    let DurationArg::Expr(range) = matrix.range else { panic!("no arithmetic") };
    assert!(matches!(&range.kind, DurationKind::Binary(BinaryOp::Sub, _, right) if right.span == Span::new(8, 11)));
}

#[test]
fn calls_and_aggregations_have_types() {
    for (text, value_type) in [
        ("time()", ValueType::Scalar),
        ("pi() > bool 3", ValueType::Scalar),
        ("max_of(1, 2)", ValueType::Scalar),
        ("start() + end() - range() / step()", ValueType::Scalar),
        ("round(foo)", ValueType::Vector),
        ("round(foo, 5)", ValueType::Vector),
        ("hour()", ValueType::Vector),
        ("label_join(foo, 'a', ',')", ValueType::Vector),
        ("label_join(foo, 'a', ',', 'b', 'c')", ValueType::Vector),
        ("histogram_quantiles(foo, 'q', 0.5, 0.9, 0.99)", ValueType::Vector),
        ("info(foo)", ValueType::Vector),
        ("info(foo, {})", ValueType::Vector),
        ("info(foo, {a=~\".*\"})", ValueType::Vector),
        ("-1 + foo", ValueType::Vector),
        ("(\"a\")", ValueType::String),
        ("foo[5m:]", ValueType::Matrix),
        ("topk(scalar(foo), foo)", ValueType::Vector),
        ("count_values('a', foo) by (b)", ValueType::Vector),
        ("sum(sum)", ValueType::Vector),
        ("sum without (a) (foo) [5m:10s]", ValueType::Matrix),
    ] {
        assert_eq!(parsed(text).value_type(), value_type, "{text}");
    }
}

#[test]
fn a_selector_may_stand_alone() {
    let conditions = |text: &str| parse_selector(text).map(|matchers| matchers.len());
    assert_eq!(conditions("up{job=\"a\"}"), Ok(2));
    assert_eq!(conditions("{job=\"\"}"), Ok(1));
    assert_eq!(parse_selector("up + 1").expect_err("no selector").to_string(), "1:4: parse error: unexpected <op:+>");
    assert_eq!(parse_selector("up[5m]").expect_err("no selector").to_string(), "1:3: parse error: unexpected \"[\"");
    assert_eq!(parse_selector("1").expect_err("no selector").to_string(), "1:1: parse error: unexpected number \"1\"");
}
