//! Puts together what the files hold: the newest snapshot that is whole, and what the journals say happened since.
//!
//! Either everything comes back that was ever shown, or nothing does. A counter that comes back lower than it was shown is
//! read as one that was reset, and its whole value as a rise: beginning at zero is less wrong than that.

use std::io;

use super::frame::{End, Frames};
use super::header::{FileKind, Header, HeaderError};
use super::name::Name;
use super::operation::Totals;
use super::replay::{NUMBER_MAX, Part, Replay};

/// What the files hold.
#[derive(Debug, Default)]
pub(super) struct Recovered {
    /// All series; none where something is missing.
    pub(super) replay: Replay,
    /// Bytes that were read.
    pub(super) bytes: u64,
    /// Bytes at the end of a journal that were no whole record: it was being written when the agent was killed, and nobody has
    /// been shown what it says.
    pub(super) torn_bytes: u64,
    /// Files to put aside, and what for.
    pub(super) aside: Vec<(Name, Aside)>,
    /// Damaged places, a sentence each.
    pub(super) damages: Vec<String>,
    /// Why nothing is restored although there are files.
    pub(super) refused: Option<String>,
}

/// Why a file is put aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aside {
    /// It is not as it was written.
    Damaged,
    /// Of no use without another one that is damaged or missing.
    Incomplete,
    /// A later agent wrote it.
    Newer,
}

impl Aside {
    /// As it stands in a file's name and in a label.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Damaged => "damaged",
            Self::Incomplete => "incomplete",
            Self::Newer => "newer",
        }
    }
}

/// Why the files cannot be used as they are.
enum Fault {
    Newer(String),
    Incomplete(String),
}

/// Reads as many of the files as it takes. `load` answers the bytes of one; `boot` tells this boot of the machine from others,
/// empty where that is not known.
pub(super) fn recover(names: &[Name], boot: &str, mut load: impl FnMut(Name) -> io::Result<Vec<u8>>) -> Recovered {
    let mut recovered = Recovered::default();
    let fault = match read_all(names, boot, &mut load, &mut recovered) {
        Ok(()) => return recovered,
        Err(fault) => fault,
    };
    let (aside, reason) = match fault {
        Fault::Newer(reason) => (Aside::Newer, reason),
        Fault::Incomplete(reason) => (Aside::Incomplete, reason),
    };
    let is_left = |name: &&Name| !recovered.aside.iter().any(|(other, _)| other == *name);
    let left: Vec<_> = names.iter().filter(is_left).map(|name| (*name, aside)).collect();
    recovered.aside.extend(left);
    (recovered.replay, recovered.refused) = (Replay::default(), Some(reason));
    recovered
}

fn read_all(
    names: &[Name],
    boot: &str,
    load: &mut impl FnMut(Name) -> io::Result<Vec<u8>>,
    recovered: &mut Recovered,
) -> Result<(), Fault> {
    let of = |kind| {
        let mut names: Vec<Name> = names.iter().copied().filter(|name| name.kind == kind).collect();
        names.sort_unstable();
        names
    };
    let mut base = None;
    for name in of(FileKind::Snapshot).into_iter().rev() {
        match read_snapshot(name, load, recovered)? {
            Some((replay, header, totals)) => {
                recovered.replay = replay;
                base = Some((name.generation, header, totals));
                break;
            }
            None => recovered.aside.push((name, Aside::Damaged)),
        }
    }
    let since = base.as_ref().map_or(0, |(generation, ..)| *generation);
    let journals: Vec<Name> = of(FileKind::Journal).into_iter().filter(|name| name.generation >= since).collect();
    let last = base.as_ref().is_some_and(|(.., totals)| totals.last);
    if base.is_some() && !last && !journals.iter().any(|name| name.generation == since) {
        return Err(Fault::Incomplete(format!("there is no {}", Name::new(FileKind::Journal, since))));
    }
    let first = base.as_ref().map_or(1, |(_, header, _)| header.first);
    let held = base.as_ref().map_or(0, |(.., totals)| totals.sequence);
    let (mut newest_boot, mut next) = (base.map(|(_, header, _)| header.boot), first);
    for name in journals {
        if let Some(header) = read_journal(name, load, recovered, &mut next)? {
            newest_boot = Some(header.boot);
        }
        if name.broken {
            return Err(Fault::Incomplete(format!("{name} could not be written to its end")));
        }
    }
    // A snapshot counts as whole only once the journal has been written as far as it goes.
    if held >= next {
        return Err(missing(next, held));
    }
    let is_other = |written: &String| !written.is_empty() && !boot.is_empty() && written != boot;
    if newest_boot.as_ref().is_some_and(is_other) && !(last && next == first) {
        return Err(Fault::Incomplete("the machine went down before the agent was stopped, and the last records with it".to_owned()));
    }
    Ok(())
}

