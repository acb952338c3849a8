//! What patterns mean. The expected values are what Go's `regexp/syntax` documents and its parser does.

use super::*;

fn matches(pattern: &str, value: &str) -> bool {
    Pattern::new(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}")).is_match(value)
}

fn program(pattern: &str) -> bool {
    matches!(Pattern::new(pattern), Ok(Pattern(Test::Program(_))))
}

/// A pattern, what matches it, and what does not.
type Case = (&'static str, &'static [&'static str], &'static [&'static str]);

fn check(cases: &[Case]) {
    for (pattern, good, bad) in cases {
        for value in *good {
            assert!(matches(pattern, value), "{pattern} should match {value:?}");
        }
        for value in *bad {
            assert!(!matches(pattern, value), "{pattern} should not match {value:?}");
        }
    }
}

#[test]
fn classes_of_letters_are_ascii() {
    check(&[
        (r"\w+", &["aZ_9"], &["é", "", "-"]),
        (r"\W", &["é", "-", "\n"], &["a"]),
        (r"\d+", &["09"], &["٣"]),
        (r"\D", &["٣"], &["3"]),
        (r"\s", &[" ", "\t", "\n", "\x0c", "\r"], &["\x0b", "\u{a0}"]),
        (r"[[:space:]]", &["\x0b", " "], &["\u{a0}"]),
        (r"[^[:word:]é]", &["-"], &["a", "_", "é"]),
        (r"[[:^alpha:]]", &["1", "é"], &["a"]),
        (r"é\b.*", &["éa"], &["é", "éé a"]),
        (r".*\bb\b.*", &["a b c", "éb"], &["ab"]),
        (r"\Bé\B", &["é"], &[]),
        (r"a\Bé", &[], &["aé"]),
    ]);
}

#[test]
fn what_is_an_operation_between_classes_elsewhere_is_a_character() {
    check(&[
        (r"[a&&b]+", &["a&b"], &["c"]),
        (r"[a~~b]", &["~"], &["c"]),
        (r"[[a]", &["[", "a"], &["[a"]),
        (r"[[a]]", &["a]", "[]"], &["a"]),
        (r"[]a]", &["]", "a"], &[""]),
        (r"[^]a]", &["b", "\n"], &["]"]),
        (r"[a-]+", &["-a"], &["b"]),
        (r"[-a]+", &["-a"], &["b"]),
        (r"[+--]+", &["+,-"], &["."]),
        (r"[\]\-\^]+", &["]-^"], &["\\"]),
        (r"[\d\p{Greek}x]+", &["1αx"], &["a"]),
        (r"[\D]", &["a"], &["1"]),
    ]);
}

#[test]
fn braces_that_count_nothing_are_characters() {
    check(&[
        ("{", &["{"], &[]),
        ("a{", &["a{"], &["a"]),
        ("foo{bar}", &["foo{bar}"], &[]),
        ("a{,5}", &["a{,5}"], &["aaa"]),
        ("a{01}", &["a{01}"], &["a"]),
        ("a{2}", &["aa"], &["a", "aaa"]),
        ("a{2,}", &["aa", "aaaa"], &["a"]),
        ("a{0,2}b", &["b", "aab"], &["aaab"]),
        ("(?:a{10}){100}", &[], &["a"]),
    ]);
}

#[test]
fn escapes_are_gos() {
    check(&[
        (r"\Qa.b*\E+", &["a.b*", "a.b**"], &["axb"]),
        (r"\Qa.b", &["a.b"], &["axb"]),
        (r"\07\101", &["\x07A"], &[]),
        (r"\x41\x{3b1}", &["Aα"], &[]),
        (r"\a\f\t\n\r\v", &["\x07\x0c\t\n\r\x0b"], &[]),
        (r"\<\>\_\.", &["<>_."], &[]),
        (r"\Aa\z", &["a"], &["a\n"]),
        (r"\pL\PL\p{Lu}\p{^Lu}\p{Greek}", &["a1Aaα"], &["a1AAα"]),
        (r"\x{d800}|b", &["b"], &["a", ""]),
    ]);
}

#[test]
fn flags_are_gos() {
    check(&[
        ("a.b", &["a\nb"], &[]),
        ("(?-s)a.b", &["axb"], &["a\nb"]),
        ("(?-s:a.b).", &["axb\n"], &["a\nb\n"]),
        ("(?i)straße-k", &["STRAßE-K", "straße-\u{212a}"], &["strasse-k"]),
        ("(?i:a)b", &["Ab", "ab"], &["AB"]),
        ("a(?i)b|c", &["aB", "C"], &["A", "AB"]),
        ("(a(?i)b)c", &["aBc"], &["aBC"]),
        (r"(?i)[a-c]\w", &["Bs", "b\u{17f}"], &["d1"]),
        (r"(?i)[^a]", &["b"], &["a", "A"]),
        ("(?m)a$\n^b", &["a\nb"], &[]),
        ("a$\n^b", &[], &["a\nb"]),
        ("(?)a", &["a"], &[]),
        ("(?i-i)a", &["a"], &["A"]),
        ("a(?i)*", &["aaa", ""], &["A"]),
    ]);
}

#[test]
fn what_go_refuses_is_refused_in_its_words() {
    for (pattern, message) in [
        ("(", "missing closing ): `(`"),
        ("a)b", "unexpected ): `a)b`"),
        ("a)|(b", "unexpected ): `a)|(b`"),
        ("[a", "missing closing ]: `[a`"),
        ("[b-a]", "invalid character class range: `b-a`"),
        ("[[:foo:]]", "invalid character class range: `[:foo:]`"),
        (r"[\b]", r"invalid escape sequence: `\b`"),
        (r"\C", r"invalid escape sequence: `\C`"),
        (r"\y", r"invalid escape sequence: `\y`"),
        (r"\1", r"invalid escape sequence: `\1`"),
        (r"\8", r"invalid escape sequence: `\8`"),
        (r"\x{110000}", r"invalid escape sequence: `\x{110000}`"),
        (r"\x{41", r"invalid escape sequence: `\x{41`"),
        (r"\Z", r"invalid escape sequence: `\Z`"),
        (r"\p{Foo}", r"invalid character class range: `\p{Foo}`"),
        (r"\p{Alphabetic}", r"invalid character class range: `\p{Alphabetic}`"),
        (r"\p{Script=Greek}", r"invalid character class range: `\p{Script=Greek}`"),
        ("a\\", "trailing backslash at end of expression: ``"),
        ("*a", "missing argument to repetition operator: `*`"),
        ("a|*", "missing argument to repetition operator: `*`"),
        ("(?i)+", "missing argument to repetition operator: `+`"),
        ("a**", "invalid nested repetition operator: `**`"),
        ("a*+", "invalid nested repetition operator: `*+`"),
        ("a???", "invalid nested repetition operator: `???`"),
        ("a{2}{3}", "invalid nested repetition operator: `{2}{3}`"),
        ("a{1001}", "invalid repeat count: `{1001}`"),
        ("a{2,1}", "invalid repeat count: `{2,1}`"),
        ("(?:a{100}){11}", "invalid repeat count: `{11}`"),
        ("(?x)a", "invalid or unsupported Perl syntax: `(?x`"),
        ("(?u)a", "invalid or unsupported Perl syntax: `(?u`"),
        ("(?R)a", "invalid or unsupported Perl syntax: `(?R`"),
        ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
        ("(?i-)a", "invalid or unsupported Perl syntax: `(?i-)`"),
        ("(?P<n", "invalid named capture: `(?P<n`"),
        ("(?P<a b>x)", "invalid named capture: `(?P<a b>`"),
        ("(?P=n)", "invalid or unsupported Perl syntax: `(?P`"),
    ] {
        let error = Pattern::new(pattern).expect_err(pattern).to_string();
        assert_eq!(error, format!("error parsing regexp: {message}"), "{pattern}");
    }
}

#[test]
fn what_is_too_large_is_refused() {
    let error = |pattern: &str| Pattern::new(pattern).expect_err("too large").to_string();
    assert!(error(&"a".repeat(PATTERN_BYTES_MAX + 1)).starts_with("error parsing regexp: expression longer than 32768 bytes: `aaa"));
    assert!(error(r"\pL{1000}").ends_with(r"expression too large: `\pL{1000}`"));
    assert!(error(&format!("{}{}", "(".repeat(200), ")".repeat(200))).contains("nests too deeply"));
    assert!(error(&format!("a{}", "*(?i)".repeat(200))).contains("nests too deeply"));
    assert!(Pattern::new(&format!("{}a{}", "(".repeat(45), ")*".repeat(45))).is_ok());
    assert!(Pattern::new(".{1000}").is_ok());
}

#[test]
fn comparisons_decide_what_they_can() {
    for (pattern, is_program) in [
        ("", false),
        ("a|b|c", false),
        ("(a|b)c(d|e)?", false),
        ("^a$|^b$", false),
        ("foo.*", false),
        ("^foo.*$", false),
        (".*foo", false),
        (".+foo.*", false),
        (".*", false),
        (".+", false),
        ("(?i)a", true),
        ("(?i)1", false),
        ("(?-s).*", true),
        ("a.b", true),
        ("a$b", true),
        ("[ab]", true),
        (".+.+", true),
        ("(a|b).*", true),
    ] {
        assert_eq!(program(pattern), is_program, "{pattern}");
    }
    check(&[
        ("", &[""], &["a"]),
        ("(a|b)c(d|e)?", &["ac", "bce"], &["a", "c", "acde"]),
        ("^a$|^b$", &["a", "b"], &["", "ab"]),
        ("a||b", &["a", "", "b"], &["ab"]),
        ("foo.*", &["foo", "foo\nbar"], &["fo", "afoo"]),
        ("foo.+", &["foox"], &["foo"]),
        (".*foo", &["foo", "xfoo"], &["foox"]),
        (".+foo", &["éfoo"], &["foo"]),
        (".*foo.*", &["foo", "afoob"], &["fo"]),
        (".+foo.+", &["afoofoo", "foofoofoo", "ëfooë"], &["foo", "afoo", "foob", "foofoo"]),
        (".*", &["", "a\n"], &[]),
        (".+", &["é"], &[""]),
        (".+.+", &["ab"], &["é"]),
    ]);
}

#[test]
fn few_values_are_listed_in_order() {
    let values = |pattern| Pattern::new(pattern).expect("a pattern").values().map(<[String]>::to_vec);
    assert_eq!(values("b|a|b"), Some(vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(values("a.*"), None);
    let many: Vec<String> = (0..2000).map(|number| number.to_string()).collect();
    assert_eq!(values(&many.join("|")).map(|values| values.len()), Some(2000));
    assert!(program("(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)"), "512 values are too many to be multiplied out");
}

#[test]
fn a_template_is_expanded_as_in_go() {
    let apply = |pattern: &str, value: &str, template: &str| Rewrite::new(pattern).expect(pattern).apply(value, template);
    let expanded = |template: &str| apply("(a)(?P<n>b)?(?<_1>c)", "ac", template).expect("a match");
    for (template, text) in [
        ("$1", "a"),
        ("${1}x", "ax"),
        ("$1x", ""),
        ("$0-$2-$3", "ac--c"),
        ("$n|$_1|${_1}", "|c|c"),
        ("$9|$name", "|"),
        ("$$1", "$1"),
        ("$", "$"),
        ("a$-b", "a$-b"),
        ("${1", "${1"),
        ("${a-b}", "${a-b}"),
        ("$01", ""),
        ("${}", "${}"),
    ] {
        assert_eq!(expanded(template), text, "{template}");
    }
    assert_eq!(apply("(?P<n>a)|(?P<n>b)", "b", "$n"), Some("b".to_owned()), "the first group of a name that took part");
    assert_eq!(apply("(a+?)(a*)", "aaa", "$1|$2"), Some("a|aa".to_owned()));
    assert_eq!(apply("(?U)(a+)(a*)", "aaa", "$1|$2"), Some("a|aa".to_owned()), "U swaps what takes little and what takes much");
    assert_eq!(apply("(?U)(a+?)(a*)", "aaa", "$1|$2"), Some("aaa|".to_owned()));
    assert_eq!(apply("a(.*)", "ba", "$1"), None);
    assert_eq!(apply(r"(.*?)\B(é.*)", "ü é", "$1|$2"), Some("ü |é".to_owned()));
}

#[test]
fn a_search_finds_and_replaces_as_in_go() {
    for (pattern, text, template, replaced) in [
        ("a", "banana", "b", "bbnbnb"),
        ("x*", "aéb", "-", "-a-é-b-"),
        ("a*", "baac", "x", "xbxcx"),
        ("(?i)A(.)", "banana", "${1}x$1", "bnxnnxna"),
        (".+", "a\nb", "<$0>", "<a>\n<b>"),
        (r"\w+", "ab é", "[$0]", "[ab] é"),
        (r"\B", "é", "-", "-é-"),
        ("^|$", "ab", "|", "|ab|"),
    ] {
        assert_eq!(Search::new(pattern).expect(pattern).replace_all(text, template, 100), replaced, "{pattern}");
    }
    assert!(Search::new("n[ab]").expect("a pattern").is_match("banana"));
    assert!(!Search::new("a.b").expect("a pattern").is_match("a\nb"));
    assert_eq!(Search::new("(").expect_err("open").to_string(), "error parsing regexp: missing closing ): `(`");
    assert!(Search::new("a").expect("a pattern").replace_all(&"a".repeat(1000), &"b".repeat(1000), 5000).len() < 7000);
}

#[test]
fn conditions_with_the_same_pattern_share_a_program_for_as_long_as_one_of_them_is_there() {
    let program = |pattern: &Pattern| match &pattern.0 {
        Test::Program(program) => Arc::clone(program),
        Test::Shape(shape) => panic!("{shape:?}"),
    };
    let text = "(shared|programs)[0-9]+";
    let [one, same, other] = [text, text, "(shared|programs)[0-8]+"].map(|text| Pattern::new(text).expect("a pattern"));
    assert!(Arc::ptr_eq(&program(&one), &program(&same)) && !Arc::ptr_eq(&program(&one), &program(&other)));
    assert!(same.is_match("shared9") && !other.is_match("shared9"));
    let known = || PROGRAMS.lock().expect("no panic").get(text).is_some_and(|program| program.strong_count() > 0);
    drop(one);
    assert!(known());
    drop(same);
    assert!(!known());
}
