//! Every rule of the language beside a line that keeps it and, where there is one, a line that breaks it.

use proptest::prelude::*;

use super::super::dialect::{BareTags, TagStyles};
use super::*;
use crate::model::{GaugeOp, Tags};

const DOGSTATSD: Language = Language::DOGSTATSD;
const STATSD: Language = Language { dialect: Dialect::Statsd, ..DOGSTATSD };

fn labels(tags: &Tags<'_>) -> String {
    tags.iter().map(|(key, value)| format!(" {key}={value}")).collect()
}

/// What a metric's values do, and to what: `name+rise`, `name=level`, `name~observed*weight`, `name∋member`.
fn shown(line: &Line<'_>) -> Result<Vec<String>, Refusal> {
    let (name, labels) = (&line.name, labels(&line.tags));
    let service = line.service.map(|service| format!(" @{service}")).unwrap_or_default();
    let unit = line.kind.unit().unwrap_or("");
    let mut all = Vec::new();
    line.readings(|reading| {
        let does = match reading {
            Ok(Reading::Rise(rise)) => format!("+{rise}"),
            Ok(Reading::Level(value, GaugeOp::Set)) => format!("={value}"),
            Ok(Reading::Level(value, GaugeOp::Add)) => format!("+={value}"),
            Ok(Reading::Stamped(value, seconds)) => format!("={value}@{seconds}"),
            Ok(Reading::Observation(value, weight)) => format!("~{value}{unit}*{weight}"),
            Ok(Reading::Member(member)) => format!("∋{member}"),
            Err(reason) => return all.push(format!("!{}", reason.as_str())),
        };
        all.push(format!("{name}{does}{labels}{service}"));
    })?;
    Ok(all)
}

/// All that a line says, divided by blanks at the end: `; ` between values.
fn read(line: &str, language: Language) -> String {
    let metric = |line: Result<Line<'_>, Refusal>| match line.and_then(|line| shown(&line)) {
        Ok(all) => all.join("; "),
        Err(reason) => format!("!{}", reason.as_str()),
    };
    match decode(line, language) {
        Ok(Decoded::Metric(line)) => metric(Ok(line)),
        Ok(Decoded::Parts(name, mut rest)) => {
            let mut all = Vec::new();
            loop {
                let (part, others) = part(rest);
                all.push(metric(decode_part(name, part, language)));
                match others {
                    Some(others) => rest = others,
                    None => return all.join("; "),
                }
            }
        }
        Ok(Decoded::Occurrence(event)) => format!("{event:?}"),
        Ok(Decoded::Check(check)) => format!("{check:?}"),
        Err(reason) => format!("!{}", reason.as_str()),
    }
}

fn each(language: Language, cases: &[(&str, &str, &str)]) {
    for (rule, line, says) in cases {
        assert_eq!(read(line, language), *says, "{rule}: {line}");
    }
}

