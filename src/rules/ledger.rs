//! The state of all alerts as it is kept on disk: what a file says, and what has to be added to it.
//!
//! A file is lines. The first says what it is ([`FORMAT`]); each other one is a record in JSON behind its checksum (CRC-32 in eight
//! hexadecimal digits) and a space. A record counts for more than those before it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::alert::Alert;
use super::rule::RuleText;
use crate::model::{AlertState, Labels, Timestamp};

/// What a file opens with: the format and its version.
pub(super) const FORMAT: &str = "sidewatch alerts 1";

/// A value that changes and nothing else is written so much later at most, in milliseconds: the next evaluation after a
/// start makes it anew, and only of an alert that has ended meanwhile it is the last.
const VALUE_MILLIS: i64 = 60_000;

/// By what a rule is known again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct RuleKey {
    /// Of its kind, name and labels: what a reload goes by.
    name: u64,
    /// Of its expression.
    query: u64,
}

impl RuleKey {
    pub(super) fn new(text: &RuleText) -> Self {
        let kind = if text.timing.is_some() { "alert" } else { "record" };
        let labels = text.labels.iter().flat_map(|(name, value)| [name.as_str(), value]);
        Self { name: hash([kind, &text.name].into_iter().chain(labels)), query: hash([text.query.as_str()]) }
    }
}

/// FNV-1a: the standard library's hash may change between versions, and with it what is known again.
pub(super) fn hash<'t>(texts: impl IntoIterator<Item = &'t str>) -> u64 {
    // No text contains the byte between two of them.
    let bytes = texts.into_iter().enumerate().flat_map(|(index, text)| (index > 0).then_some(0xff).into_iter().chain(text.bytes()));
    bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// One line. All times are in milliseconds since the epoch.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum Record {
    /// A group begins anew, with these rules and these alerts: in one line, so that a file that is cut off has either the ones before or
    /// these.
    Group {
        at: i64,
        group: String,
        rules: Vec<RuleKey>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        alerts: Vec<(usize, BTreeMap<String, String>, Entry)>,
    },
    /// An alert of the rule of that number as it is now, or that it is forgotten.
    Alert { at: i64, group: String, rule: usize, labels: BTreeMap<String, String>, alert: Option<Entry> },
    /// A group is no more.
    Gone { at: i64, group: String },
    /// The agent lives, and evaluates all groups but these, which have yet to begin.
    Alive {
        at: i64,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        idle: Vec<String>,
    },
}

/// An alert as it is written.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Entry {
    state: State,
    annotations: BTreeMap<String, String>,
    /// The bits of a float: JSON knows neither NaN nor infinity.
    value: u64,
    active_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fired_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resolved_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keep_firing_since: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resolved_value: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<Box<Entry>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Inactive,
    Pending,
    Firing,
}

impl Entry {
    fn new(alert: &Alert) -> Self {
        let millis = |at: Option<Timestamp>| at.map(Timestamp::as_millis);
        Self {
            state: match alert.state {
                AlertState::Inactive => State::Inactive,
                AlertState::Pending => State::Pending,
                AlertState::Firing => State::Firing,
            },
            annotations: pairs(&alert.annotations),
            value: alert.value.to_bits(),
            active_at: alert.active_at.as_millis(),
            fired_at: millis(alert.fired_at),
            resolved_at: millis(alert.resolved_at),
            keep_firing_since: millis(alert.keep_firing_since),
            resolved_value: alert.resolved_value.map(f64::to_bits),
            before: alert.before.as_deref().map(|before| Box::new(Self::new(before))),
        }
    }

    fn alert(&self) -> Alert {
        let time = |millis: Option<i64>| millis.map(Timestamp::from_millis);
        Alert {
            state: match self.state {
                State::Inactive => AlertState::Inactive,
                State::Pending => AlertState::Pending,
                State::Firing => AlertState::Firing,
            },
            annotations: Labels::from_sorted(self.annotations.iter().map(|(name, text)| (name.as_str(), text.as_str()))),
            value: f64::from_bits(self.value),
            active_at: Timestamp::from_millis(self.active_at),
            fired_at: time(self.fired_at),
            resolved_at: time(self.resolved_at),
            keep_firing_since: time(self.keep_firing_since),
            resolved_value: self.resolved_value.map(f64::from_bits),
            unseen: false,
            before: self.before.as_deref().map(|before| Box::new(before.alert())),
            series: None,
        }
    }
}

/// What a file says.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    groups: BTreeMap<String, Group>,
}

#[derive(Clone, Debug, Default)]
struct Group {
    rules: Vec<RuleKey>,
    /// By the number of their rule, which has an entry once it has had alerts.
    alerts: BTreeMap<usize, BTreeMap<Labels, Kept>>,
    /// When it is last known to have been evaluated.
    alive: Timestamp,
}

/// An alert as it was last written.
#[derive(Clone, Debug)]
struct Kept {
    alert: Alert,
    at: i64,
}

