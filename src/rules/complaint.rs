//! Says that a rule fails, and that it works again, but not at every evaluation: what it fails of often has a number or a label in it that
//! changes each time, and some rules fail every other time.

use crate::model::Timestamp;

/// It is not said again that a rule fails before so much time has passed, in milliseconds.
const PAUSE_MILLIS: i64 = 5 * 60 * 1000;

/// What was said of a rule.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Complaint {
    /// When it was last said that it fails.
    at: Option<Timestamp>,
    /// It has not been said since that it works again.
    is_open: bool,
}

impl Complaint {
    /// It fails. Whether to say so.
    pub(super) fn fails(&mut self, at: Timestamp) -> bool {
        // A clock that was set back does not put it off.
        let is_due = self.at.is_none_or(|last| at < last || at.as_millis().saturating_sub(last.as_millis()) >= PAUSE_MILLIS);
        if is_due {
            *self = Self { at: Some(at), is_open: true };
        }
        is_due
    }

    /// It works. Whether to say so.
    pub(super) fn works(&mut self) -> bool {
        std::mem::take(&mut self.is_open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_fails_is_complained_of_once_in_five_minutes_and_told_of_when_it_works() {
        let mut complaint = Complaint::default();
        let mut fails = |seconds: i64| complaint.fails(Timestamp::from_millis(seconds * 1000));
        assert_eq!([0, 15, 299, 300, 301].map(&mut fails), [true, false, false, true, false]);
        assert_eq!([-3_600, -3_585, 301].map(&mut fails), [true, false, true], "the clock was set back, and forward again");
        assert_eq!([complaint.works(), complaint.works()], [true, false]);
        let mut said = 0;
        for round in 0..40 {
            said += usize::from(complaint.fails(Timestamp::from_millis(302_000 + round * 15_000)));
            said += usize::from(complaint.works());
        }
        assert_eq!(said, 2, "it fails and works by turns for ten minutes");
    }
}