#[test]
fn dogstatsd_metrics() {
    each(
        DOGSTATSD,
        &[
            ("1.0: a counter", "page.views:1|c", "page.views+1"),
            ("1.0: a gauge; decimals and exponents", "a:-2.5e1|g", "a=-25"),
            ("1.0: a timer is in milliseconds (rule 10)", "a:320|ms", "a~320ms*1"),
            ("1.0: a histogram", "a:0.5|h", "a~0.5*1"),
            ("1.0: a distribution", "a:0.5|d", "a~0.5*1"),
            ("1.0: a set", "users:ann|s", "users∋ann"),
            ("rule 1: there is a bar", "hello", "!malformed"),
            ("rule 1: there is a bar, also behind a colon", "a:1", "!malformed"),
            ("rule 1: the name ends at a colon in front of the bar", "a|c", "!malformed"),
            ("rule 1: a colon behind the first bar is none", "a|b:1|c", "!malformed"),
            ("rule 1: the name ends at the first colon", "a:b:1|c", "!bad_value"),
            ("rule 1: an empty name", ":1|c", "!empty_name"),
            ("rule 1: an empty value", "a:|c", "!bad_value"),
            ("rule 1: an empty value of a set", "a:|s", "!bad_value"),
            ("rule 1: the agent does not check a name's characters", "a b/c é:1|c", "a b/c é+1"),
            ("there is no such type", "a:1|q", "!unknown_type"),
            ("there is no type", "a:1|", "!unknown_type"),
            ("types are as they are written", "a:1|C", "!unknown_type"),
            ("rule 2: fields in any order", "a:2|c|#k:v|@0.5", "a+4 k=v"),
            ("rule 2: fields in the other order", "a:2|c|@0.5|#k:v", "a+4 k=v"),
            ("rule 2: a repeated field replaces", "a:2|c|#old:x|@0.1|#k:v|@0.5", "a+4 k=v"),
            ("rule 2: an empty field is passed over", "a:2|c||#k:v|", "a+2 k=v"),
            ("a field that nobody knows is passed over", "a:2|c|future:x|#k:v|z", "a+2 k=v"),
            ("rule 3: `card:` is no `c:`, and neither is fatal", "a:1|c|card:high|c:ci-0f|card:", "a+1"),
            ("1.2: an id alone", "a:1|c|c:0123456789abcdef", "a+1"),
            ("1.4: container and inode", "a:1|c|c:ci-0f,in-42", "a+1"),
            ("1.2: the old form", "a:1|c|c:cid-0f", "a+1"),
            ("1.5: external data", "a:1|c|e:it-false,cn-web,pu-12|#k:v", "a+1 k=v"),
            ("1.6: cardinality", "a:1|c|card:none|#k:v", "a+1 k=v"),
            ("rule 9: whatever is in them", "a:1|c|c:|e:,,|card:sideways|#k:v", "a+1 k=v"),
            ("1.1: packed values", "a:1:2:3|h|@0.5", "a~1*2; a~2*2; a~3*2"),
            ("1.1: of every type but a set", "a:1:2|c", "a+1; a+2"),
            ("rule 4: empty members are passed over", "a:21::22:|ms", "a~21ms*1; a~22ms*1"),
            ("rule 4: no member at all", "a:::|c", "!bad_value"),
            ("rule 4: one bad member refuses all", "a:1:x|h", "!bad_value"),
            ("rule 4: what is not finite is dropped alone", "a:1:nan:+inf:2|g", "a=1; !not_finite; !not_finite; a=2"),
            ("rule 4: too large for a float is not finite", "a:1e999|h", "!not_finite"),
            ("rule 5: a set's text is one member", "a:x:1:y|s", "a∋x:1:y"),
            ("rule 6: a sign belongs to a gauge's value", "a:-5|g", "a=-5"),
            ("rule 6: so does a plus", "a:+5|g", "a=5"),
            ("rule 7: a count is multiplied", "a:3|c|@0.1", "a+30"),
            ("rule 7: a timer weighs more", "a:3|ms|@0.1", "a~3ms*10"),
            ("rule 7: a distribution weighs more", "a:3|d|@0.25", "a~3*4"),
            ("rule 7: a gauge's rate is ignored", "a:2|g|@0.5", "a=2"),
            ("rule 7: a set's rate is ignored", "a:x|s|@0.5", "a∋x"),
            ("rule 7: even one of zero", "a:2|g|@0", "a=2"),
            ("rule 7: an unreadable rate refuses any line", "a:1|c|@x", "!bad_rate"),
            ("rule 7: a gauge's as well", "a:1|g|@x", "!bad_rate"),
            ("rule 7: an empty one is unreadable", "a:1|c|@", "!bad_rate"),
            ("rule 7: above 1 is 1", "a:3|c|@2", "a+3"),
            ("rule 7: there is a least rate", "a:1|h|@1e-300", "a~1*1000000"),
            ("rule 8: a stamped count is complete, whatever the rate", "a:2|c|@0.5|T1656581400", "a+2"),
            ("rule 8: a stamped gauge", "a:2|g|T1656581400", "a=2@1656581400"),
            ("rule 8: all values of a pack are stamped", "a:2:3|g|T9", "a=2@9; a=3@9"),
            ("rule 8: 0 is no time", "a:1|c|T0", "!bad_timestamp"),
            ("rule 8: whole seconds", "a:1|c|T1.5", "!bad_timestamp"),
            ("rule 8: there has to be one", "a:1|g|T", "!bad_timestamp"),
            ("1.3: only counts and gauges have one", "a:1|h|T12|@0.5", "a~1*2"),
            ("1.3: elsewhere it is a field that nobody knows", "a:1|s|Tx", "a∋1"),
        ],
    );
}

