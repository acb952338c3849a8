//! Every construct, precedence, and the mistakes with Prometheus's words and places. The inputs and messages of the
//! tables are those of Prometheus's own parser tests (Apache-2.0), as far as they concern the first mistake of a query.

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

/// Each query is wrong from the first byte to the second, with this message.
fn assert_mistakes(cases: &[(&str, u32, u32, &str)]) {
    for (text, start, end, message) in cases {
        let error = failed(text);
        assert_eq!((error.message.as_str(), error.position), (*message, Span::new(*start, *end)), "{text}");
    }
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
        ("foo offset (1m) + step()", "foo offset (1m) + step()"),
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
fn unfinished_and_misplaced_words_are_named() {
    assert_mistakes(&[
        ("", 0, 0, "no expression found in input"),
        ("# just a comment\n\n", 0, 0, "no expression found in input"),
        ("1+", 2, 2, "unexpected end of input"),
        ("1 /", 3, 3, "unexpected end of input"),
        ("*1", 0, 1, "unexpected <op:*>"),
        ("*test", 0, 1, "unexpected <op:*>"),
        ("@@", 0, 1, "unexpected <op:@>"),
        ("-=", 1, 2, "unexpected \"=\""),
        ("++-++-+-+-<", 10, 11, "unexpected <op:<>"),
        ("e-+=/(0)", 3, 4, "unexpected \"=\""),
        ("a - on(b) ignoring(c) d", 10, 18, "unexpected <ignoring>"),
        ("foo + group_left(baz) bar", 6, 16, "unexpected <group_left>"),
        ("foo bar", 4, 7, "unexpected identifier \"bar\""),
        ("foo a:bar", 4, 9, "unexpected metric identifier \"a:bar\""),
        ("foo 'bar'", 4, 9, "unexpected string \"'bar'\""),
        ("foo 'bar baz qux'", 4, 17, "unexpected string \"'bar baz q\"..."),
        ("foo 5m", 4, 6, "unexpected duration \"5m\""),
        ("foo start", 4, 9, "unexpected \"start\""),
        ("foo Sum", 4, 7, "unexpected <aggr:Sum>"),
        ("a + fill(b) c", 9, 10, "unexpected identifier \"b\""),
    ]);
}

#[test]
fn aggregations_are_named_when_something_in_them_is_wrong() {
    assert_mistakes(&[
        ("sum without(==)(some_metric)", 12, 14, "unexpected <op:==> in grouping opts, expected label"),
        ("sum without(,)(some_metric)", 12, 13, "unexpected \",\" in grouping opts, expected label"),
        ("sum without(foo,,)(some_metric)", 16, 17, "unexpected \",\" in grouping opts, expected label"),
        ("sum by(foo bar)(some_metric)", 11, 14, "unexpected identifier \"bar\" in grouping opts, expected \",\" or \")\""),
        ("sum by('')(some_metric)", 7, 9, "invalid label name for grouping: \"\""),
        ("sum some_metric by (test)", 4, 15, "unexpected identifier \"some_metric\""),
        ("sum (some_metric) by test", 21, 25, "unexpected identifier \"test\" in grouping opts, expected \"(\""),
        ("sum () by (test)", 0, 16, "no arguments for aggregate expression provided"),
        ("MIN keep_common (some_metric)", 4, 15, "unexpected identifier \"keep_common\""),
        ("MIN (some_metric) keep_common", 18, 29, "unexpected identifier \"keep_common\""),
        ("sum (some_metric) without (test) by (test)", 33, 35, "unexpected <by>"),
        ("sum without (test) (some_metric) by (test)", 33, 35, "unexpected <by>"),
        ("sum by (test) some_metric", 14, 25, "unexpected identifier \"some_metric\" in aggregation"),
        ("sum(1 + )", 8, 9, "unexpected \")\" in aggregation"),
        ("topk(some_metric)", 0, 17, "wrong number of arguments for aggregate expression provided, expected 2, got 1"),
        ("sum(a, b)", 0, 9, "wrong number of arguments for aggregate expression provided, expected 1, got 2"),
        ("topk(some_metric,)", 16, 17, "trailing commas not allowed in function call args"),
        ("topk(some_metric, other_metric)", 5, 16, "expected type scalar in aggregation parameter, got instant vector"),
        ("count_values(5, other_metric)", 13, 14, "expected type string in aggregation parameter, got scalar"),
        ("sum(5)", 4, 5, "expected type instant vector in aggregation expression, got scalar"),
        (r#"count_values("a\xc5z", data)"#, 13, 21, r#"invalid label name "a\xc5z""#),
    ]);
}

#[test]
fn calls_are_checked() {
    assert_mistakes(&[
        ("floor()", 0, 7, "expected 1 argument(s) in call to \"floor\", got 0"),
        ("floor(some_metric, 1)", 0, 21, "expected 1 argument(s) in call to \"floor\", got 2"),
        ("floor(1)", 6, 7, "expected type instant vector in call to function \"floor\", got scalar"),
        ("hour(some_metric, some_metric, some_metric)", 0, 43, "expected at most 1 argument(s) in call to \"hour\", got 3"),
        ("label_join(a, 'b')", 0, 18, "expected at least 3 argument(s) in call to \"label_join\", got 2"),
        ("time(some_metric)", 0, 17, "expected 0 argument(s) in call to \"time\", got 1"),
        ("non_existent_function_far_bar()", 0, 29, "unknown function with name \"non_existent_function_far_bar\""),
        ("a>b()", 2, 3, "unknown function with name \"b\""),
        ("Rate(a[5m])", 0, 4, "unknown function with name \"Rate\""),
        ("rate(some_metric)", 5, 16, "expected type range vector in call to function \"rate\", got instant vector"),
        ("rate(avg)", 5, 8, "expected type range vector in call to function \"rate\", got instant vector"),
        ("label_replace(a, * `b`)", 15, 16, "trailing commas not allowed in function call args"),
        ("rate(,)", 5, 6, "unexpected \",\""),
        ("info(rate(a{}[5m]), target_info{foo=\"bar\"})", 20, 42, "expected label selectors only, got vector selector instead"),
        ("info(a{n=\"z\"}, {foo=\"bar\"} == 1)", 15, 31, "expected label selectors only"),
        ("info(1, 2)", 0, 10, "expected type instant vector in call to function \"info\", got scalar"),
        (r#"label_replace(a, "b\xff", "c", "d", ".*")"#, 17, 24, r#"error unquoting string "\"b\\xff\"": invalid UTF-8"#),
    ]);
}

#[test]
fn operations_are_checked() {
    const ONLY: &str = "binary expression must contain only scalar and instant vector types";
    assert_mistakes(&[
        ("1 and 1", 0, 7, "set operator \"and\" not allowed in binary scalar expression"),
        ("foo or 1", 0, 8, "set operator \"or\" not allowed in binary scalar expression"),
        ("1 unless foo", 0, 12, "set operator \"unless\" not allowed in binary scalar expression"),
        ("1 == 1", 2, 4, "comparisons between scalars must use BOOL modifier"),
        ("1 or on(bar) foo", 0, 16, "vector matching only allowed between instant vectors"),
        ("foo == on(bar) 10", 0, 17, "vector matching only allowed between instant vectors"),
        ("foo and on(bar) group_left(baz) bar", 0, 35, "no grouping allowed for \"and\" operation"),
        ("foo unless on(bar) group_right(baz) bar", 0, 39, "no grouping allowed for \"unless\" operation"),
        ("a + on(b) group_left(c,b) d", 2, 25, "label \"b\" must not occur in ON and GROUP clause at once"),
        ("foo + bool bar", 4, 10, "bool modifier can only be used on comparison operators"),
        ("foo and bool 10", 4, 12, "bool modifier can only be used on comparison operators"),
        ("foo </ bool 1", 4, 11, "bool modifier can only be used on comparison operators"),
        ("foo + fill(0) 1", 0, 15, "filling in missing series only allowed between instant vectors"),
        ("foo and fill(0) bar", 0, 19, "filling in missing series not allowed for set operators"),
        ("'a' + 1", 0, 3, ONLY),
        ("1 + a[5m]", 4, 9, ONLY),
        ("-\"string\"", 0, 9, "unary expression only allowed on expressions of type scalar or instant vector, got \"string\""),
        ("-test[5m]", 0, 9, "unary expression only allowed on expressions of type scalar or instant vector, got \"range vector\""),
    ]);
}

#[test]
fn selectors_are_checked() {
    const EMPTY: &str = "vector selector must contain at least one non-empty matcher";
    assert_mistakes(&[
        ("{", 1, 1, "unexpected end of input inside braces"),
        ("some{", 5, 5, "unexpected end of input inside braces"),
        ("}", 0, 1, "unexpected character: '}'"),
        ("some}", 4, 5, "unexpected character: '}'"),
        ("foo{{", 4, 5, "unexpected left brace '{'"),
        ("some_metric{a=b}", 14, 15, "unexpected identifier \"b\" in label matching, expected string"),
        ("some_metric{a:b=\"b\"}", 13, 20, "unexpected character inside braces: ':'"),
        ("foo{a*\"b\"}", 5, 10, "unexpected character inside braces: '*'"),
        ("foo{a>=\"b\"}", 5, 11, "unexpected character inside braces: '>'"),
        ("foo{a!\"b\"}", 5, 10, "unexpected character after '!' inside braces: '\"'"),
        ("foo{gibberish}", 13, 14, "unexpected \"}\" in label matching, expected label matching operator"),
        ("foo{1}", 4, 6, "unexpected character inside braces: '1'"),
        ("{}", 0, 2, EMPTY),
        ("{x=\"\"}", 0, 6, EMPTY),
        ("{x=~\".*\"}", 0, 9, EMPTY),
        ("{x!~\".+\"}", 0, 9, EMPTY),
        ("{x!=\"a\"}", 0, 8, EMPTY),
        ("info({}, {a=\"b\"})", 5, 7, EMPTY),
        ("foo{__name__=\"bar\"}", 0, 19, "metric name must not be set twice: \"foo\" or \"bar\""),
        ("foo{\"bar\"}", 0, 10, "metric name must not be set twice: \"foo\" or \"bar\""),
        ("foo{__name__= =}", 14, 15, "unexpected \"=\" in label matching, expected string"),
        ("foo{__name__ == \"bar\"}", 14, 15, "unexpected \"=\" in label matching, expected string"),
        ("foo{,}", 4, 5, "unexpected \",\" in label matching, expected identifier or \"}\""),
        ("foo{a=\"b\",,}", 10, 11, "unexpected \",\" in label matching, expected identifier or \"}\""),
        ("foo{bar=\"x\" baz=\"y\"}", 12, 15, "unexpected identifier \"baz\" in label matching, expected \",\" or \"}\""),
        ("{\"foo\"xx}", 6, 8, "unexpected identifier \"xx\" in label matching, expected \",\" or \"}\""),
        ("foo{\"a\"=}", 8, 9, "unexpected \"}\" in label matching, expected string"),
        ("foo{a=~\"(\"}", 4, 10, "error parsing regexp: unclosed group: `(`"),
    ]);
}

#[test]
fn words_that_are_none_are_named() {
    assert_mistakes(&[
        (".", 0, 1, "unexpected character: '.'"),
        ("a $ b", 2, 5, "unexpected character: '$'"),
        ("ä", 0, 2, "unexpected character: 'ä'"),
        ("2.5.", 0, 4, "bad number or duration syntax: \"2.5.\""),
        ("100..4", 0, 6, "bad number or duration syntax: \"100..\""),
        ("0deadbeef", 0, 9, "bad number or duration syntax: \"0de\""),
        ("0x1.5", 0, 5, "bad number or duration syntax: \"0x1.\""),
        ("1__0", 0, 4, "bad number or duration syntax: \"1__\""),
        ("1e", 0, 2, "bad number or duration syntax: \"1e\""),
        ("1e ", 0, 2, "error parsing number: strconv.ParseFloat: parsing \"1e\": invalid syntax"),
        ("1e999", 0, 5, "error parsing number: strconv.ParseFloat: parsing \"1e999\": value out of range"),
        ("5m1h", 0, 4, "not a valid duration string: \"5m1h\""),
        ("300y", 0, 4, "duration out of range"),
        ("1 !~ 1", 2, 6, "unexpected character after '!': '~'"),
        ("1 =~ 1", 2, 6, "unexpected character after '=': '~'"),
        ("1 !", 2, 3, "unexpected character after '!': '\u{fffd}'"),
        ("(1))", 4, 4, "unexpected right parenthesis ')'"),
        ("((1)", 4, 4, "unclosed left parenthesis"),
        ("(", 1, 1, "unclosed left parenthesis"),
        ("sum(rate(", 9, 9, "unclosed left parenthesis"),
        ("`\\``", 3, 4, "unterminated raw string"),
        ("\"a\nb\"", 0, 5, "unterminated quoted string"),
        ("sum by (\"foo)(some_metric{})", 8, 28, "unterminated quoted string"),
        ("\"\\", 0, 2, "escape sequence not terminated"),
        ("\"\\c\"", 0, 4, "unknown escape sequence U+0063 'c'"),
        ("'\\\"'", 0, 4, "unknown escape sequence U+0022 '\"'"),
        ("\"\\x.\"", 0, 5, "illegal character U+002E '.' in escape sequence"),
        ("\"\\ud800\"", 0, 8, "escape sequence is an invalid Unicode code point"),
        ("\"\\777\"", 0, 6, "escape sequence is an invalid Unicode code point"),
    ]);
    let nines = "9".repeat(309);
    let message = format!("error parsing number: strconv.ParseFloat: parsing \"{nines}\": value out of range");
    assert_mistakes(&[(&nines, 0, 309, &message)]);
}

#[test]
fn durations_are_checked() {
    const BRACKETS: &str = "in subquery or range selector, expected number, duration, step(), or range()";
    assert_mistakes(&[
        ("foo[5mm]", 4, 8, "bad number or duration syntax: \"5mm\""),
        ("foo[5m1]", 4, 8, "bad number or duration syntax: \"5m1\""),
        ("foo[5m:1m1]", 7, 11, "bad number or duration syntax: \"1m1\""),
        ("foo[5y1hs]", 4, 9, "unknown unit \"hs\" in duration \"5y1hs\""),
        ("foo[5m1m]", 4, 8, "not a valid duration string: \"5m1m\""),
        ("foo[0m]", 4, 6, "duration must be greater than 0"),
        ("foo[-1]", 4, 6, "duration must be greater than 0"),
        ("foo[5m:0]", 7, 8, "duration must be greater than 0"),
        ("foo[0.0001]", 4, 10, "duration must be greater than 0"),
        ("foo[\"5m\"]", 4, 9, "unexpected character in duration expression: '\"'"),
        ("foo[x]", 4, 6, "unexpected character in duration expression: 'x'"),
        ("foo[:5m]", 5, 8, "unexpected colon before duration in duration expression"),
        ("foo[", 4, 4, "unexpected end of input in duration expression"),
        ("foo[5m", 6, 6, "unclosed left bracket"),
        ("foo[5m[", 6, 7, "unexpected left bracket '['"),
        ("foo]", 3, 4, "unexpected right bracket ']'"),
        ("foo[5m:1m:1m]", 9, 13, "unexpected colon ':'"),
        ("foo[5s x 5s]", 7, 12, "unexpected character: 'x', expected ':'"),
        ("foo[5s s 5s]", 7, 12, "unexpected character: 's', expected ':'"),
        ("foo[]", 4, 5, &format!("unexpected \"]\" {BRACKETS}")),
        ("foo[step]", 8, 9, &format!("unexpected \"]\" {BRACKETS}")),
        ("foo[5m+]", 7, 8, &format!("unexpected \"]\" {BRACKETS}")),
        ("foo[5m 6m]", 7, 9, "unexpected duration \"6m\" in subquery or range, expected \":\" or \"]\""),
        ("foo[5m:1m 2]", 10, 11, "unexpected number \"2\" in subquery selector, expected \"]\""),
        ("foo[5m:)", 8, 8, "unexpected right parenthesis ')'"),
        ("foo[5m:*]", 7, 8, "unexpected <op:*> in subquery selector, expected number, duration, step(), range(), or \"]\""),
        ("foo[step()/0d]", 10, 11, "division by zero"),
        ("foo[5s%0d]", 6, 7, "modulo by zero"),
        ("foo offset (4d/0)", 14, 15, "division by zero"),
        ("foo offset 9.5e10", 11, 17, "duration out of range"),
        ("foo[9.5e10]", 4, 10, "duration out of range"),
        ("foo offset NaN", 11, 14, "duration out of range"),
        ("some_metric[5m] OFFSET 1mm", 23, 26, "bad number or duration syntax: \"1mm\""),
        ("some_metric[5m] OFFSET", 22, 22, "unexpected end of input in offset, expected number, duration, step(), or range()"),
        ("foo offset (5m foo)", 15, 18, "unexpected identifier \"foo\" in offset, expected number, duration, step(), or range()"),
    ]);
}

#[test]
fn modifiers_are_checked() {
    const OFFSET: &str = "offset modifier must be preceded by an instant vector selector or range vector selector or a subquery";
    const AT: &str = "@ modifier must be preceded by an instant vector selector or range vector selector or a subquery";
    assert_mistakes(&[
        ("1 offset 1d", 0, 1, OFFSET),
        ("foo offset 1s offset 2s", 0, 13, "offset may not be set multiple times"),
        ("foo offset step() offset 2s", 0, 17, "offset may not be set multiple times"),
        ("rate(some_metric[5m]) @ 1234", 0, 21, AT),
        ("foo @ 1 @ 2", 0, 7, "@ <timestamp> may not be set multiple times"),
        ("foo @ start() @ 2", 0, 13, "@ <timestamp> may not be set multiple times"),
        ("foo @ +Inf", 0, 3, "timestamp out of bounds for @ modifier: +Inf"),
        ("foo @ -Inf", 0, 3, "timestamp out of bounds for @ modifier: -Inf"),
        ("foo @ NaN", 0, 3, "timestamp out of bounds for @ modifier: NaN"),
        ("foo @ 9223372036854775808", 0, 3, "timestamp out of bounds for @ modifier: 9223372036854775808.000000"),
        ("some_metric[5m] @", 17, 17, "unexpected end of input in @, expected timestamp"),
        ("foo @ start", 11, 11, "unexpected end of input in @, expected timestamp"),
        ("foo @ bar", 6, 9, "unexpected identifier \"bar\" in @, expected timestamp"),
        ("some_metric OFFSET 1m[5m]", 21, 25, "no offset modifiers allowed before range"),
        ("some_metric offset step()[5m]", 25, 29, "no offset modifiers allowed before range"),
        ("some_metric @ 1234 [5m]", 19, 23, "no @ modifiers allowed before range"),
        ("some_metric @ end()[5m]", 19, 23, "no @ modifiers allowed before range"),
        ("(foo + bar)[5m]", 11, 15, "ranges only allowed for vector selectors"),
        ("rate(food[1m])[1h] offset 1h", 14, 18, "ranges only allowed for vector selectors"),
        ("1[5m] smoothed", 1, 5, "ranges only allowed for vector selectors"),
        ("test[5d] OFFSET 10s [10m:5s]", 0, 28, "subquery is only allowed on instant vector, got matrix instead"),
        ("(foo + bar{nm=\"val\"})[5m:][10m:5s]", 0, 34, "subquery is only allowed on instant vector, got matrix instead"),
        ("foo anchored smoothed", 0, 12, "anchored and smoothed modifiers cannot be used together"),
        ("foo[5m:] smoothed", 0, 8, "smoothed modifier is not supported for subqueries"),
        ("rate(foo[5m]) anchored", 0, 13, "anchored modifier not implemented"),
    ]);
}

#[test]
fn line_and_column_stand_before_the_message() {
    assert_eq!(failed("1 +\n").to_string(), "2:1: parse error: unexpected end of input");
    assert_eq!(
        failed("foo{bar=\"x\" baz=\"y\"}").to_string(),
        "1:13: parse error: unexpected identifier \"baz\" in label matching, expected \",\" or \"}\""
    );
    assert_eq!(
        failed("sum(a)\n  by (b)\n  and 1").to_string(),
        "1:1: parse error: set operator \"and\" not allowed in binary scalar expression"
    );
    assert_eq!(failed("").to_string(), "unknown position: parse error: no expression found in input");
    let text = "rate(errors[5m]) /\n  rate(requests)";
    assert_eq!(failed(text).caret(text), "  rate(requests)\n       ^^^^^^^^");
}

#[test]
fn hostile_queries_are_refused_without_harm() {
    let deep = |open: &str, close: &str, count: usize| format!("{}1{}", open.repeat(count), close.repeat(count));
    let fits = usize::try_from(QUERY_DEPTH_MAX).expect("small") - 2;
    for (open, close) in [("(", ")"), ("-(", ")"), ("vector(scalar(", "))"), ("1+", ""), ("1^", ""), ("a or ", " or a"), ("+", "")] {
        for count in [1000, 10_000] {
            let text = deep(open, close, count);
            let error = failed(&text);
            assert!(error.message.contains("nested too deeply") || error.message.contains("too long"), "{open}: {error}");
        }
    }
    for text in [deep("(", ")", fits), deep("1+", "", fits), deep("1^", "", fits), deep("-(", ")", fits / 2)] {
        let expr = parsed(&text);
        assert_eq!(parsed(&expr.to_string()), expr.clone());
    }
    for text in [format!("foo{}", "[1m:]".repeat(5000)), format!("foo[{}1s{}]", "(".repeat(9000), ")".repeat(9000))] {
        assert!(failed(&text).message.contains("nested too deeply"));
    }
    for text in ["foo[1s".to_owned() + &"+1s".repeat(9000) + "]", "foo offset ".to_owned() + &"min_of(1,".repeat(5000)] {
        assert!(failed(&text).message.contains("nested too deeply"), "{}", failed(&text));
    }
    let long = format!("foo{{a=\"{}\"}}", "x".repeat(QUERY_BYTES_MAX));
    assert_eq!(failed(&long).message, "query is too long: 65545 bytes, at most 65536 are allowed");
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
