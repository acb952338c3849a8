//! What receivers read. Sources: prometheus/alertmanager `api/v2/openapi.yaml` (postableAlert), `template/template.go`
//! (Data) and `notify/webhook/webhook.go` (Message); prometheus/common `model/signature.go` (the fingerprint).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use super::life::{Life, Phase};
use crate::model::{FloatStyle, Labels, Timestamp, format_float};

/// The annotations that a receiver finds beside the rule's own: who looks after the alert, and what was measured when it ended.
const OWNER: &str = "owner";
const RESOLVED_VALUE: &str = "resolved_value";

/// The time that Go has for none.
const NO_TIME: &str = "0001-01-01T00:00:00Z";

/// What every alert gets on its way out.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Manner {
    /// Added where an alert has no such label.
    pub(super) external_labels: BTreeMap<String, String>,
    /// Where this agent is reached.
    pub(super) external_url: String,
    /// How often Alertmanagers are told again.
    pub(super) resend_delay: Duration,
}

/// Something to tell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Telling<'l> {
    /// Of which alert.
    pub(super) life: &'l Life,
    /// What of it.
    pub(super) phase: Phase,
}

type Annotations<'l> = BTreeMap<&'l str, Cow<'l, str>>;

impl<'l> Telling<'l> {
    /// The rule's own, and what else is known; where the rule has one of that name, it stays.
    fn annotations(self) -> Annotations<'l> {
        let mut annotations: Annotations<'l> = self.life.annotations.iter().map(|(name, value)| (name, Cow::Borrowed(value))).collect();
        if let Some(owner) = &self.life.owner {
            annotations.entry(OWNER).or_insert(Cow::Borrowed(owner));
        }
        if let Some(value) = self.resolved_value() {
            annotations.entry(RESOLVED_VALUE).or_insert(Cow::Owned(value));
        }
        annotations
    }

    /// When it stopped, where that is told.
    fn ends_at(self) -> Option<Timestamp> {
        self.life.ends_at.filter(|_| self.phase == Phase::Resolved)
    }

    /// When it began. No receiver takes what began after its end, as it seems where the clock was set back in between.
    fn starts_at(self) -> Timestamp {
        self.ends_at().map_or(self.life.starts_at, |ends_at| self.life.starts_at.min(ends_at))
    }

    fn resolved_value(self) -> Option<String> {
        self.life.resolved_value.filter(|_| self.phase == Phase::Resolved).map(|value| format_float(value, FloatStyle::Api))
    }
}

#[derive(serde::Serialize)]
struct Postable<'l> {
    labels: BTreeMap<&'l str, &'l str>,
    annotations: Annotations<'l>,
    #[serde(rename = "startsAt")]
    starts_at: String,
    #[serde(rename = "endsAt")]
    ends_at: String,
    #[serde(rename = "generatorURL", skip_serializing_if = "String::is_empty")]
    generator_url: String,
}