#[test]
fn dogstatsd_tags() {
    each(
        DOGSTATSD,
        &[
            ("the first colon divides", "a:1|c|#url:http://x:80", "a+1 url=http://x:80"),
            ("rule 12: no value is `true`", "a:1|c|#flag,k:v", "a+1 flag=true k=v"),
            ("an empty value is none, and makes no label later", "a:1|c|#k:", "a+1 k="),
            ("no key is no tag", "a:1|c|#:v,,k:v", "a+1 k=v"),
            ("no tags", "a:1|c|#", "a+1"),
            ("rule 11: `host:` is consumed", "a:1|c|#host:h,k:v", "a+1 k=v"),
            ("rule 11: `dd.internal.*:` is consumed", "a:1|c|#dd.internal.entity_id:x,dd.internal.card:low,k:v", "a+1 k=v"),
            ("rule 11: `dd.internal.jmx_check_name:`", "a:1|c|#dd.internal.jmx_check_name:x", "a+1"),
            ("rule 11: what only begins like it is a tag", "a:1|c|#hostname:h,host", "a+1 hostname=h host=true"),
            ("the service is named by its tag", "a:1|c|#service:shop,k:v", "a+1 k=v @shop"),
            ("of two the last", "a:1|c|#service:shop,service:api", "a+1 @api"),
            ("rule 12: a repeated key stays in order, so that the last wins", "a:1|c|#k:1,l:1,k:2", "a+1 k=1 l=1 k=2"),
        ],
    );
    each(Language { bare_tags: BareTags::Drop, ..DOGSTATSD }, &[("rule 12: or is dropped", "a:1|c|#flag,k:v,service", "a+1 k=v")]);
}

#[test]
fn repeated_keys_are_counted() {
    for (line, repeated) in
        [("a:1|c|#k:1,l:1,k:2,k:3", 2), ("a:1|c|#k:1,l:1", 0), ("a:1|c|#service:a,service:b", 1), ("a:1|c|#k:1|#k:1", 0)]
    {
        let Ok(Decoded::Metric(metric)) = decode(line, DOGSTATSD) else { panic!("{line} is a metric") };
        assert_eq!(metric.repeated, repeated, "{line}");
    }
}

