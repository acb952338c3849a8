//! What comes of a delivery, and how long to wait before the next attempt.

use std::time::Duration;

/// What came of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It was taken.
    Delivered,
    /// It will never be taken: the same again would be refused again.
    Refused(String),
    /// It is too large to be taken as a whole.
    TooLarge(String),
    /// Something in it cannot be read.
    Unreadable(String),
    /// It may be taken later.
    Failed {
        /// Why not now.
        error: String,
        /// How long the receiver wants to be left alone.
        retry_after: Option<Duration>,
    },
}

impl Verdict {
    /// For the time being it does not work.
    pub(super) fn failed(error: impl Into<String>) -> Self {
        Self::Failed { error: error.into(), retry_after: None }
    }

    /// By the status of an answer. What the administrator can put right (a wrong token, a wrong path) is worth waiting for;
    /// what is wrong with the request itself is not.
    pub(super) fn of_status(status: u16, body: &str, retry_after: Option<Duration>) -> Self {
        let error = || format!("it answers {status}{}{}", if body.is_empty() { "" } else { ": " }, body.trim_end());
        match status {
            200..=299 => Self::Delivered,
            400 => Self::Refused(error()),
            413 => Self::TooLarge(error()),
            422 => Self::Unreadable(error()),
            _ => Self::Failed { error: error(), retry_after },
        }
    }
}

/// The longest pause between attempts.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// No receiver may ask for a longer one.
const RETRY_AFTER_MAX: Duration = Duration::from_mins(5);

/// How long to wait after so many failures in a row: from one second on twice as long each time.
pub(super) fn pause(failures: u32, retry_after: Option<Duration>) -> Duration {
    let doubled = Duration::from_secs(1).saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(PAUSE_MAX);
    doubled.max(retry_after.unwrap_or_default().min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_half_a_minute_unless_more_is_asked_for() {
        let seconds: Vec<u64> = (1..8).map(|failures| pause(failures, None).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(pause(u32::MAX, Some(Duration::from_secs(40))).as_secs(), 40);
        assert_eq!(pause(1, Some(Duration::from_hours(9))), RETRY_AFTER_MAX);
    }

    #[test]
    fn only_a_bad_request_is_given_up() {
        let kind = |status| match Verdict::of_status(status, "", None) {
            Verdict::Delivered => 'd',
            Verdict::Refused(_) => 'r',
            Verdict::TooLarge(_) => 'l',
            Verdict::Unreadable(_) => 'u',
            Verdict::Failed { .. } => 'f',
        };
        let kinds: String = [200, 202, 204, 302, 400, 401, 404, 405, 413, 415, 422, 429, 500, 503].into_iter().map(kind).collect();
        assert_eq!(kinds, "dddfrffflfufff");
        assert_eq!(Verdict::of_status(400, "bad\n", None), Verdict::Refused("it answers 400: bad".into()));
    }
}
