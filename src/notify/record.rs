//! What the store keeps: each step of the ledger as one line, `CRC32 JSON`.

use std::collections::BTreeMap;

use super::life::{Key, Life, Phase};
use crate::model::{Labels, Timestamp};

/// An alert's number in the ledger.
pub(super) type Id = u64;

/// One step of the ledger.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Record {
    /// An alert fires.
    Fired { id: Id, life: Box<SavedLife>, to: Vec<String> },
    /// It does not fire any more.
    Resolved {
        id: Id,
        ends_at: i64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<String>,
        to: Vec<String>,
    },
    /// A target is to be told of something that went on before it was there.
    Queued { id: Id, phase: Phase, to: String },
    /// A target was told.
    Told { target: String, what: Vec<(Id, Phase)>, at: i64 },
    /// A target will not be told.
    Dropped { target: String, what: Vec<(Id, Phase)> },
    /// A target is gone.
    Gone { target: String },
    /// All that is known of a target; what came before is replaced.
    Target { target: String, pending: Vec<(Id, Phase)>, told: Vec<(Id, Phase, i64)>, since: i64 },
}

/// A number as a text, since JSON has no NaN.
pub(super) fn number(value: f64) -> String {
    value.to_string()
}

/// A life as it is written.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct SavedLife {
    group: String,
    rule: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    value: String,
    starts_at: i64,
    interval_millis: i64,
    query: String,
}

fn owned(labels: &Labels) -> BTreeMap<String, String> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

impl From<&Life> for SavedLife {
    fn from(life: &Life) -> Self {
        Self {
            group: life.key.group.clone(),
            rule: life.key.rule.clone(),
            labels: owned(&life.key.labels),
            annotations: owned(&life.annotations),
            owner: life.owner.clone(),
            value: number(life.value),
            starts_at: life.starts_at.as_millis(),
            interval_millis: life.interval_millis,
            query: life.query.clone(),
        }
    }
}

impl From<SavedLife> for Life {
    fn from(saved: SavedLife) -> Self {
        Self {
            key: Key { group: saved.group, rule: saved.rule, labels: Labels::from_pairs(saved.labels) },
            annotations: Labels::from_sorted(saved.annotations.iter().map(|(name, text)| (name.as_str(), text.as_str()))),
            owner: saved.owner,
            value: saved.value.parse().unwrap_or(f64::NAN),
            starts_at: Timestamp::from_millis(saved.starts_at),
            again_at: Timestamp::from_millis(saved.starts_at),
            ends_at: None,
            resolved_value: None,
            seen_at: None,
            interval_millis: saved.interval_millis,
            query: saved.query,
            shown: true,
            surpassed: false,
        }
    }
}

/// The record as a line.
pub(super) fn write(record: &Record, lines: &mut Vec<u8>) {
    // Texts and numbers alone, which JSON can hold.
    let Ok(json) = serde_json::to_vec(record) else { return };
    lines.extend_from_slice(format!("{:08x} ", crc32fast::hash(&json)).as_bytes());
    lines.extend_from_slice(&json);
    lines.push(b'\n');
}

/// The records of a file, and how many of its lines are none.
pub(super) fn read(bytes: &[u8]) -> (Vec<Record>, usize) {
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let (records, damaged): (Vec<_>, Vec<_>) = lines.map(parse).partition(Option::is_some);
    (records.into_iter().flatten().collect(), damaged.len())
}

fn parse(line: &[u8]) -> Option<Record> {
    let (sum, json) = line.split_at_checked(9)?;
    let sum = u32::from_str_radix(std::str::from_utf8(sum).ok()?.trim_end(), 16).ok()?;
    (sum == crc32fast::hash(json)).then(|| serde_json::from_slice(json).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_a_damaged_line_is_left_out() {
        let labels = Labels::from_pairs([("alertname", "A"), ("text", "a\n\"ü\u{0}")]);
        let life = Life {
            key: Key { group: "f;g".into(), rule: "A".into(), labels },
            annotations: Labels::from_sorted([("empty", ""), ("summary", "s")].into_iter()),
            owner: Some("o".into()),
            value: f64::NEG_INFINITY,
            starts_at: Timestamp::from_millis(-5),
            again_at: Timestamp::from_millis(-5),
            ends_at: None,
            resolved_value: None,
            seen_at: None,
            interval_millis: 5000,
            query: "up == 0".into(),
            shown: true,
            surpassed: false,
        };
        let records = [
            Record::Fired { id: 1, life: Box::new((&life).into()), to: vec!["a".into()] },
            Record::Resolved { id: 1, ends_at: 7, value: Some(number(f64::NAN)), to: vec!["a".into()] },
            Record::Told { target: "a".into(), what: vec![(1, Phase::Firing)], at: 3 },
            Record::Target { target: "a".into(), pending: vec![(1, Phase::Resolved)], told: vec![(1, Phase::Firing, 3)], since: 2 },
        ];
        let mut lines = Vec::new();
        records.iter().for_each(|record| write(record, &mut lines));
        let (read_back, damaged) = read(&lines);
        assert_eq!((read_back.as_slice(), damaged), (records.as_slice(), 0));
        let Some(Record::Fired { life: saved, .. }) = read_back.into_iter().next() else { panic!("the first") };
        assert_eq!(Life::from(*saved), life);
        let torn = lines.len() - 3;
        assert_eq!(read(&lines[..torn]).1, 1);
        lines[40] ^= 1;
        assert_eq!((read(&lines).0.len(), read(&lines).1), (3, 1));
    }
}