#[test]
fn plain_statsd() {
    each(
        STATSD,
        &[
            ("a counter", "gorets:1|c", "gorets+1"),
            ("a counter may fall; whether it is counted is not the language's", "gorets:-1.5|c", "gorets+-1.5"),
            ("sampling", "gorets:1|c|@0.1", "gorets+10"),
            ("a timer's rate scales its count, never its value", "glork:320|ms|@0.1", "glork~320ms*10"),
            ("a gauge", "gaugor:333|g", "gaugor=333"),
            ("a gauge's change down", "gaugor:-10|g", "gaugor+=-10"),
            ("a gauge's change up", "gaugor:+4|g", "gaugor+=4"),
            ("a gauge's rate means nothing", "gaugor:+4|g|@0.1", "gaugor+=4"),
            ("a set", "uniques:765|s", "uniques∋765"),
            ("several values, each with its type", "gorets:1|c:320|ms:-3|g", "gorets+1; gorets~320ms*1; gorets+=-3"),
            ("several values, each with its rate", "a:1|c|@0.1:2|c:3|c|@0.5", "a+10; a+2; a+6"),
            ("a bad part is refused alone", "a:1|c:x|c:2|c:3|c|@0:4|q", "a+1; !bad_value; a+2; !bad_rate; !unknown_type"),
            ("a part has a type", "a:1|c:2", "a+1; !malformed"),
            ("rate zero", "a:1|c|@0", "!bad_rate"),
            ("rate below zero", "a:1|c|@-1", "!bad_rate"),
            ("rate unreadable", "a:1|c|@a", "!bad_rate"),
            ("whitespace in a row is one underscore", "a \t b:1|c", "a_b+1"),
            ("a slash is a dash", "a/b:1|c", "a-b+1"),
            ("other characters go", "a&b%é(c);d=e.f-g_h:1|c", "abc;d=e.f-g_h+1"),
            ("a name of nothing else is empty", "&:1|c", "!empty_name"),
            ("DogStatsD's tags are understood", "a:1|c|#k:v:w,l:x", "a+1 k=v:w l=x"),
            ("and so are its fields, and its packs", "a:1:-2|g|c:ci-0f|T7", "a=1@7; a=-2@7"),
            ("a tag style that is off is part of the name", "a,k=v:1|c", "ak=v+1"),
        ],
    );
}

#[test]
fn tags_in_names() {
    let styles = TagStyles { influxdb: true, librato: true, signalfx: true };
    each(
        Language { styles, ..DOGSTATSD },
        &[
            ("InfluxDB", "a,k=v,l=w:1|c", "a+1 k=v l=w"),
            ("Librato", "a#k=v,l=w:1|c", "a+1 k=v l=w"),
            ("SignalFX", "a[k=v,l=w]:1|c", "a+1 k=v l=w"),
            ("SignalFX, in the middle of a name", "a[k=v].b:1|c", "a.b+1 k=v"),
            ("the service is named by its tag", "a,service=shop,host=h:1|c", "a+1 host=h @shop"),
            ("no value is `true`", "a,flag,k=v:1|c", "a+1 flag=true k=v"),
            ("nothing is nothing", "a[]:1|c", "a+1"),
            ("the first `=` divides", "a,k=v=w:1|c", "a+1 k=v=w"),
            ("a bracket that is not closed", "a[k=v:1|c", "!malformed"),
            ("a name of tags alone", ",k=v:1|c", "!empty_name"),
            ("mixed: InfluxDB and DogStatsD", "a,k=v:1|c|#l:w", "!mixed_tags"),
            ("mixed: InfluxDB and Librato", "a,k=v#l=w:1|c", "!mixed_tags"),
            ("mixed: Librato and SignalFX", "a#k=v[l=w]:1|c", "!mixed_tags"),
            ("mixed: SignalFX and InfluxDB", "a[k=v],l=w:1|c", "!mixed_tags"),
            ("mixed: SignalFX twice", "a[k=v][l=w]:1|c", "!mixed_tags"),
            ("an empty field of tags is no mixture", "a,k=v:1|c|#", "a+1 k=v"),
        ],
    );
    for (styles, line, says) in [
        (TagStyles { influxdb: true, ..TagStyles::default() }, "a,k=v#w:1|c", "a+1 k=v#w"),
        (TagStyles { librato: true, ..TagStyles::default() }, "a,b#k=v:1|c", "a,b+1 k=v"),
        (TagStyles { signalfx: true, ..TagStyles::default() }, "a[k=v]#x:1|c", "a#x+1 k=v"),
        (TagStyles::default(), "a[k=v]#x,y=z:1|c", "a[k=v]#x,y=z+1"),
    ] {
        assert_eq!(read(line, Language { styles, ..DOGSTATSD }), says, "each is switched by itself: {line}");
    }
}

fn occurrence(line: &str) -> Result<Occurrence<'_>, Refusal> {
    decode(line, DOGSTATSD).map(|decoded| if let Decoded::Occurrence(occurrence) = decoded { occurrence } else { panic!("{line}") })
}

