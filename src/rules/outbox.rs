//! The way out of this room: alerts that people are to be told of.

use crate::model::{Notice, Timestamp};

/// Takes notices of alerts, to tell people of them.
///
/// It is called after each evaluation of a rule of which alerts are due: those that have begun to fire, those that have
/// ended since they were last handed on, and again, after every `rules.resend_delay`, those that fire or have ended in the last
/// 15 minutes. It is called on a thread that may wait, by several groups at a time.
pub trait Outbox: Send + Sync {
    /// Takes the notices of one rule at one evaluation, all or none. True once they are where they do not get lost: `at` becomes
    /// their alerts' `last_sent`. After false the same alerts are due at the next evaluation again.
    ///
    /// What was taken may be handed on again where the agent is killed before it has noted the answer.
    fn take(&self, at: Timestamp, notices: Vec<Notice>) -> bool;
}