impl Manner {
    fn labels<'l>(&'l self, life: &'l Life) -> BTreeMap<&'l str, &'l str> {
        let external = self.external_labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        external.filter(|(_, value)| !value.is_empty()).chain(life.key.labels.iter()).collect()
    }

    /// The value that a label of an alert has on its way out.
    pub(super) fn label<'l>(&'l self, life: &'l Life, name: &str) -> Option<&'l str> {
        life.key.labels.get(name).or_else(|| self.external_labels.get(name).map(String::as_str))
    }

    /// A link to the expression, in the form of Prometheus's.
    fn generator_url(&self, life: &Life) -> String {
        if self.external_url.is_empty() {
            return String::new();
        }
        format!("{}/graph?g0.expr={}&g0.tab=1", self.external_url.trim_end_matches('/'), escape(&life.query))
    }

    /// For how long an alert counts as firing without a further word: four times the longer of the two intervals.
    fn validity(&self, life: &Life) -> Duration {
        4 * self.resend_delay.max(Duration::from_millis(life.interval_millis.unsigned_abs()))
    }

    /// The body of `POST /api/v2/alerts`.
    pub(super) fn alertmanager(&self, tellings: &[Telling<'_>], at: Timestamp) -> Vec<u8> {
        let alerts: Vec<_> = tellings.iter().map(|telling| self.postable(*telling, at)).collect();
        serde_json::to_vec(&alerts).unwrap_or_default()
    }

    fn postable<'l>(&'l self, telling: Telling<'l>, at: Timestamp) -> Postable<'l> {
        let life = telling.life;
        // It has stopped since, which is told next, or nobody has looked yet: it fires as far as is known now.
        let expires_at = || life.seen_at.filter(|_| life.ends_at.is_none()).unwrap_or(at) + self.validity(life);
        // The clock may have been set back since: what has ended does not end later.
        let ends_at = telling.ends_at().map_or_else(expires_at, |ends_at| ends_at.min(at));
        Postable {
            labels: self.labels(life),
            annotations: telling.annotations(),
            starts_at: telling.starts_at().min(at).min(ends_at).to_string(),
            ends_at: ends_at.to_string(),
            generator_url: self.generator_url(life),
        }
    }

    /// What Alertmanager sends to a webhook, version 4, of alerts that have their name in common.
    pub(super) fn webhook(&self, receiver: &str, tellings: &[Telling<'_>]) -> Vec<u8> {
        let status = |phase| if phase == Phase::Firing { "firing" } else { "resolved" };
        let labels: Vec<_> = tellings.iter().map(|telling| self.labels(telling.life)).collect();
        let annotations: Vec<_> = tellings.iter().map(|telling| telling.annotations()).collect();
        let alerts: Vec<_> = tellings
            .iter()
            .zip(labels.iter().zip(&annotations))
            .map(|(telling, (labels, annotations))| {
                serde_json::json!({
                    "status": status(telling.phase),
                    "labels": labels,
                    "annotations": annotations,
                    "startsAt": telling.starts_at().to_string(),
                    "endsAt": telling.ends_at().map_or_else(|| NO_TIME.to_owned(), |at| at.to_string()),
                    "generatorURL": self.generator_url(telling.life),
                    "fingerprint": fingerprint(labels),
                })
            })
            .collect();
        let firing = tellings.iter().any(|telling| telling.phase == Phase::Firing);
        let name = tellings.first().and_then(|telling| telling.life.key.labels.get("alertname")).unwrap_or_default();
        let body = serde_json::json!({
            "version": "4",
            "groupKey": format!("{{}}:{{alertname={name:?}}}"),
            "truncatedAlerts": 0,
            "status": status(if firing { Phase::Firing } else { Phase::Resolved }),
            "receiver": receiver,
            "groupLabels": {"alertname": name},
            "commonLabels": common(&labels),
            "commonAnnotations": common(&annotations),
            "externalURL": self.external_url,
            "alerts": alerts,
        });
        serde_json::to_vec(&body).unwrap_or_default()
    }

    /// The fields of one entry in the systemd journal.
    pub(super) fn journal(&self, telling: Telling<'_>) -> Vec<(String, String)> {
        let life = telling.life;
        let name = life.key.labels.get("alertname").unwrap_or_default();
        let text = |key: &&str| life.annotations.get(key).filter(|text| !text.is_empty());
        let text = ["summary", "description", "message"].iter().find_map(text).unwrap_or_default();
        let (word, priority) = match telling.phase {
            Phase::Resolved => ("resolved", 5),
            Phase::Firing if life.key.labels.get("severity") == Some("critical") => ("firing", 2),
            Phase::Firing => ("firing", 4),
        };
        let mut fields = vec![
            ("MESSAGE".to_owned(), format!("alert {name} {word}{}{text}", if text.is_empty() { "" } else { ": " })),
            ("PRIORITY".to_owned(), priority.to_string()),
            ("SYSLOG_IDENTIFIER".to_owned(), "sidewatch".to_owned()),
            ("ALERT_NAME".to_owned(), name.to_owned()),
            ("ALERT_STATUS".to_owned(), word.to_owned()),
            ("ALERT_STARTS_AT".to_owned(), telling.starts_at().to_string()),
        ];
        fields.extend(telling.ends_at().map(|at| ("ALERT_ENDS_AT".to_owned(), at.to_string())));
        fields.extend(telling.resolved_value().map(|value| ("ALERT_RESOLVED_VALUE".to_owned(), value)));
        fields.extend(life.owner.iter().map(|owner| ("ALERT_OWNER".to_owned(), owner.clone())));
        fields.push(("ALERT_LABELS".to_owned(), Labels::from_pairs(self.labels(life)).to_string()));
        fields
    }
}

/// What all of them have.
fn common<'a, 'l, T: PartialEq>(all: &'a [BTreeMap<&'l str, T>]) -> BTreeMap<&'l str, &'a T> {
    let Some((first, others)) = all.split_first() else { return BTreeMap::new() };
    let common = first.iter().filter(|(name, value)| others.iter().all(|other| other.get(*name) == Some(*value)));
    common.map(|(name, value)| (*name, value)).collect()
}

/// FNV-1a over names and values, each ended by 0xff.
fn fingerprint(labels: &BTreeMap<&str, &str>) -> String {
    let bytes = labels.iter().flat_map(|(name, value)| name.bytes().chain([0xff]).chain(value.bytes()).chain([0xff]));
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}

/// As Go's `url.QueryEscape` does.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => escaped.push(char::from(byte)),
            b' ' => escaped.push('+'),
            // Writing into a string cannot fail.
            _ => drop(write!(escaped, "%{byte:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests;