/// How a file was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Whole,
    /// Its last line was not written to its end.
    Torn,
    /// So many lines are not as they were written.
    Damaged(usize),
    /// It is of another version.
    Other,
}

impl Ledger {
    /// Reads a file; what cannot be read is left out.
    pub(super) fn read(file: &[u8]) -> (Self, Found) {
        let mut ledger = Self::default();
        let mut lines = file.split(|byte| *byte == b'\n');
        if lines.next() != Some(FORMAT.as_bytes()) {
            return (ledger, Found::Other);
        }
        let (mut damaged, mut torn) = (0, false);
        let mut lines = lines.peekable();
        while let Some(line) = lines.next() {
            match record(line) {
                Some(record) => ledger.apply(record),
                // Behind the last line's end there is nothing.
                None if lines.peek().is_none() => torn = !line.is_empty(),
                None => damaged += 1,
            }
        }
        let found = match (damaged, torn) {
            (0, false) => Found::Whole,
            (0, true) => Found::Torn,
            (lines, _) => Found::Damaged(lines),
        };
        (ledger, found)
    }

    /// A file that says the same.
    pub(super) fn file(&self) -> String {
        let mut file = format!("{FORMAT}\n");
        for (key, group) in &self.groups {
            let at = group.alive.as_millis();
            push(&mut file, &Record::Group { at, group: key.clone(), rules: group.rules.clone(), alerts: Vec::new() });
            for (rule, alerts) in &group.alerts {
                for (labels, kept) in alerts {
                    push(&mut file, &alert_record(kept.at, key, *rule, labels, Some(&kept.alert)));
                }
            }
        }
        file
    }

    /// When a group is last known to have been evaluated.
    pub(super) fn alive(&self, key: &str) -> Option<Timestamp> {
        self.groups.get(key).map(|group| group.alive)
    }

    /// How many alerts it knows, those that are over too.
    pub(super) fn alert_count(&self) -> usize {
        self.groups.values().flat_map(|group| group.alerts.values()).map(BTreeMap::len).sum()
    }

    /// What it knows of a group's rules, each in its place; `None` where it does not know the group. A rule that was changed while nobody
    /// looked takes over the alerts of the one that it was: the same name, labels and expression, or the same name and labels
    /// where there is no other such rule that it could have been.
    pub(super) fn claim(&self, key: &str, rules: &[RuleKey]) -> Option<Vec<BTreeMap<Labels, Alert>>> {
        let group = self.groups.get(key)?;
        let mut free: Vec<bool> = group.rules.iter().map(|_| true).collect();
        let mut from: Vec<Option<usize>> = Vec::new();
        for rule in rules {
            let equal = group.rules.iter().zip(&free).position(|(known, free)| *free && known == rule);
            if let Some(free) = equal.and_then(|equal| free.get_mut(equal)) {
                *free = false;
            }
            from.push(equal);
        }
        let unclaimed: Vec<u64> = rules.iter().zip(&from).filter(|(_, from)| from.is_none()).map(|(rule, _)| rule.name).collect();
        for (rule, from) in rules.iter().zip(&mut from).filter(|(_, from)| from.is_none()) {
            let mut candidates = (0..).zip(group.rules.iter().zip(&free)).filter(|(_, (known, free))| **free && known.name == rule.name);
            let only = candidates.next().filter(|_| candidates.next().is_none());
            if unclaimed.iter().filter(|name| **name == rule.name).count() == 1 {
                *from = only.map(|(place, _)| place);
            }
        }
        let alerts = |from: Option<usize>| {
            let known = from.and_then(|rule| group.alerts.get(&rule)).into_iter().flatten();
            known.map(|(labels, kept)| (labels.clone(), kept.alert.clone())).collect()
        };
        Some(from.into_iter().map(alerts).collect())
    }