#[test]
fn an_event_with_every_field() {
    let line =
        "_e{5,10}:title|line\\nline|d:1656581400|h:web1|k:key|p:low|s:jenkins|t:error|#service:shop,env:prod,env:x|c:ci-0f|e:it-x|card:low";
    let event = occurrence(line).expect("an event");
    assert_eq!((&*event.title, &*event.text), ("title", "line\nline"), "an escaped line feed counts two and is one");
    assert_eq!(
        (event.seconds, event.host, event.aggregation_key, event.source),
        (Some(1_656_581_400), Some("web1"), Some("key"), Some("jenkins"))
    );
    assert_eq!((event.alert, event.priority, event.service), ("error", "low", Some("shop")));
    assert_eq!((event.ignored, event.repeated), (0, 1));
}

#[test]
fn events() {
    // The rule, the line, and the title, the text, type, priority and how many fields are ignored; or the reason.
    for (rule, line, says) in [
        ("defaults", "_e{1,1}:a|b", Ok(("a", "b", "info", "normal", 0))),
        ("a text may be empty", "_e{1,0}:a|", Ok(("a", "", "info", "normal", 0))),
        ("lengths are bytes", "_e{2,3}:é|€|t:success", Ok(("é", "€", "success", "normal", 0))),
        ("a bar in the text is text", "_e{3,3}:a|b|c|d", Ok(("a|b", "c|d", "info", "normal", 0))),
        ("a title has something in it", "_e{0,1}:|b", Err(Refusal::EmptyName)),
        ("a payload that is too short", "_e{1,3}:a|b", Err(Refusal::BadLength)),
        ("even by the bar", "_e{1,0}:a", Err(Refusal::BadLength)),
        ("characters are no bytes", "_e{1,1}:é|b", Err(Refusal::BadLength)),
        ("lengths are not negative", "_e{-1,1}:a|b", Err(Refusal::BadLength)),
        ("and have no sign", "_e{1,+1}:a|b", Err(Refusal::BadLength)),
        ("and are there", "_e{,1}:a|b", Err(Refusal::BadLength)),
        ("a length beyond every number", "_e{99999999999999999999999,1}:a|b", Err(Refusal::BadLength)),
        ("a sum beyond every number", "_e{18446744073709551615,1}:a|b", Err(Refusal::BadLength)),
        ("in the other length", "_e{1,18446744073709551615}:a|b", Err(Refusal::BadLength)),
        ("one length", "_e{1}:a|b", Err(Refusal::Malformed)),
        ("no end of the lengths", "_e{1,1:a|b", Err(Refusal::Malformed)),
        ("a bad time is ignored", "_e{1,1}:a|b|d:now|t:error", Ok(("a", "b", "error", "normal", 1))),
        ("a bad type is ignored", "_e{1,1}:a|b|t:fatal|p:low", Ok(("a", "b", "info", "low", 1))),
        ("a bad priority is ignored", "_e{1,1}:a|b|p:high|t:warning", Ok(("a", "b", "warning", "normal", 1))),
        ("what nobody knows is passed over", "_e{1,1}:a|b|z:1||zz|card:low|c:x", Ok(("a", "b", "info", "normal", 0))),
        ("text that is longer than said is a bad field", "_e{1,1}:a|bcd|t:error", Ok(("a", "b", "error", "normal", 1))),
    ] {
        let read = occurrence(line);
        let read =
            read.as_ref().map(|event| (&*event.title, &*event.text, event.alert, event.priority, event.ignored)).map_err(|reason| *reason);
        assert_eq!(read, says, "{rule}: {line}");
    }
    let cut = occurrence("_e{1,1}:a|é").expect("an event");
    assert_eq!((&*cut.text, cut.ignored), ("\u{fffd}", 0), "a text that ends in a character");
}

