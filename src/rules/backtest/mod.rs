//! Rules over a history that is past: which alerts would have been pending and firing, and when.
//!
//! `replay` evaluates groups at their slots, with the agent's own groups; `past` is the history that they see: the past, with
//! what they record themselves in place of what stands there by their names; `difference` compares two versions of rules;
//! `needs` says what of a history they need.

mod difference;
mod needs;
mod past;
mod replay;
#[cfg(test)]
mod tests;

pub use difference::{Change, Difference, difference};
pub use needs::{RuleNeed, needs};
pub use replay::{Episode, FailedRule, Replay, Span, replay, warm_up_millis};