    /// A group begins, with these rules and the alerts of each. What has to be written.
    pub(super) fn begin<'a>(
        &mut self,
        at: Timestamp,
        key: &str,
        rules: Vec<RuleKey>,
        alerts: impl Iterator<Item = (usize, &'a Labels, &'a Alert)>,
    ) -> String {
        let alerts = alerts.map(|(rule, labels, alert)| (rule, pairs(labels), Entry::new(alert))).collect();
        self.note(Record::Group { at: at.as_millis(), group: key.to_owned(), rules, alerts })
    }

    /// How a rule's alerts are now, by labels. What has to be written: nothing where nothing but a value has changed, and not long ago.
    pub(super) fn update<'a>(
        &mut self,
        at: Timestamp,
        key: &str,
        rule: usize,
        now: impl Iterator<Item = (&'a Labels, &'a Alert)>,
    ) -> String {
        let mut lines = String::new();
        let mut now = now.peekable();
        let Some(group) = self.groups.get_mut(key) else { return lines };
        if now.peek().is_none() && !group.alerts.contains_key(&rule) {
            return lines;
        }
        let alerts = group.alerts.entry(rule).or_default();
        // Both ascend, and mostly they have the same alerts, so they are gone through side by side and nothing is looked up.
        let mut known = alerts.iter_mut().peekable();
        let (mut gone, mut new) = (Vec::new(), Vec::new());
        for (labels, alert) in now {
            while let Some((labels, _)) = known.next_if(|(known, _)| *known < labels) {
                gone.push(labels.clone());
            }
            let kept = known.next_if(|(known, _)| *known == labels).map(|(_, kept)| kept);
            if kept.as_ref().is_some_and(|kept| kept.stands_for(alert, at)) {
                continue;
            }
            push(&mut lines, &alert_record(at.as_millis(), key, rule, labels, Some(alert)));
            let written = Kept { alert: alert.clone(), at: at.as_millis() };
            match kept {
                Some(kept) => *kept = written,
                None => new.push((labels.clone(), written)),
            }
        }
        gone.extend(known.map(|(labels, _)| labels.clone()));
        for labels in gone {
            push(&mut lines, &alert_record(at.as_millis(), key, rule, &labels, None));
            alerts.remove(&labels);
        }
        alerts.extend(new);
        group.alive = group.alive.max(at);
        lines
    }

    /// A group is no more. What has to be written.
    pub(super) fn end(&mut self, at: Timestamp, key: &str) -> String {
        if self.groups.contains_key(key) { self.note(Record::Gone { at: at.as_millis(), group: key.to_owned() }) } else { String::new() }
    }

    /// Groups of which nobody knows any more.
    pub(super) fn strangers(&self, known: impl Fn(&str) -> bool) -> Vec<String> {
        self.groups.keys().filter(|key| !known(key)).cloned().collect()
    }

    /// The agent lives, and evaluates the groups that have begun. What has to be written.
    pub(super) fn live(&mut self, at: Timestamp, has_begun: impl Fn(&str) -> bool) -> String {
        let idle = self.strangers(has_begun);
        self.note(Record::Alive { at: at.as_millis(), idle })
    }

    fn note(&mut self, record: Record) -> String {
        let mut line = String::new();
        push(&mut line, &record);
        self.apply(record);
        line
    }

    fn apply(&mut self, record: Record) {
        match record {
            Record::Group { at, group, rules, alerts } => {
                let mut group_of = Group { rules, alerts: BTreeMap::new(), alive: Timestamp::from_millis(at) };
                for (rule, labels, entry) in alerts {
                    let kept = Kept { alert: entry.alert(), at };
                    group_of.alerts.entry(rule).or_default().insert(Labels::from_pairs(labels), kept);
                }
                self.groups.insert(group, group_of);
            }
            Record::Alert { at, group, rule, labels, alert } => {
                let group = self.groups.entry(group).or_default();
                group.alive = group.alive.max(Timestamp::from_millis(at));
                let (alerts, labels) = (group.alerts.entry(rule).or_default(), Labels::from_pairs(labels));
                match alert {
                    Some(alert) => drop(alerts.insert(labels, Kept { alert: alert.alert(), at })),
                    None => drop(alerts.remove(&labels)),
                }
            }
            Record::Gone { group, .. } => drop(self.groups.remove(&group)),
            // The one record that takes a time back, for a clock that was wrong.
            Record::Alive { at, idle } => {
                let idle: BTreeSet<String> = idle.into_iter().collect();
                let begun = self.groups.iter_mut().filter(|(key, _)| !idle.contains(*key));
                begun.for_each(|(_, group)| group.alive = Timestamp::from_millis(at));
            }
        }
    }
}

impl Kept {
    /// Whether what was written says enough of the alert as it is now.
    fn stands_for(&self, now: &Alert, at: Timestamp) -> bool {
        let then = &self.alert;
        let life = |alert: &Alert| {
            let times = (alert.active_at, alert.fired_at, alert.resolved_at, alert.keep_firing_since);
            (alert.state, times, alert.resolved_value.map(f64::to_bits))
        };
        let shown = then.value.to_bits() == now.value.to_bits() && then.annotations == now.annotations;
        life(then) == life(now) && (shown || at.as_millis().saturating_sub(self.at) < VALUE_MILLIS)
    }
}

fn alert_record(at: i64, group: &str, rule: usize, labels: &Labels, alert: Option<&Alert>) -> Record {
    Record::Alert { at, group: group.to_owned(), rule, labels: pairs(labels), alert: alert.map(Entry::new) }
}

fn pairs(labels: &Labels) -> BTreeMap<String, String> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn push(lines: &mut String, record: &Record) {
    // Nothing in a record is a map with keys that are no text.
    let json = serde_json::to_string(record).unwrap_or_default();
    // To write into a text does not fail.
    let _ok = writeln!(lines, "{:08x} {json}", crc32fast::hash(json.as_bytes()));
}

fn record(line: &[u8]) -> Option<Record> {
    let (sum, json) = (line.get(..8)?, line.get(9..)?);
    let sum = u32::from_str_radix(std::str::from_utf8(sum).ok()?, 16).ok()?;
    (line.get(8) == Some(&b' ') && crc32fast::hash(json) == sum).then(|| serde_json::from_slice(json).ok())?
}

#[cfg(test)]
mod tests;