#[test]
fn service_checks() {
    for (rule, line, says) in [
        ("ok", "_sc|db.up|0", Ok(("db.up", 0, None, 0))),
        ("warning", "_sc|db.up|1", Ok(("db.up", 1, None, 0))),
        ("critical", "_sc|db.up|2", Ok(("db.up", 2, None, 0))),
        ("unknown", "_sc|db.up|3", Ok(("db.up", 3, None, 0))),
        ("any other status", "_sc|db.up|4", Err(Refusal::BadValue)),
        ("a status is one digit", "_sc|db.up|00", Err(Refusal::BadValue)),
        ("no status", "_sc|db.up", Err(Refusal::Malformed)),
        ("no name", "_sc||0", Err(Refusal::EmptyName)),
        ("a message", "_sc|a|1|d:1656581400|h:web1|#k:v|m:down\\nagain m\\:x", Ok(("a", 1, Some("down\nagain m:x"), 0))),
        ("a bar cuts a message", "_sc|a|1|m:one|two", Ok(("a", 1, Some("one"), 0))),
        ("a bad time is ignored", "_sc|a|0|d:now", Ok(("a", 0, None, 1))),
        ("what nobody knows is passed over", "_sc|a|0|c:ci-0f|e:it-x|card:low|z||", Ok(("a", 0, None, 0))),
    ] {
        let read = match decode(line, DOGSTATSD) {
            Ok(Decoded::Check(check)) => Ok(check),
            Ok(other) => panic!("{other:?}"),
            Err(reason) => Err(reason),
        };
        let read = read.as_ref().map(|check| (check.name, check.status, check.message.as_deref(), check.ignored)).map_err(|reason| *reason);
        assert_eq!(read, says, "{rule}: {line}");
    }
    let Ok(Decoded::Check(check)) = decode("_sc|a|0|#service:shop,env:x,env:y,host:h", DOGSTATSD) else { panic!("a check") };
    assert_eq!((check.service, labels(&check.tags), check.repeated), (Some("shop"), " env=x env=y".to_owned(), 1));
    assert_eq!(read("_score:1|c", DOGSTATSD), "_score+1", "only the whole prefix names a check");
}

fn any_language() -> impl Strategy<Value = Language> {
    (any::<bool>(), any::<[bool; 3]>(), any::<bool>()).prop_map(|(statsd, [influxdb, librato, signalfx], drop)| Language {
        dialect: if statsd { Dialect::Statsd } else { Dialect::Dogstatsd },
        styles: TagStyles { influxdb, librato, signalfx },
        bare_tags: if drop { BareTags::Drop } else { BareTags::Label },
        ..DOGSTATSD
    })
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(
        language in any_language(), line in ".{0,60}", fields in "[\\]\\[:|@#,=a-z0-9.T+-]{0,40}", lengths in "[0-9,-]{0,8}", text in ".{0,20}",
    ) {
        for line in [&line, &format!("a:1|{fields}"), &format!("a{fields}:1|c"), &format!("_e{{{lengths}}}:{text}"), &format!("_sc|{fields}")] {
            read(line, language);
        }
    }

    #[test]
    fn an_event_reads_back_as_it_was_written(title in "[^\n\\\\]{1,20}", text in "[^\n\\\\]{0,20}", fields in "(\\|[a-z]:[a-z]{0,3}){0,3}") {
        let line = format!("_e{{{},{}}}:{title}|{text}{fields}", title.len(), text.len());
        let event = occurrence(&line).map_err(|reason| TestCaseError::fail(reason.to_string()))?;
        prop_assert_eq!((&*event.title, &*event.text), (&*title, &*text));
    }

    #[test]
    fn the_parts_of_a_line_are_all_of_it(rest in "[:|@#a-z0-9.]{0,40}") {
        let (mut parts, mut next) = (Vec::new(), Some(&*rest));
        while let Some(rest) = next {
            let (part, others) = part(rest);
            parts.push(part);
            next = others;
        }
        prop_assert_eq!(parts.join(":"), rest);
    }
}
