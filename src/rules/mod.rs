//! Rule files, the alert state machine, templates, and the loop that evaluates them.
//!
//! A rule file's text becomes groups in `file`; `set` puts the files and the built-in packs together; `group` evaluates
//! rules, `alert` is the life of an alert, `series` what rules write to history; `roster` decides what a reload changes;
//! `ledger` is the state of alerts as it is kept, `store` the file, `restore` the way by which history tells of it; `overlay` is what
//! the configuration says of alerts beyond their files; `task` runs all of it, and publishes what whoever tells people of alerts looks at. Only `load` and `store` touch the disk.

#![warn(clippy::indexing_slicing, clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]

mod alert;
mod backtest;
mod complaint;
mod condition;
mod config;
mod file;
mod group;
mod instant;
mod ledger;
mod lint;
mod load;
mod metrics;
mod overlay;
mod pack;
mod pen;
mod probe;
mod restore;
mod roster;
mod rule;
mod scalar;
mod scratch;
mod series;
mod set;
mod store;
mod task;
mod template;
mod trial;
mod unit;

pub use alert::Timing;
pub use backtest::{Change, Difference, Episode, FailedRule, Replay, RuleNeed, Span, difference, needs, replay, warm_up_millis};
pub use config::{Config, Packs};
#[cfg(test)]
pub(crate) use group::Trial;
pub use lint::{Duplicate, Finding, Inventory, LINTS, LintContext, duplicates, lint};
pub use load::{load, load_at, load_files, load_ignoring_unknown, load_only, matching, matching_folders, read_file};
pub use overlay::{NoData, Overlay, Overlays};
pub use pack::{PACKS, Pack};
pub use probe::Probe;
pub use rule::{Externals, GroupSpec, RuleView};
pub use scratch::scratch;
pub use set::RuleSet;
pub use task::{Handle, Needs, ReloadError, Reloaded, Service, new, run};
pub use template::{TemplateFunction, template_functions, template_methods};
pub use trial::{check_text, expand_template};
pub use unit::{Coverage, Failure, RuleCoverage, TestFile, TestResult};
