//! Runs templates over made-up results.

use crate::model::{Labels, Timestamp};
use crate::rules::rule::Externals;
use crate::rules::template::{Data, Template};

/// What a label can be: a template may want a number, a duration, or an address of it.
const VALUES: [&str; 3] = ["1", "5m", "http://a:1/b"];

/// Why a template fails, where it does so in the same way whatever the result is.
pub(super) fn failure(template: &Template, labels: &[String]) -> Option<String> {
    let externals = Externals::default();
    let mut failure: Option<String> = None;
    for value in VALUES {
        let labels = Labels::from_pairs(labels.iter().map(|label| (label.as_str(), value)));
        for found in [vec![(labels.clone(), 1.0)], Vec::new()] {
            let ask = |_: &str| Ok(found.clone());
            // A time like any other.
            let at = Timestamp::from_millis(1_700_000_000_000);
            let data =
                Data { labels: &labels, external_labels: &externals.labels, external_url: &externals.url, value: 1.0, at, ask: &ask };
            let error = template.expand(&data).err()?;
            if failure.as_ref().is_some_and(|other| *other != error) {
                return None;
            }
            failure = Some(error);
        }
    }
    failure
}
