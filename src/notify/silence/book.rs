//! All silences, and what may be done with them. Pure. Source: prometheus/alertmanager `silence/silence.go` (`Set`, `Expire`,
//! `canUpdate`, `validateSilence`).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{Matcher, Timestamp};

/// How long a silence that is over is remembered.
const RETENTION: Duration = Duration::from_hours(120);
/// The most matchers of a silence.
const MATCHERS_MAX: usize = 32;
/// The most bytes of an author, a comment, or a matcher's value.
const TEXT_BYTES_MAX: usize = 1024;

/// Where a silence is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SilenceState {
    /// In force.
    Active,
    /// It begins later.
    Pending,
    /// It is over.
    Expired,
}

impl SilenceState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Active, Self::Pending, Self::Expired];

    /// Its name in Alertmanager's API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Pending => "pending",
            Self::Expired => "expired",
        }
    }
}

/// A silence.
#[derive(Clone, Debug, PartialEq)]
pub struct Silence {
    /// Its name.
    pub id: String,
    /// An alert is silenced where all of them hold.
    pub matchers: Vec<Matcher>,
    /// When it begins.
    pub starts_at: Timestamp,
    /// When it is over.
    pub ends_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// Why.
    pub comment: String,
}

impl Silence {
    /// Where it is in its life.
    #[must_use]
    pub fn state(&self, at: Timestamp) -> SilenceState {
        match at {
            at if at < self.starts_at => SilenceState::Pending,
            at if at < self.ends_at => SilenceState::Active,
            _ => SilenceState::Expired,
        }
    }

    /// Whether it is about an alert with these labels.
    pub(crate) fn matches<'l>(&self, label: impl Fn(&str) -> Option<&'l str>) -> bool {
        self.matchers.iter().all(|matcher| matcher.matches(label(matcher.name()).unwrap_or_default()))
    }
}

/// A silence that is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// The silence that it changes, where it is one that is known.
    pub id: Option<String>,
    /// An alert is silenced where all of them hold.
    pub matchers: Vec<Matcher>,
    /// When it begins; one that is over counts as now.
    pub starts_at: Timestamp,
    /// When it is over.
    pub ends_at: Timestamp,
    /// Who asks.
    pub created_by: String,
    /// Why.
    pub comment: String,
}

/// Why something is not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no silence of that name.
    #[error("there is no silence {0}")]
    Unknown(String),
    /// It is over already.
    #[error("silence {0} is over already")]
    Over(String),
    /// It would not make sense.
    #[error("{0}")]
    Invalid(String),
    /// There are too many.
    #[error("there are {0} silences already, which is the most there may be (notify.silences_max)")]
    TooMany(usize),
    /// Those that there are might be lost.
    #[error("the silences on disk cannot be read, and are not to be lost: {0}")]
    Unreadable(String),
}

/// All silences.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Book(BTreeMap<String, Silence>);

impl Book {
    /// One with these.
    pub(super) fn of(silences: impl IntoIterator<Item = Silence>) -> Self {
        Self(silences.into_iter().map(|silence| (silence.id.clone(), silence)).collect())
    }

