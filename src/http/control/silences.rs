//! Silences in the form of Alertmanager's API, version 2, so that what speaks to it can speak to the agent. Source:
//! prometheus/alertmanager `api/v2/api.go` (`getSilencesHandler`, `postSilencesHandler`, `SortSilences`).

use hyper::StatusCode;

use super::about::remarks;
use super::serve::Alerts;
use crate::clock;
use crate::http::params::Params;
use crate::http::reply::{JSON, Reply};
use crate::model::Matcher;
use crate::notify::{Refusal, Silence, SilenceState, Silences, Written, parse_matcher, read_draft};

/// All silences that have the matchers that are asked for.
pub(super) fn list(silences: &Silences, params: &Params) -> Reply {
    let mut wanted = Vec::new();
    for filter in params.all("filter") {
        match parse_matcher(filter) {
            Ok(matcher) => wanted.push(matcher),
            Err(error) => return refusal(StatusCode::BAD_REQUEST, &format!("bad matcher {filter:?}: {error}")),
        }
    }
    let at = clock::now();
    let mut all = silences.all();
    all.retain(|silence| wanted.iter().all(|matcher| has(silence, matcher)));
    // What is in force first, by its end; what is to come, by its beginning; what is over, the latest first.
    all.sort_by_key(|silence| match silence.state(at) {
        state @ SilenceState::Active => (state, silence.ends_at.as_millis()),
        state @ SilenceState::Pending => (state, silence.starts_at.as_millis()),
        state @ SilenceState::Expired => (state, silence.ends_at.as_millis().saturating_neg()),
    });
    json(&all.iter().map(|silence| Written::of(silence, Some(at))).collect::<Vec<_>>())
}

/// Whether a silence has a matcher on that label whose value satisfies what is asked for.
fn has(silence: &Silence, wanted: &Matcher) -> bool {
    let value = silence.matchers.iter().find(|matcher| matcher.name() == wanted.name()).map(Matcher::value);
    wanted.matches(value.unwrap_or_default())
}

/// One silence.
pub(super) fn show(silences: &Silences, id: &str) -> Reply {
    match silences.get(id) {
        Some(silence) => json(&Written::of(&silence, Some(clock::now()))),
        None => Reply::new(StatusCode::NOT_FOUND, JSON, Vec::new()),
    }
}

/// Makes or changes one.
pub(super) fn set(silences: &Silences, alerts: &Alerts, body: &[u8]) -> Reply {
    let draft = match read_draft(body) {
        Ok(draft) => draft,
        Err(error) => return refusal(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let (author, until) = (draft.created_by.clone(), draft.ends_at);
    match silences.set(draft) {
        Ok(id) => {
            let made = silences.get(&id);
            let what = made.as_ref().map(ToString::to_string).unwrap_or_default();
            tracing::info!(id, author, until = %until, "silenced: {what}");
            let remarks =
                made.map(|silence| remarks(&silence, &alerts.rules.borrow(), &alerts.notify.borrow(), clock::now())).unwrap_or_default();
            // Beyond what Alertmanager answers, whose clients leave alone what they do not know.
            json(&serde_json::json!({ "silenceID": id, "remarks": remarks }))
        }
        Err(refused) => refusal(status(&refused), &refused.to_string()),
    }
}

/// Ends one.
pub(super) fn expire(silences: &Silences, id: &str) -> Reply {
    match silences.expire(id) {
        Ok(()) => {
            tracing::info!(id, "a silence was ended");
            Reply::new(StatusCode::OK, JSON, Vec::new())
        }
        Err(refused @ Refusal::Over(_)) => refusal(StatusCode::INTERNAL_SERVER_ERROR, &refused.to_string()),
        Err(refused) => refusal(status(&refused), &refused.to_string()),
    }
}

const fn status(refused: &Refusal) -> StatusCode {
    match refused {
        Refusal::Unknown(_) => StatusCode::NOT_FOUND,
        Refusal::Unreadable(_) => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    }
}

/// Why, as a text in JSON.
fn refusal(status: StatusCode, why: &str) -> Reply {
    Reply::new(status, JSON, serde_json::Value::from(why).to_string())
}

fn json(value: &impl serde::Serialize) -> Reply {
    match serde_json::to_vec(value) {
        Ok(body) => Reply::new(StatusCode::OK, JSON, body),
        Err(error) => refusal(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}
