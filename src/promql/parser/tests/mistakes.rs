//! Mistakes, with Prometheus's words and places. Most inputs and messages are those of Prometheus's own parser tests,
//! as far as they concern the first mistake of a query. Where an operator is to blame, the place here is the whole
//! operator; Prometheus leaves out its last byte.

use super::*;

/// Each query is wrong from the first byte to the second, with this message.
fn assert_mistakes(cases: &[(&str, u32, u32, &str)]) {
    for (text, start, end, message) in cases {
        let error = failed(text);
        assert_eq!((error.message.as_str(), error.position), (*message, Span::new(*start, *end)), "{text}");
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
        ("foo{a=~\"(\"}", 4, 10, "error parsing regexp: missing closing ): `(`"),
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
    let regexes = |count| format!("foo{{{}}}", "a=~\"b\",".repeat(count));
    parsed(&regexes(QUERY_REGEXES_MAX));
    assert_eq!(failed(&regexes(QUERY_REGEXES_MAX + 1)).message, "query has too many regular expressions: at most 200 are allowed");
}