    /// All of them, by name.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Silence> {
        self.0.values()
    }

    /// One of them.
    pub(crate) fn get(&self, id: &str) -> Option<&Silence> {
        self.0.get(id)
    }

    /// How many there are in a state.
    pub(crate) fn count(&self, state: SilenceState, at: Timestamp) -> usize {
        self.all().filter(|silence| silence.state(at) == state).count()
    }

    /// Makes a silence, or changes the one that is named. What cannot be changed in its place ends, and a new one begins.
    /// `new_id` is the name of a new one, `most` how many there may be that are not over.
    pub(super) fn set(&mut self, draft: Draft, new_id: String, most: usize, at: Timestamp) -> Result<String, Refusal> {
        check(&draft, at)?;
        let known = draft.id.as_deref().filter(|id| !id.is_empty());
        let old = known.map(|id| self.0.get(id).cloned().ok_or_else(|| Refusal::Unknown(id.to_owned()))).transpose()?;
        let mut silence = Silence {
            id: new_id,
            matchers: draft.matchers,
            starts_at: draft.starts_at,
            ends_at: draft.ends_at,
            updated_at: at,
            created_by: draft.created_by,
            comment: draft.comment,
        };
        let open = self.all().filter(|silence| silence.state(at) != SilenceState::Expired).count();
        match old {
            Some(old) if may_become(&old, &silence, at) => silence.id = old.id,
            Some(old) if old.state(at) != SilenceState::Expired => self.end(&old.id, at),
            _ if open >= most => return Err(Refusal::TooMany(open)),
            _ => {}
        }
        if !self.0.contains_key(&silence.id) {
            silence.starts_at = silence.starts_at.max(at);
        }
        let id = silence.id.clone();
        self.0.insert(id.clone(), silence);
        self.forget(most, at);
        Ok(id)
    }

    /// Ends a silence now.
    pub(super) fn expire(&mut self, id: &str, at: Timestamp) -> Result<(), Refusal> {
        match self.0.get(id).map(|silence| silence.state(at)) {
            None => Err(Refusal::Unknown(id.to_owned())),
            Some(SilenceState::Expired) => Err(Refusal::Over(id.to_owned())),
            Some(_) => {
                self.end(id, at);
                Ok(())
            }
        }
    }

    fn end(&mut self, id: &str, at: Timestamp) {
        if let Some(silence) = self.0.get_mut(id) {
            silence.starts_at = silence.starts_at.min(at);
            (silence.ends_at, silence.updated_at) = (at, at);
        }
    }

    /// Forgets what has been over for long, and of what is over all but the latest `most`.
    pub(super) fn forget(&mut self, most: usize, at: Timestamp) {
        self.0.retain(|_, silence| silence.state(at) != SilenceState::Expired || at.since(silence.ends_at) <= RETENTION);
        let mut over: Vec<_> = self.all().filter(|silence| silence.state(at) == SilenceState::Expired).collect();
        over.sort_by_key(|silence| silence.ends_at);
        let excess: Vec<_> = over.iter().take(over.len().saturating_sub(most)).map(|silence| silence.id.clone()).collect();
        for id in excess {
            self.0.remove(&id);
        }
    }
}

/// Whether a silence may be changed in its place: so that whoever looks at it later sees what was in force.
fn may_become(old: &Silence, new: &Silence, at: Timestamp) -> bool {
    old.matchers == new.matchers
        && match old.state(at) {
            SilenceState::Active => old.starts_at == new.starts_at,
            SilenceState::Pending => new.starts_at >= at,
            SilenceState::Expired => false,
        }
}

fn check(draft: &Draft, at: Timestamp) -> Result<(), Refusal> {
    let invalid = |text: String| Err(Refusal::Invalid(text));
    if draft.ends_at <= at {
        return invalid("it would be over already".into());
    }
    if draft.ends_at <= draft.starts_at {
        return invalid("it would be over before it begins".into());
    }
    if draft.matchers.is_empty() {
        return invalid("it has no matcher".into());
    }
    if draft.matchers.len() > MATCHERS_MAX {
        return invalid(format!("it has more than {MATCHERS_MAX} matchers"));
    }
    let texts = draft.matchers.iter().map(Matcher::value).chain([draft.created_by.as_str(), &draft.comment]);
    if let Some(long) = texts.map(str::len).find(|bytes| *bytes > TEXT_BYTES_MAX) {
        return invalid(format!("an author, a comment and a matcher's value have at most {TEXT_BYTES_MAX} bytes each, not {long}"));
    }
    if draft.matchers.iter().all(|matcher| matcher.matches("")) {
        return invalid("at least one matcher must not match the empty value: else alerts of all kinds would be silenced".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
