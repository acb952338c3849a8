//! What a session has to say of its senders since it was last heard: what was refused, and which numbers have come.

use std::sync::Arc;

use super::Refusal;

/// So many names a session keeps, and so many rows of numbers, before it has to be heard.
const NAMES_MAX: usize = 64;
const RUNS_MAX: usize = 1024;

/// How something is lost: refused for a reason, or missing among the sender's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Loss(usize);

impl Loss {
    /// Numbers that never came.
    pub(super) const GAP: Self = Self(Refusal::ALL.len());
    const COUNT: usize = Refusal::ALL.len() + 1;

    /// As it stands in the label `reason`.
    pub(super) fn as_str(self) -> &'static str {
        Refusal::ALL.get(self.0).map_or("gap", |reason| reason.as_str())
    }
}

impl From<Refusal> for Loss {
    fn from(reason: Refusal) -> Self {
        Self(reason as usize)
    }
}

/// Of one sender.
#[derive(Debug)]
pub(super) struct Note {
    pub(super) name: Arc<str>,
    lost: [u64; Loss::COUNT],
    /// Numbers that came in a row, first and last, in the order in which they came.
    pub(super) runs: Vec<(u64, u64)>,
}

impl Note {
    fn new(name: Arc<str>) -> Self {
        Self { name, lost: [0; Loss::COUNT], runs: Vec::new() }
    }

    /// What was lost, and how often.
    pub(super) fn lost(&self) -> impl Iterator<Item = (Loss, u64)> {
        self.lost.iter().enumerate().filter(|(_, events)| **events > 0).map(|(loss, events)| (Loss(loss), *events))
    }
}

/// Of all senders that a session has heard of. The first is its own: the process at the other end.
#[derive(Debug)]
pub(super) struct Notes {
    all: Vec<Note>,
    /// The sender of the line at hand.
    current: usize,
    /// The one that was last named.
    latest: usize,
    runs: usize,
    noted: bool,
}

impl Notes {
    /// None, of a process of this name.
    pub(super) fn new(own: &Arc<str>) -> Self {
        Self { all: vec![Note::new(Arc::clone(own))], current: 0, latest: 0, runs: 0, noted: false }
    }

    /// The next line has this sender; `None` for the process itself.
    pub(super) fn turn_to(&mut self, name: Option<&str>) {
        let Some(name) = name else {
            self.current = 0;
            return;
        };
        if self.current > 0 && self.all.get(self.current).is_some_and(|note| &*note.name == name) {
            return;
        }
        self.current = self.all.iter().skip(1).position(|note| &*note.name == name).map_or(self.all.len(), |index| index + 1);
        if self.current == self.all.len() {
            self.all.push(Note::new(Arc::from(name)));
        }
        self.latest = self.current;
    }

    /// What is noted next is of the sender that was last named, if any was: mostly a session has one.
    pub(super) const fn turn_to_latest(&mut self) {
        self.current = self.latest;
    }

    /// The present sender has lost events.
    pub(super) fn lose(&mut self, loss: Loss, events: u64) {
        if let Some(count) = self.all.get_mut(self.current).and_then(|note| note.lost.get_mut(loss.0)) {
            *count += events;
            self.noted |= events > 0;
        }
    }

    /// The present sender's number has come.
    pub(super) fn number(&mut self, number: u64) {
        let Some(note) = self.all.get_mut(self.current) else { return };
        match note.runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
            _ => {
                note.runs.push((number, number));
                self.runs += 1;
            }
        }
        self.noted = true;
    }

    /// True when there is nothing to say.
    pub(super) const fn is_empty(&self) -> bool {
        !self.noted
    }

    /// True when it has to be said now.
    pub(super) const fn is_full(&self) -> bool {
        self.all.len() > NAMES_MAX || self.runs >= RUNS_MAX
    }

    /// What is noted of the process itself.
    pub(super) fn own(&mut self) -> Option<&mut Note> {
        self.all.first_mut()
    }

    /// All that is noted.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Note> {
        self.all.iter()
    }

    /// It has been heard. Names are kept while they are few.
    pub(super) fn clear(&mut self) {
        if self.all.len() > NAMES_MAX {
            self.all.truncate(1);
            (self.current, self.latest) = (0, 0);
        }
        for note in &mut self.all {
            note.lost = [0; Loss::COUNT];
            note.runs.clear();
        }
        (self.runs, self.noted) = (0, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Said = (String, Vec<(&'static str, u64)>, Vec<(u64, u64)>);

    fn said(notes: &Notes) -> Vec<Said> {
        let lost = |note: &Note| note.lost().map(|(loss, events)| (loss.as_str(), events)).collect();
        notes.iter().map(|note| (note.name.to_string(), lost(note), note.runs.clone())).collect()
    }

    #[test]
    fn each_sender_has_its_own_page() {
        let mut notes = Notes::new(&Arc::from("shop.service"));
        assert!(notes.is_empty());
        notes.lose(Refusal::Malformed.into(), 2);
        notes.turn_to(Some("w1"));
        for number in [1, 2, 3, 7, 5, 6] {
            notes.number(number);
        }
        notes.turn_to(Some("shop.service"));
        notes.lose(Loss::GAP, 1);
        notes.turn_to(Some("w1"));
        notes.number(7);
        notes.turn_to(None);
        notes.lose(Refusal::Malformed.into(), 1);
        let expected = [
            ("shop.service".to_owned(), vec![("malformed", 3)], vec![]),
            ("w1".to_owned(), vec![], vec![(1, 3), (7, 7), (5, 7)]),
            ("shop.service".to_owned(), vec![("gap", 1)], vec![]),
        ];
        assert_eq!(said(&notes), expected, "a sender that calls itself as the process is called is another");
        notes.clear();
        assert!(notes.is_empty() && said(&notes).iter().all(|(_, lost, runs)| lost.is_empty() && runs.is_empty()));
    }

    #[test]
    fn what_is_kept_has_a_limit() {
        let mut notes = Notes::new(&Arc::from("a"));
        for name in 0..NAMES_MAX {
            assert!(!notes.is_full());
            notes.turn_to(Some(&name.to_string()));
        }
        assert!(notes.is_full());
        notes.clear();
        assert!(!notes.is_full() && notes.iter().count() == 1);
        for number in 0..RUNS_MAX as u64 {
            assert!(!notes.is_full());
            notes.number(number * 2);
        }
        assert!(notes.is_full());
        notes.clear();
        assert!(!notes.is_full());
    }
}
