//! What the journal's files are called: what they hold, the generation, and what is the matter with them.
//!
//! A generation begins with a journal; the snapshot of the same generation holds what was before it. So a snapshot and all
//! journals from its generation on make the whole.

use std::fmt;

use super::header::FileKind;

/// Digits of a generation, so that names sort as generations do.
const DIGITS: usize = 12;
const UNFINISHED: &str = ".tmp";

/// A file that is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    pub(super) kind: FileKind,
    pub(super) generation: u64,
    /// It was given up: something that was shown is missing behind its end.
    pub(super) broken: bool,
}

impl Name {
    pub(super) const fn new(kind: FileKind, generation: u64) -> Self {
        Self { kind, generation, broken: false }
    }

    /// The same file, given up.
    pub(super) const fn given_up(self) -> Self {
        Self { broken: true, ..self }
    }

    /// What a file is called while it is written.
    pub(super) fn unfinished(self) -> String {
        format!("{self}{UNFINISHED}")
    }

    /// Reads a file's name; `None` for files that are not in use.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (kind, rest) = name.split_once('-')?;
        let kind = match kind {
            "snapshot" => FileKind::Snapshot,
            "journal" => FileKind::Journal,
            _ => return None,
        };
        let (digits, broken) = rest.strip_suffix(".broken").map_or((rest, false), |digits| (digits, true));
        let all_digits = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
        let generation = digits.parse().ok().filter(|_| all_digits)?;
        Some(Self { kind, generation, broken })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            FileKind::Snapshot => "snapshot",
            FileKind::Journal => "journal",
        };
        write!(f, "{kind}-{:0DIGITS$}{}", self.generation, if self.broken { ".broken" } else { "" })
    }
}

/// True for what a snapshot that was never finished is called.
pub(super) fn is_unfinished(name: &str) -> bool {
    name.strip_suffix(UNFINISHED).is_some_and(|name| Name::parse(name).is_some())
}

/// The files that are of no use any more once the snapshot of `generation` is whole: those older than the snapshot before it,
/// with which, and with its journals, a damaged one can be made good.
pub(super) fn superseded(names: &[Name], generation: u64) -> Vec<Name> {
    let snapshots = names.iter().filter(|name| name.kind == FileKind::Snapshot && name.generation < generation);
    let Some(before) = snapshots.map(|name| name.generation).max() else { return Vec::new() };
    names.iter().copied().filter(|name| name.generation < before).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_back() {
        for name in [Name::new(FileKind::Snapshot, 7), Name::new(FileKind::Journal, 123_456), Name::new(FileKind::Journal, 1).given_up()] {
            assert_eq!(Name::parse(&name.to_string()), Some(name));
            assert!(is_unfinished(&name.unfinished()));
            assert_eq!(Name::parse(&name.unfinished()), None);
        }
        assert_eq!(Name::new(FileKind::Journal, 7).to_string(), "journal-000000000007");
        for other in ["lock", "journal-7", "journal-00000000000x", "snapshot-000000000007.damaged", "journal-+00000000007"] {
            assert_eq!(Name::parse(other), None, "{other}");
            assert!(!is_unfinished(other));
        }
    }

    #[test]
    fn the_snapshot_before_is_kept_with_its_journals() {
        let all: Vec<_> =
            (1..=6).flat_map(|generation| [FileKind::Snapshot, FileKind::Journal].map(|kind| Name::new(kind, generation))).collect();
        let without_5: Vec<_> = all.iter().copied().filter(|name| *name != Name::new(FileKind::Snapshot, 5)).collect();
        assert_eq!(superseded(&without_5, 6), without_5[..6]);
        assert_eq!(superseded(&all[..2], 1), []);
    }
}
