//! Which jobs have series: each of them has an `up`, and a job that has none any more ends with a stale marker.

use std::collections::HashMap;

/// The number of a job, for as long as a series of it is there.
pub(super) type JobId = u32;

#[derive(Debug)]
struct Job {
    name: String,
    seen: u64,
}

/// The jobs of the last ticks.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    ids: HashMap<String, JobId>,
    jobs: Vec<Option<Job>>,
}

impl Jobs {
    /// The number of a job, which is seen by that.
    pub(super) fn enter(&mut self, name: &str, tick: u64) -> JobId {
        if let Some(id) = self.ids.get(name) {
            let id = *id;
            self.see(id, tick);
            return id;
        }
        let free = self.jobs.iter().position(Option::is_none).unwrap_or_else(|| {
            self.jobs.push(None);
            self.jobs.len() - 1
        });
        // There are fewer jobs than series, and those are counted in 32 bits.
        let id = JobId::try_from(free).unwrap_or(JobId::MAX);
        if let Some(place) = self.jobs.get_mut(free) {
            *place = Some(Job { name: name.to_owned(), seen: tick });
        }
        self.ids.insert(name.to_owned(), id);
        id
    }

    /// A series of the job is there.
    pub(super) fn see(&mut self, id: JobId, tick: u64) {
        if let Some(Some(job)) = self.jobs.get_mut(id as usize) {
            job.seen = tick;
        }
    }

    /// Every job, and whether it was seen at this tick. Those that were not are forgotten.
    pub(super) fn end(&mut self, tick: u64, mut each: impl FnMut(&str, bool)) {
        for place in &mut self.jobs {
            let Some(job) = place else { continue };
            each(&job.name, job.seen == tick);
            if job.seen != tick {
                self.ids.remove(&job.name);
                *place = None;
            }
        }
    }
}
