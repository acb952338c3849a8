//! Series that say themselves how soon they are to change again. Hidden as early as all others, a heartbeat that comes once a day could
//! not be missed, and what misses one would end while the job is still dead.

use std::time::Duration;

use super::Events;
use crate::model::{HEARTBEAT_INTERVAL, HEARTBEAT_TIMESTAMP};
use crate::registry::series::Live;
use crate::registry::walk::Reading;

const DAY_SECONDS: f64 = 86_400.0;
/// So many intervals a heartbeat is shown for.
const INTERVALS: f64 = 3.0;
/// But at least for a week, so that whoever comes back to work finds it missing.
const SECONDS_MIN: f64 = 7.0 * DAY_SECONDS;
/// Three months and a little: three times the longest interval that is usual.
const SECONDS_MAX: f64 = 100.0 * DAY_SECONDS;

impl Events {
    /// For how long a series has to be shown after its last change, whatever the configuration says of others; nothing for most.
    pub(super) fn promised(&self, live: &Live) -> Duration {
        let interval = || {
            let name = self.family(live.family).map(|family| &*family.name)?;
            if name != HEARTBEAT_TIMESTAMP && name != HEARTBEAT_INTERVAL {
                return None;
            }
            let index = self.find(*self.by_name.get(HEARTBEAT_INTERVAL)?, &live.labels)?;
            match self.slab.get(index)?.instrument.reading()? {
                Reading::Number(seconds) if seconds > 0.0 => Some(seconds),
                Reading::Number(_) | Reading::Histogram(_) | Reading::Summary(_) => None,
            }
        };
        let seconds = interval().map_or(0.0, |seconds| (seconds * INTERVALS).clamp(SECONDS_MIN, SECONDS_MAX));
        Duration::from_secs_f64(seconds)
    }
}
