//! Silences: for a time, nobody is told that alerts with certain labels have begun.
//!
//! `matchers` reads and writes conditions as amtool does; `book` is all silences and what may be done with them, as
//! Alertmanager does it; `written` is their form in JSON; `held` remembers which alerts they hold back; `keeper` has them on disk.

mod book;
mod held;
mod keeper;
mod matchers;
mod written;

pub use book::{Draft, Refusal, Silence, SilenceState};
pub use keeper::Silences;
pub use matchers::{MatcherError, parse_matcher, parse_matchers, print_matcher};
pub use written::{DraftError, Written, read_draft};

pub(super) use held::Held;