/// Reads a snapshot; `None` where it is damaged.
fn read_snapshot(
    name: Name,
    load: &mut impl FnMut(Name) -> io::Result<Vec<u8>>,
    recovered: &mut Recovered,
) -> Result<Option<(Replay, Header, Totals)>, Fault> {
    let mut damaged = |what: String| {
        recovered.damages.push(format!("{name}: {what}"));
        Ok(None)
    };
    let file = match load(name) {
        Ok(file) => file,
        Err(error) => return damaged(format!("it cannot be read: {error}")),
    };
    let (header, body) = match Header::decode(FileKind::Snapshot, &file) {
        Ok(found) => found,
        Err(HeaderError::Newer(version)) => return Err(newer(name, version)),
        Err(error) => return damaged(error.to_string()),
    };
    if header.generation != name.generation || header.first > NUMBER_MAX {
        return damaged(format!("it says that it is of generation {}", header.generation));
    }
    let (mut replay, mut totals, mut frames) = (Replay::default(), None, Frames::new(body));
    let end = loop {
        match frames.next() {
            Ok(_) if totals.is_some() => break frames.refuse(),
            Ok(frame) => match replay.apply(Part::Snapshot, frame) {
                Ok(end) => totals = end,
                Err(_) => break frames.refuse(),
            },
            Err(end) => break end,
        }
    };
    match (end, totals) {
        (End::Whole, Some(totals)) if totals.series == replay.events.series() as u64 => {
            recovered.bytes += file.len() as u64;
            Ok(Some((replay, header, totals)))
        }
        (End::Damaged(at), _) => damaged(format!("it is damaged {} bytes into it", (file.len() - body.len()) as u64 + at)),
        _ => damaged("it is not whole".to_owned()),
    }
}

/// Applies a journal that begins with the record `next`, and moves that on; its header, or `None` where it ends in that.
fn read_journal(
    name: Name,
    load: &mut impl FnMut(Name) -> io::Result<Vec<u8>>,
    recovered: &mut Recovered,
    next: &mut u64,
) -> Result<Option<Header>, Fault> {
    let mut damaged = |what: String| {
        recovered.damages.push(format!("{name}: {what}"));
        recovered.aside.push((name, Aside::Damaged));
        Fault::Incomplete(format!("{name} is damaged"))
    };
    let file = load(name).map_err(|error| damaged(format!("it cannot be read: {error}")))?;
    let (header, body) = match Header::decode(FileKind::Journal, &file) {
        Ok(found) => found,
        Err(HeaderError::Torn) => {
            recovered.torn_bytes += file.len() as u64;
            return Ok(None);
        }
        Err(HeaderError::Newer(version)) => return Err(newer(name, version)),
        Err(error @ HeaderError::Damaged) => return Err(damaged(error.to_string())),
    };
    if header.generation != name.generation || header.first > NUMBER_MAX || header.first < *next {
        return Err(damaged(format!("it says that it is of generation {}, from record {} on", header.generation, header.first)));
    }
    if header.first > *next {
        return Err(missing(*next, header.first - 1));
    }
    let mut frames = Frames::new(body);
    let end = loop {
        match frames.next() {
            Ok(frame) if frame.sequence != *next => break frames.refuse(),
            Ok(frame) => match recovered.replay.apply(Part::Journal, frame) {
                Ok(_) => *next += 1,
                Err(_) => break frames.refuse(),
            },
            Err(end) => break end,
        }
    };
    recovered.bytes += file.len() as u64;
    match end {
        End::Whole => {}
        End::Torn(bytes) => recovered.torn_bytes += bytes,
        End::Damaged(at) => return Err(damaged(format!("it is damaged {} bytes into it", (file.len() - body.len()) as u64 + at))),
    }
    Ok(Some(header))
}

fn missing(first: u64, last: u64) -> Fault {
    Fault::Incomplete(format!("records {first} to {last} are missing"))
}

fn newer(name: Name, version: u32) -> Fault {
    Fault::Newer(format!("{name} was written by a later version of the agent (format {version})"))
}

#[cfg(test)]
mod tests;
