//! What holds for every query: nothing makes the parser panic, and a printed query reads back as the same tree.

use proptest::prelude::*;

use super::*;

/// Words in any order, most of them nonsense together.
fn soup() -> impl Strategy<Value = String> {
    const WORDS: &[&str] = &[
        "foo",
        "a:b",
        "sum",
        "by",
        "without",
        "on",
        "ignoring",
        "group_left",
        "bool",
        "offset",
        "anchored",
        "fill",
        "start",
        "step",
        "min_of",
        "rate",
        "info",
        "inf",
        "1",
        "0x1f",
        "1e",
        "5m",
        "1.5.",
        "(",
        ")",
        "{",
        "}",
        "[",
        "]",
        "=",
        "=~",
        "!=",
        "!~",
        "==",
        "<",
        "</",
        ">/",
        "+",
        "-",
        "*",
        "^",
        "@",
        ",",
        ":",
        "and",
        "atan2",
        "\"a\"",
        "'",
        "`b`",
        "\\",
        "#",
        "\n",
        "ä",
        "\u{0}",
    ];
    prop::collection::vec((prop::sample::select(WORDS), prop::sample::select(&["", " "][..])), 0..30)
        .prop_map(|words| words.into_iter().flat_map(|(word, space)| [word, space]).collect())
}

fn duration() -> impl Strategy<Value = String> {
    let literal = prop_oneof![
        prop::sample::select(&["5m", "1h30m", "90", "0.5", "7", "step()", "range()"][..]).prop_map(str::to_owned),
        (1..10_000_000_u32).prop_map(|millis| format!("{millis}ms")),
    ];
    literal.prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            (inner.clone(), prop::sample::select(&["+", "-", "*", "/", "%", "^"][..]), inner.clone())
                .prop_map(|(a, op, b)| format!("{a} {op} {b}")),
            inner.clone().prop_map(|a| format!("({a})")),
            inner.clone().prop_map(|a| format!("-{a}")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("max_of({a}, {b})")),
        ]
    })
}

fn selector() -> impl Strategy<Value = String> {
    let condition = (
        prop::sample::select(&["a", "b", "NaN", "'x y'", "\"ä\""][..]),
        prop::sample::select(&["=", "!=", "=~", "!~"][..]),
        "[a-z .|]{0,3}",
    )
        .prop_map(|(label, op, value)| format!("{label}{op}{value:?}"));
    let name = prop::sample::select(&["foo", "a:b", "sum", "offset", "by", "fill", "{\"q\",", "{__name__=\"p\","][..]);
    (name, prop::collection::vec(condition, 0..3)).prop_map(|(name, conditions)| match name.strip_suffix(',') {
        Some(open) => format!("{open},{}}}", conditions.join(",")),
        None if conditions.is_empty() => name.to_owned(),
        None => format!("{name}{{{}}}", conditions.join(",")),
    })
}

fn modifiers() -> impl Strategy<Value = String> {
    let offset = prop_oneof![
        2 => Just(String::new()),
        1 => prop::sample::select(&[" offset 5m", " offset -90", " offset step()", " offset +1h"][..]).prop_map(str::to_owned),
        1 => duration().prop_map(|duration| format!(" offset ({duration})")),
    ];
    let at = prop::sample::select(&["", "", " @ 12.345", " @ start()", " @ end()", " @ -1"][..]);
    (at, offset, any::<bool>()).prop_map(|(at, offset, first)| if first { format!("{at}{offset}") } else { format!("{offset}{at}") })
}

fn vector() -> impl Strategy<Value = String> {
    let leaf = (selector(), modifiers()).prop_map(|(selector, modifiers)| selector + &modifiers);
    leaf.prop_recursive(4, 24, 3, |inner| {
        let arithmetic = ["+", "-", "*", "/", "%", "^", "atan2", "==", "> bool", "</", ">/", "<="];
        let grouping =
            ["", " on (a)", " ignoring (a, \"b c\")", " on () group_left (x)", " ignoring (y) group_right ()", " on (by) fill (0.5)"];
        prop_oneof![
            (inner.clone(), prop::sample::select(arithmetic.to_vec()), prop::sample::select(grouping.to_vec()), inner.clone())
                .prop_map(|(a, op, grouping, b)| format!("{a} {op}{grouping} {b}")),
            (inner.clone(), prop::sample::select(&["and", "or on (x)", "unless ignoring (a)"][..]), inner.clone())
                .prop_map(|(a, op, b)| format!("{a} {op} {b}")),
            (inner.clone(), prop::sample::select(&["+", "*", "<", "^"][..]), number()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
            inner.clone().prop_map(|a| format!("({a})")),
            inner.clone().prop_map(|a| format!("-{a}")),
            (prop::sample::select(&["sum(", "max by (a) (", "avg without () (", "topk by (on, without_) (1, "][..]), inner.clone())
                .prop_map(|(open, a)| format!("{open}{a})")),
            inner.clone().prop_map(|a| format!("count_values(\"a\\\"\\u2603\", {a}) by (\"x y\")")),
            (selector(), duration(), prop::sample::select(&["", " anchored", " smoothed"][..]), modifiers())
                .prop_map(|(a, range, extension, modifiers)| format!("rate({a}[9m + {range}]{extension}{modifiers})")),
            (inner, duration(), modifiers()).prop_map(|(a, step, modifiers)| format!("max_over_time(({a})[1h:1 + {step}]{modifiers})")),
        ]
    })
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<f64>().prop_map(|value| format!("{value:e}")),
        any::<u32>().prop_map(|value| format!("{value:#x}")),
        prop::sample::select(&["Inf", "-Inf", "NaN", "5m", "-1h1ms", "+3", "--1", "-0"][..]).prop_map(str::to_owned),
    ]
}

