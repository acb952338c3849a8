//! Both ways of reading say the same.

use proptest::prelude::*;

use super::*;
use crate::ingest::Refusal;
use crate::ingest::kinds::{self, Fields, Kind};
use crate::ingest::origin::Origin;

/// What the quick way makes of a line.
fn scan(line: &str) -> Option<Fields<'_>> {
    scan_with(line, &mut Guesses::default())
}

fn scan_with<'a>(line: &'a str, guesses: &mut Guesses) -> Option<Fields<'a>> {
    let scan = Scan::new(line, guesses)?;
    let mut fields = Fields::new(scan.kind());
    scan.read(&mut fields, guesses)?;
    Some(fields)
}

/// What serde_json makes of a line, as a debug text, or the reason.
fn general<T>(line: &str, see: impl FnOnce(&Fields<'_>) -> T) -> Result<T, Refusal> {
    read(line).map(|held| see(&held.fields()))
}

#[test]
fn usual_events_are_read_in_one_pass() {
    for line in [
        r#"{"kind":"request","service":"shop","method":"GET","route":"/items/{id}","status":200,"duration_ms":12.5,"bytes_out":512}"#,
        r#"{"kind": "request", "route": "/é", "status": 200, "duration_s": 5.0067901611328125e-06, "error": null, "time": 1732165445.1234567}"#,
        r#"{"duration_ms":3,"kind":"query","system":"sqlite","tags":{"a":"b"},"statement":"SELECT 1"}"#,
        r#"{"kind":"operation","name":"chat","measures":{"tokens_in":812,"cost":0.01},"new":true}"#,
        r#"{ "kind" : "count" , "name" : "a" , "tags" : { "k" : "v" , "l" : "" } , "seq" : 7 } "#,
    ] {
        let fields = scan(line).unwrap_or_else(|| panic!("{line}"));
        general(line, |general| assert_eq!(&fields, general, "{line}")).expect("an event");
    }
}

#[test]
fn what_is_unusual_is_left_to_serde() {
    for line in [
        r#"{"kind":"count","name":"a\n"}"#,
        r#"{"kind":"count","na\u006de":"a"}"#,
        r#"{"kind":"count","name":"a","new":{"b":[1]}}"#,
        r#"{"kind":"count","name":"a","value":0.1234567890123456789}"#,
    ] {
        assert!(scan(line).is_none(), "{line}");
        assert!(read(line).is_ok(), "{line}");
    }
    let line = r#"{"kind":"count","name":"\u0061","tags":{"k":"\u0076"},"unit":"s"}"#;
    let seen = general(line, |fields| fields.tags().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>());
    assert_eq!(seen, Ok(vec!["k=v".to_owned()]));
}

#[test]
fn every_refusal_has_its_reason() {
    for (line, reason) in [
        ("{", Refusal::BadJson),
        ("{}", Refusal::MissingField),
        (r#"{"kind":"count","name":"a"} x"#, Refusal::BadJson),
        (r#"{"kind":"count","name":"a","value":1e999}"#, Refusal::BadJson),
        (r#"{"kind":"count","name":"a","value":01}"#, Refusal::BadJson),
        (r#"{"name":"a"}"#, Refusal::MissingField),
        (r#"{"kind":null}"#, Refusal::MissingField),
        (r#"{"kind":5}"#, Refusal::WrongType),
        (r#"{"kind":"count","kind":"gauge","name":"a"}"#, Refusal::WrongType),
        (r#"{"kind":"count","name":null,"name":"a"}"#, Refusal::WrongType),
        (r#"{"kind":"count"#, Refusal::BadJson),
        (r#"{"kind":"count""#, Refusal::BadJson),
        (r#"{"kind":"count","name":"a",}"#, Refusal::BadJson),
        (r#"{"kind":"wish"}"#, Refusal::UnknownKind),
        (r#"{"kind":"count","name":"a","value":"1"}"#, Refusal::WrongType),
        (r#"{"kind":"count","name":"a","tags":{"k":1}}"#, Refusal::WrongType),
        (r#"{"kind":"count","name":"a","tags":["k"]}"#, Refusal::WrongType),
        (r#"{"kind":"gauge","name":"a","value":1,"merge":"avg"}"#, Refusal::WrongType),
        (r#"{"kind":"request","duration_s":1,"status":"200"}"#, Refusal::WrongType),
        (r#"{"kind":"request","duration_s":1,"status":200.0}"#, Refusal::WrongType),
        (r#"{"kind":"request","duration_s":1,"status":-1}"#, Refusal::WrongType),
        (r#"{"kind":"operation","name":"a","measures":{"k":"1"}}"#, Refusal::WrongType),
    ] {
        assert!(scan(line).is_none(), "{line}");
        assert_eq!(read(line).map(drop), Err(reason), "{line}");
    }
}

#[test]
fn the_origin_is_handed_on() {
    let fields = scan(r#"{"kind":"count","sender":"w1","seq":18446744073709551,"name":"a"}"#).expect("an event");
    assert_eq!(fields.origin(), Some(Origin::new(Some("w1"), Some(18_446_744_073_709_551))));
    let seq = |line| general(line, |fields| fields.origin().map(|origin| origin.seq));
    assert_eq!(seq(r#"{"kind":"count","sender":"","seq":18446744073709551615}"#), Ok(Some(Some(u64::MAX))));
    assert_eq!(seq(r#"{"kind":"count"}"#), Ok(None));
}

/// A value of any type, mostly of the one that the field takes.
fn value(takes: kinds::Takes) -> BoxedStrategy<String> {
    let text = || "\"[a-zé/{} ]{0,12}\"|\"[ -~]{0,6}\"".boxed();
    let number = || "-?(0|[1-9][0-9]{0,18})(\\.[0-9]{1,17})?([eE]-?[0-9]{1,2})?".boxed();
    let right = match takes {
        kinds::Takes::Text => text(),
        kinds::Takes::Word(words) => proptest::sample::select(words).prop_map(|word| format!("\"{word}\"")).boxed(),
        kinds::Takes::Number => number(),
        kinds::Takes::Whole => "[0-9]{1,20}".boxed(),
        kinds::Takes::Texts => proptest::collection::vec((text(), text()), 0..3).prop_map(object).boxed(),
        kinds::Takes::Numbers => proptest::collection::vec((text(), number()), 0..3).prop_map(object).boxed(),
    };
    let any = "true|false|null|\\[1\\]|\\{\"a\":\\{\\}\\}|\\{\"a\":1\\}|\\{\"a\":\"b\"\\}|\"x\"|[0-9.eE-]{1,5}";
    prop_oneof![12 => right, 1 => any.boxed()].boxed()
}

fn object(pairs: Vec<(String, String)>) -> String {
    let pairs: Vec<String> = pairs.into_iter().map(|(key, value)| format!("{key} :{value}")).collect();
    format!("{{ {}}}", pairs.join(" , "))
}

/// A line with fields of a kind, most of them right.
fn line() -> impl Strategy<Value = String> {
    proptest::sample::select(&kinds::ALL[..]).prop_flat_map(|kind: &'static Kind| {
        let fields: Vec<_> = kind.fields().copied().collect();
        let entry = proptest::sample::select(fields).prop_flat_map(|field| value(field.takes).prop_map(move |value| (field.name, value)));
        let unknown = value(kinds::Takes::Text).prop_map(|value| ("unknown", value));
        let entries = proptest::collection::vec(prop_oneof![9 => entry, 1 => unknown], 0..8);
        let (space, spoilt) = ("|||| |\t", "|||||||||,|\\}|x");
        (entries, space, spoilt, 0_usize..9).prop_map(move |(entries, space, spoilt, first)| {
            let mut parts: Vec<String> = Vec::new();
            for (key, value) in entries.iter().filter(|(key, _)| *key != "kind") {
                parts.push(format!("\"{key}\":{space}{value}"));
            }
            parts.insert(if first < 7 { 0 } else { parts.len().min(2) }, format!("{space}\"kind\":\"{}\"{space}", kind.name));
            format!("{{{}{space}}}{spoilt}", parts.join(","))
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_read_in_one_pass_is_what_serde_reads(line in line()) {
        if let Some(fields) = scan(&line) {
            let equal = general(&line, |general| {
                if &fields == general { None } else { Some(format!("{fields:?}\n{general:?}")) }
            });
            prop_assert_eq!(equal, Ok(None), "{}", line);
        }
    }

    #[test]
    fn what_is_expected_changes_nothing(lines in proptest::collection::vec(line(), 2..8)) {
        let mut guesses = Guesses::default();
        for line in lines.iter().chain(&lines) {
            prop_assert_eq!(scan_with(line, &mut guesses), scan(line), "{}", line);
        }
    }

    #[test]
    fn no_text_makes_it_panic(line in ".{0,80}", tail in r#"[\{\}\[\]",:a-z0-9.e-]{0,60}"#) {
        for line in [line, format!(r#"{{"kind":"request",{tail}"#)] {
            let _ = scan(&line);
            let _ = read(&line);
        }
    }
}
