//! What receivers read.

use serde_json::{Value, json};

use super::*;
use crate::notify::life::Key;

fn life(ends_at: Option<i64>) -> Life {
    Life {
        key: Key {
            group: "f;g".into(),
            rule: "A".into(),
            labels: Labels::from_pairs([("alertname", "A"), ("instance", "own"), ("x", "1")]),
        },
        annotations: Labels::from_sorted([("message", ""), ("summary", "it \"broke\"")].into_iter()),
        owner: Some("ops".into()),
        value: 1.0,
        starts_at: Timestamp::from_millis(1_000),
        again_at: Timestamp::from_millis(1_000),
        ends_at: ends_at.map(Timestamp::from_millis),
        resolved_value: ends_at.map(|_| 2.5e6),
        seen_at: Some(Timestamp::from_millis(100_000)),
        interval_millis: 15_000,
        query: "up == 0 and x{a=\"b\"}".into(),
        shown: false,
        surpassed: false,
    }
}

fn manner() -> Manner {
    Manner {
        external_labels: [("instance", "host"), ("zone", "z"), ("none", "")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        external_url: "http://h:1/".into(),
        resend_delay: Duration::from_mins(1),
    }
}

fn read(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

#[test]
fn an_alertmanager_reads_labels_and_times_as_prometheus_sends_them() {
    let at = Timestamp::from_millis(200_000);
    let firing = |life: &Life| read(&manner().alertmanager(&[Telling { life, phase: Phase::Firing }], at))[0].clone();
    let expected = json!({
        "labels": {"alertname": "A", "instance": "own", "x": "1", "zone": "z"},
        "annotations": {"message": "", "summary": "it \"broke\"", "owner": "ops"},
        "startsAt": "1970-01-01T00:00:01.000Z",
        // Four times the resend delay after the evaluation.
        "endsAt": "1970-01-01T00:05:40.000Z",
        "generatorURL": "http://h:1/graph?g0.expr=up+%3D%3D+0+and+x%7Ba%3D%22b%22%7D&g0.tab=1",
    });
    assert_eq!(firing(&life(None)), expected);
    // Told late: it counts as firing until its end is told, next.
    assert_eq!(firing(&life(Some(150_000)))["endsAt"], "1970-01-01T00:07:20.000Z");
    let over = life(Some(150_000));
    let resolved = read(&manner().alertmanager(&[Telling { life: &over, phase: Phase::Resolved }], at));
    assert_eq!(
        (&resolved[0]["startsAt"], &resolved[0]["endsAt"]),
        (&json!("1970-01-01T00:00:01.000Z"), &json!("1970-01-01T00:02:30.000Z"))
    );
    assert_eq!(resolved[0]["annotations"], json!({"message": "", "summary": "it \"broke\"", "owner": "ops", "resolved_value": "2500000"}));
    let own = Life { annotations: Labels::from_pairs([("owner", "me"), ("resolved_value", "mine")]), ..over.clone() };
    let own = read(&manner().alertmanager(&[Telling { life: &own, phase: Phase::Resolved }], at));
    assert_eq!(own[0]["annotations"], json!({"owner": "me", "resolved_value": "mine"}), "the rule's own stay");
    let bare = Manner { external_url: String::new(), ..manner() };
    assert_eq!(read(&bare.alertmanager(&[Telling { life: &over, phase: Phase::Resolved }], at))[0].get("generatorURL"), None);
}

#[test]
fn nothing_begins_after_its_end_also_where_the_clock_was_set_back() {
    let at = Timestamp::from_millis(200_000);
    let times = |life: &Life, phase| {
        let told = Telling { life, phase };
        let posted = read(&manner().alertmanager(&[told], at))[0].clone();
        let hooked = read(&manner().webhook("pager", &[told]))["alerts"][0].clone();
        let journal = manner().journal(told);
        let journal = journal.iter().filter(|(name, _)| name.starts_with("ALERT_STARTS") || name.starts_with("ALERT_ENDS"));
        let journal: Vec<_> = journal.map(|(_, value)| value.clone()).collect();
        ([&posted, &hooked].map(|one| [one["startsAt"].clone(), one["endsAt"].clone()]), journal)
    };
    let begun = |ends_at| Life { starts_at: Timestamp::from_millis(4_000_000), ..life(ends_at) };
    let over = json!(["1970-01-01T00:02:30.000Z", "1970-01-01T00:02:30.000Z"]);
    let (told, journal) = times(&begun(Some(150_000)), Phase::Resolved);
    assert_eq!((json!(told), json!(journal)), (json!([over, over]), over));
    let ahead = times(&begun(Some(5_000_000)), Phase::Resolved).0[0].clone();
    assert_eq!(ahead, ["1970-01-01T00:03:20.000Z", "1970-01-01T00:03:20.000Z"], "for Alertmanager it is over now");
    // To Alertmanager it fires since now at the latest.
    let (told, _) = times(&begun(None), Phase::Firing);
    assert_eq!(json!(told[0]), json!(["1970-01-01T00:03:20.000Z", "1970-01-01T00:05:40.000Z"]));
    let expired = Life { seen_at: Some(Timestamp::from_millis(-200_000)), ..begun(None) };
    let [starts, ends] = times(&expired, Phase::Firing).0[0].clone();
    assert_eq!(starts, ends, "set forward since");
}

#[test]
fn a_webhook_reads_what_alertmanager_sends() {
    let (mut other, over) = (life(None), life(Some(150_000)));
    other.key.labels = other.key.labels.with("x", "2");
    let tellings = [Telling { life: &other, phase: Phase::Firing }, Telling { life: &over, phase: Phase::Resolved }];
    let body = read(&manner().webhook("pager", &tellings));
    for (key, value) in [
        ("version", json!("4")),
        ("groupKey", json!("{}:{alertname=\"A\"}")),
        ("truncatedAlerts", json!(0)),
        ("status", json!("firing")),
        ("receiver", json!("pager")),
        ("groupLabels", json!({"alertname": "A"})),
        ("commonLabels", json!({"alertname": "A", "instance": "own", "zone": "z"})),
        ("commonAnnotations", json!({"message": "", "summary": "it \"broke\"", "owner": "ops"})),
        ("externalURL", json!("http://h:1/")),
    ] {
        assert_eq!(body[key], value, "{key}");
    }
    let alerts = body["alerts"].as_array().expect("a list");
    let times = |alert: &Value| [alert["status"].clone(), alert["startsAt"].clone(), alert["endsAt"].clone()];
    let values: Vec<_> = alerts.iter().map(|alert| alert["annotations"].get("resolved_value")).collect();
    assert_eq!(values, [None, Some(&json!("2500000"))]);
    assert_eq!(times(&alerts[0]), ["firing", "1970-01-01T00:00:01.000Z", "0001-01-01T00:00:00Z"]);
    assert_eq!(times(&alerts[1]), ["resolved", "1970-01-01T00:00:01.000Z", "1970-01-01T00:02:30.000Z"]);
    assert_eq!(read(&manner().webhook("pager", &tellings[1..]))["status"], "resolved");
}

#[test]
fn a_fingerprint_is_that_of_prometheus() {
    // As a real Alertmanager answered for these labels.
    let labels = [("alertname", "DiskFull"), ("instance", "e2e")].into();
    assert_eq!(fingerprint(&labels), "2912d0723064112f");
}

#[test]
fn the_journal_gets_a_line_that_says_what_happened() {
    let over = life(Some(150_000));
    let fields = manner().journal(Telling { life: &over, phase: Phase::Resolved });
    let field = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    assert_eq!(field("MESSAGE"), Some("alert A resolved: it \"broke\""));
    assert_eq!((field("PRIORITY"), field("ALERT_ENDS_AT")), (Some("5"), Some("1970-01-01T00:02:30.000Z")));
    assert_eq!((field("ALERT_OWNER"), field("ALERT_RESOLVED_VALUE")), (Some("ops"), Some("2500000")));
    let fields = manner().journal(Telling { life: &over, phase: Phase::Firing });
    assert!(
        fields.iter().all(|(name, _)| !["ALERT_ENDS_AT", "ALERT_RESOLVED_VALUE"].contains(&name.as_str()))
            && fields.contains(&("PRIORITY".into(), "4".into()))
    );
}
