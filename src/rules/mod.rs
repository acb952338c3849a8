//! Rule files, the alert state machine, templates, and the loop that evaluates them.
#![warn(clippy::indexing_slicing, clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]

mod alert;
mod series;
mod template;
