//! A silence as JSON: as Alertmanager's API has it, and so it is kept on disk. Source: prometheus/alertmanager
//! `api/v2/openapi.yaml` (`postableSilence`, `gettableSilence`, `matcher`).

use super::book::{Draft, Silence, SilenceState};
use super::matchers::print_matcher;
use crate::model::{MatchOp, Matcher, Timestamp, is_label_name};

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenMatcher {
    name: String,
    value: String,
    is_regex: bool,
    /// Without it, it is true.
    #[serde(default = "yes")]
    is_equal: bool,
}

const fn yes() -> bool {
    true
}

/// Why a body is no silence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DraftError(String);

impl WrittenMatcher {
    fn of(matcher: &Matcher) -> Self {
        let (is_regex, is_equal) = match matcher.op() {
            MatchOp::Equal => (false, true),
            MatchOp::NotEqual => (false, false),
            MatchOp::Regex => (true, true),
            MatchOp::NotRegex => (true, false),
        };
        Self { name: matcher.name().to_owned(), value: matcher.value().to_owned(), is_regex, is_equal }
    }

    fn read(self) -> Result<Matcher, DraftError> {
        if !is_label_name(&self.name) {
            return Err(DraftError(format!("{:?} is not the name of a label", self.name)));
        }
        let op = match (self.is_regex, self.is_equal) {
            (false, true) => MatchOp::Equal,
            (false, false) => MatchOp::NotEqual,
            (true, true) => MatchOp::Regex,
            (true, false) => MatchOp::NotRegex,
        };
        let value = self.value.clone();
        Matcher::new(self.name, op, self.value).map_err(|error| DraftError(format!("the pattern {value:?} cannot be used: {error}")))
    }
}

#[derive(serde::Serialize)]
struct Status {
    state: SilenceState,
}

/// A silence, to be written.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Written<'s> {
    id: &'s str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    matchers: Vec<WrittenMatcher>,
    starts_at: Timestamp,
    ends_at: Timestamp,
    updated_at: Timestamp,
    created_by: &'s str,
    comment: &'s str,
}

impl<'s> Written<'s> {
    /// With its state at a time, where that is given.
    #[must_use]
    pub fn of(silence: &'s Silence, at: Option<Timestamp>) -> Self {
        Self {
            id: &silence.id,
            status: at.map(|at| Status { state: silence.state(at) }),
            matchers: silence.matchers.iter().map(WrittenMatcher::of).collect(),
            starts_at: silence.starts_at,
            ends_at: silence.ends_at,
            updated_at: silence.updated_at,
            created_by: &silence.created_by,
            comment: &silence.comment,
        }
    }
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Read {
    id: Option<String>,
    matchers: Vec<WrittenMatcher>,
    starts_at: String,
    ends_at: String,
    updated_at: Option<String>,
    #[serde(default)]
    created_by: String,
    #[serde(default)]
    comment: String,
}

/// What a body asks for.
///
/// # Errors
/// When it is not what Alertmanager takes.
pub fn read_draft(body: &[u8]) -> Result<Draft, DraftError> {
    let read: Read = serde_json::from_slice(body).map_err(|error| DraftError(format!("the body is no silence: {error}")))?;
    draft(read).map(|(draft, _)| draft)
}

/// A silence as it was kept.
pub(super) fn read_kept(json: &[u8]) -> Option<Silence> {
    let (Draft { id, matchers, starts_at, ends_at, created_by, comment }, updated_at) = draft(serde_json::from_slice(json).ok()?).ok()?;
    Some(Silence { id: id?, matchers, starts_at, ends_at, updated_at: updated_at?, created_by, comment })
}

fn draft(read: Read) -> Result<(Draft, Option<Timestamp>), DraftError> {
    let matchers = read.matchers.into_iter().map(WrittenMatcher::read).collect::<Result<Vec<_>, _>>()?;
    let (starts_at, ends_at) = (time(&read.starts_at)?, time(&read.ends_at)?);
    let updated_at = read.updated_at.as_deref().map(time).transpose()?;
    Ok((Draft { id: read.id, matchers, starts_at, ends_at, created_by: read.created_by, comment: read.comment }, updated_at))
}

fn time(text: &str) -> Result<Timestamp, DraftError> {
    let read: Result<jiff::Timestamp, _> = text.parse();
    read.map(|time| Timestamp::from_millis(time.as_millisecond())).map_err(|_| DraftError(format!("{text:?} is not a time as in RFC 3339")))
}

/// For people: what it is about.
impl std::fmt::Display for Silence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let matchers: Vec<_> = self.matchers.iter().map(print_matcher).collect();
        write!(f, "{{{}}}", matchers.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"matchers": [{"name": "a", "value": "b|c", "isRegex": true}, {"name": "d", "value": "e", "isRegex": false, "isEqual": false}],
        "startsAt": "2026-01-01T00:00:00Z", "endsAt": "2026-01-01T02:00:00.5+01:00", "createdBy": "me", "comment": "why"}"#;

    #[test]
    fn a_body_of_alertmanagers_is_read_and_what_is_kept_comes_back() {
        let draft = read_draft(BODY.as_bytes()).expect("valid");
        assert_eq!((draft.id.as_deref(), draft.ends_at.to_string().as_str()), (None, "2026-01-01T01:00:00.500Z"));
        let silence = Silence {
            id: "x".into(),
            matchers: draft.matchers,
            starts_at: draft.starts_at,
            ends_at: draft.ends_at,
            updated_at: draft.starts_at,
            created_by: draft.created_by,
            comment: draft.comment,
        };
        assert_eq!(silence.to_string(), r#"{a=~"b|c",d!="e"}"#);
        let kept = serde_json::to_vec(&Written::of(&silence, None)).expect("written");
        assert_eq!(read_kept(&kept), Some(silence.clone()));
        let shown = serde_json::to_value(Written::of(&silence, Some(silence.ends_at))).expect("written");
        assert_eq!((&shown["status"]["state"], &shown["matchers"][0]["isEqual"]), (&"expired".into(), &true.into()));
    }

    #[test]
    fn a_body_that_is_none_says_why() {
        for (from, to, why) in [
            ("\"matchers\"", "\"matcher\"", "missing field `matchers`"),
            ("\"a\"", "\"a-b\"", "\"a-b\" is not the name of a label"),
            ("b|c", "b(", "the pattern \"b(\" cannot be used"),
            ("2026-01-01T00:00:00Z", "now", "\"now\" is not a time"),
        ] {
            let error = read_draft(BODY.replace(from, to).as_bytes()).expect_err(why).to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