fn assert_reads_back(text: &str, expr: &Expr) -> std::result::Result<(), TestCaseError> {
    let printed = expr.to_string();
    let again = parse(&printed).map_err(|error| TestCaseError::fail(format!("{text:?} printed {printed:?}: {error}")))?;
    prop_assert_eq!(&again, expr, "{} printed {}", text, printed);
    prop_assert_eq!(again.to_string(), printed);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 4, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_soup_of_words_does_harm(text in soup()) {
        match parse(&text) {
            Ok(expr) => assert_reads_back(&text, &expr)?,
            Err(error) => {
                let (start, end) = (error.position.start as usize, error.position.end as usize);
                prop_assert!(start <= end && end <= text.len(), "{error}: {:?}", error.position);
                prop_assert!(!error.caret(&text).is_empty());
            }
        }
    }

    #[test]
    fn no_text_does_harm(text in "\\PC{0,40}") {
        let _ = parse(&text).map_err(|error| error.caret(&text));
    }

    #[test]
    fn a_printed_query_reads_back(text in vector()) {
        match parse(&text) {
            Ok(expr) => assert_reads_back(&text, &expr)?,
            // What is put together at random may divide by a zero or name a label twice, but it is always a query.
            Err(error) => prop_assert!(!error.message.starts_with("unexpected"), "{text}: {error}"),
        }
    }

    #[test]
    fn a_printed_number_reads_back(text in number()) {
        let expr = parse(&text).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
        assert_reads_back(&text, &expr)?;
    }
}

#[test]
fn printing_gives_prometheus_form() {
    for (text, printed) in [
        ("sum by() (task:errors:rate10s{job=\"s\"})", "sum(task:errors:rate10s{job=\"s\"})"),
        ("sum by(code,\"x y\") (a)", "sum by (code, \"x y\") (a)"),
        ("sum by(\"without\", \"Inf\", \"and\", fill) (a)", "sum by (\"without\", \"Inf\", and, fill) (a)"),
        ("sum(a) without()", "sum without () (a)"),
        ("topk(5,a)", "topk(5, a)"),
        ("count_values('value', a)", "count_values(\"value\", a)"),
        ("a - on() c", "a - on () c"),
        ("a - on(b) group_left c", "a - on (b) group_left () c"),
        ("a - ignoring(b) group_right(x,y) c", "a - ignoring (b) group_right (x, y) c"),
        ("a - ignoring() c", "a - c"),
        ("a + fill(1e6) c", "a + fill (1e+06) c"),
        ("a + on(x) fill_right(0) fill_left(-1) c", "a + on (x) fill_left (-1) fill_right (0) c"),
        ("up>bool 0", "up > bool 0"),
        ("a{c='d',b!~\"e\\\\d\"}[5m] offset 1m", "a{b!~\"e\\\\d\",c=\"d\"}[5m] offset 1m"),
        ("{\"a\"}", "{__name__=\"a\"}"),
        ("{\"a.b\",\"c.d\"='e'}", "{\"c.d\"=\"e\",__name__=\"a.b\"}"),
        ("a offset 1m @ 10", "a @ 10.000 offset 1m"),
        ("a[1m] offset 1m @ start() anchored", "a[1m] anchored @ start() offset 1m"),
        ("a[1h:5m] @ end() offset -3m", "a[1h:5m] @ end() offset -3m"),
        ("a offset (1m) anchored @ 1 + 5", "a @ 1.000 anchored offset (1m) + 5"),
        ("Inf ^ 2", "Inf ^ 2"),
        ("a offset 0s", "a"),
        ("1e6 + .5 + 1h + -90s + Inf", "1000000 + 0.5 + 1h + -1m30s + +Inf"),
        ("-  ( - a )", "-(-a)"),
        ("info(a, {})", "info(a, {})"),
    ] {
        assert_eq!(parsed(text).to_string(), printed, "{text}");
    }
}
