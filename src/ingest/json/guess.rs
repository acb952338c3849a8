//! What stands between two values. A sender writes the fields of a kind in one order and with the same blanks, so that what
//! stood there in the line before is mostly what stands there again: then it is compared, not read.

use super::cursor::Cursor;
use crate::ingest::kinds::{ALL, FIELDS_MAX, Kind};

/// So much is remembered of one place; longer keys are read every time.
const TEXT_MAX: usize = 38;

/// A field that means nothing within its kind.
pub(super) const UNKNOWN: usize = FIELDS_MAX;

#[derive(Clone, Copy, Debug)]
struct Guess {
    text: [u8; TEXT_MAX],
    length: u8,
    /// The position of the field that comes then.
    position: u8,
}

const NONE: Guess = Guess { text: [0; TEXT_MAX], length: 0, position: 0 };

impl Guess {
    fn new(text: &str, position: usize) -> Option<Self> {
        let mut guess = Self { length: u8::try_from(text.len()).ok()?, position: u8::try_from(position).ok()?, ..NONE };
        guess.text.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(guess)
    }

    fn text(&self) -> &[u8] {
        self.text.get(..usize::from(self.length)).unwrap_or(&[])
    }
}

/// What to expect of one sender's lines.
#[derive(Debug)]
pub(in crate::ingest) struct Guesses {
    /// How a line begins, its kind included.
    start: Guess,
    start_kind: &'static Kind,
    /// By kind: what follows each field.
    next: [Option<Box<[Guess; FIELDS_MAX + 1]>>; ALL.len()],
}

impl Default for Guesses {
    fn default() -> Self {
        let [first, ..] = ALL;
        Self { start: NONE, start_kind: first, next: [const { None }; ALL.len()] }
    }
}

impl Guesses {
    /// Passes over a line's beginning up to behind its kind, if it is the expected one.
    #[inline]
    pub(super) fn start(&self, cursor: &mut Cursor<'_>) -> Option<&'static Kind> {
        (self.start.length > 0 && cursor.pass_text(self.start.text())).then_some(self.start_kind)
    }

    /// Expects lines to begin like that.
    pub(super) fn learn_start(&mut self, text: &str, kind: &'static Kind) {
        if let Some(guess) = Guess::new(text, 0) {
            (self.start, self.start_kind) = (guess, kind);
        }
    }

    /// Passes over what stands behind the value of field `before`, up to the next value, if it is what is expected there;
    /// that value's field.
    #[inline]
    pub(super) fn next(&self, kind: usize, before: usize, cursor: &mut Cursor<'_>) -> Option<usize> {
        let guess = self.next.get(kind)?.as_ref()?.get(before)?;
        if guess.length == 0 || !cursor.pass_text(guess.text()) {
            return None;
        }
        cursor.space();
        Some(usize::from(guess.position))
    }

    /// Expects this text behind field `before`, and then field `position`.
    pub(super) fn learn(&mut self, kind: usize, before: usize, text: &str, position: usize) {
        let Some(next) = self.next.get_mut(kind) else { return };
        let next = next.get_or_insert_with(|| Box::new([NONE; FIELDS_MAX + 1]));
        if let Some((place, guess)) = next.get_mut(before).zip(Guess::new(text, position)) {
            *place = guess;
        }
    }
}
