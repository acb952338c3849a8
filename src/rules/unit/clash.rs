//! Two values of one series at one time: of two rules that record the same, or of a rule and the series of the test. The second one is
//! refused, and the rule that wrote it has failed, as in promtool.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::history::{Append, Appended, History};
use crate::model::{Labels, METRIC_NAME, Timestamp, is_stale};

/// A history that notices them.
pub(super) struct Clashes {
    history: History,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    at: Timestamp,
    values: HashMap<Labels, u64>,
    rules: Vec<String>,
}

impl Clashes {
    pub(super) fn new(history: History) -> Self {
        Self { history, seen: Mutex::default() }
    }

    /// The rules whose values were refused, since it was asked last.
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner).rules)
    }
}

impl Append for Clashes {
    fn append(&self, at: Timestamp, samples: &[(Labels, f64)]) -> Appended {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.at != at {
            *seen = Seen { at, values: HashMap::new(), rules: std::mem::take(&mut seen.rules) };
        }
        for (labels, value) in samples {
            let before = *seen.values.entry(labels.clone()).or_insert(value.to_bits());
            // That another rule has ended the series, or writes it now, says nothing of the one that ends it.
            if before != value.to_bits() && !is_stale(*value) {
                let name = labels.get(METRIC_NAME).unwrap_or_default();
                let alert = labels.get("alertname").filter(|_| matches!(name, "ALERTS" | "ALERTS_FOR_STATE"));
                seen.rules.push(alert.unwrap_or(name).to_owned());
            }
        }
        self.history.append(at, samples)
    }
}
