//! Series that nothing has changed for long. They retire first: nobody is shown them and they take no room under the caps,
//! but they are kept, and go on from where they stopped when they come back. Later they are gone.

use std::sync::Arc;
use std::time::Duration;

use super::budget::enough;
use super::{Events, News};
use crate::model::{Origin, Timestamp};
use crate::registry::series::{Live, Standing};
use crate::registry::{Config, Place};

/// So many series are looked at while the lock is held.
const PIECE: usize = 4096;
/// When more time than this has passed since the last look, the clock was set or the machine slept: that was no idle time.
const PAUSE_MAX_MILLIS: i64 = 120_000;

/// So often the journal is told that series have been looked at, so that the agent's own absence is known at the next start.
const NOTED_MILLIS: i64 = 60_000;

/// One look at all series.
#[derive(Debug)]
pub(in crate::registry) struct Sweep {
    at: Timestamp,
    family: usize,
    /// How many series of the family have been looked at.
    member: usize,
}

enum Verdict {
    Stays,
    Retires,
    Goes,
}

impl Events {
    /// Begins a look. Time that passed while nobody looked is taken out of what series have been idle for.
    pub(in crate::registry) fn begin_sweep(&mut self, at: Timestamp) -> Sweep {
        let newest = || self.slab.iter().map(|live| live.changed).max();
        let last = self.swept.or_else(newest).unwrap_or(at);
        let skip = Skip::between(last, at);
        if let Some(skip) = skip {
            self.slab.iter_mut().for_each(|(_, live)| skip.take_out(live));
        }
        let due = |noted: Timestamp| at.as_millis().saturating_sub(noted.as_millis()) >= NOTED_MILLIS;
        if skip.is_some() || self.looks_noted.is_none_or(due) {
            self.pen.looked(last, at);
            self.looks_noted = Some(at);
        }
        self.swept = Some(at);
        self.try_again();
        Sweep { at, family: 0, member: 0 }
    }

    /// When idle series were looked for last.
    pub(in crate::registry) const fn looked(&self) -> Option<Timestamp> {
        self.swept
    }

    /// Idle series were looked for when what is restored happened.
    pub(in crate::registry) const fn has_looked(&mut self, at: Timestamp) {
        self.swept = Some(at);
    }

    /// Takes the time out again that a look took out of what these series had been idle for.
    pub(in crate::registry) fn look_again(&mut self, places: impl Iterator<Item = Place>, last: Timestamp, at: Timestamp) {
        let Some(skip) = Skip::between(last, at) else { return };
        for place in places {
            if let Some(live) = self.slab.index(place).and_then(|index| self.slab.get_mut(index)) {
                skip.take_out(live);
            }
        }
    }

    /// Lets restored series, of which the last change happened at `newest`, be as idle as they were. The time that the agent
    /// was away hides none of them, but it counts towards the time for which they are kept.
    pub(super) fn resume_sweeps(&mut self, config: &Config, newest: Option<Timestamp>, at: Timestamp) {
        let last = self.swept.max(newest).unwrap_or(at);
        let skip = Skip::between(last, at);
        let of_events = self.families.iter().flatten().filter(|family| family.origin == Origin::Events);
        let members: Vec<u32> = of_events.flat_map(|family| family.members.iter().copied()).collect();
        let (going, staying): (Vec<u32>, Vec<u32>) = members.into_iter().partition(|index| self.is_over(*index, at, config));
        if let Some(skip) = skip {
            self.slab.iter_mut().for_each(|(_, live)| skip.take_out(live));
        }
        let idle = |index: &u32| matches!(self.verdict(*index, at, config), Verdict::Retires);
        let changed = |index: u32| self.slab.get(index).map(|live| (live.changed, index));
        let mut retiring: Vec<_> = staying.into_iter().filter(idle).filter_map(changed).collect();
        going.into_iter().for_each(|index| self.remove(index));
        retiring.sort_unstable();
        retiring.into_iter().for_each(|(_, index)| self.retire(index));
        self.swept = Some(at);
        self.absence = Some((last, at));
    }

    /// Tells the journal how long the agent was away, as soon as there is one to tell: before anything is saved into it.
    pub(in crate::registry) fn note_absence(&mut self) {
        if let Some((last, at)) = self.absence.take() {
            self.pen.looked(last, at);
        }
    }

    /// Goes on with a look, a bounded number of series; false at the end.
    pub(in crate::registry) fn sweep(&mut self, sweep: &mut Sweep, config: &Config) -> bool {
        let mut room = PIECE;
        while room > 0 {
            let Some(family) = self.families.get(sweep.family) else {
                return false;
            };
            let members = family.as_ref().filter(|family| family.origin == Origin::Events).map_or(0, |family| family.members.len());
            let until = members.min(sweep.member.saturating_add(room));
            room = room.saturating_sub(until.saturating_sub(sweep.member).max(1));
            let gone = self.sweep_members(sweep, until, config);
            if until < members {
                sweep.member = until.saturating_sub(gone);
                continue;
            }
            if let Ok(index) = u32::try_from(sweep.family) {
                self.lift(index, config);
                self.give_up_if_empty(index);
            }
            (sweep.family, sweep.member) = (sweep.family + 1, 0);
        }
        true
    }

    /// Looks at the members of a family up to one; how many are gone.
    fn sweep_members(&mut self, sweep: &Sweep, until: usize, config: &Config) -> usize {
        let (mut retiring, mut going) = (Vec::new(), Vec::new());
        let Some(Some(family)) = self.families.get(sweep.family) else { return 0 };
        let Some(members) = family.members.get(sweep.member..until) else { return 0 };
        for index in members {
            match self.verdict(*index, sweep.at, config) {
                Verdict::Retires => retiring.push(*index),
                Verdict::Goes => going.push(*index),
                Verdict::Stays => {}
            }
        }
        if !going.is_empty() {
            // Both are in the order of members.
            let mut next = going.iter().peekable();
            let stay: Vec<u32> = members.iter().copied().filter(|index| next.next_if_eq(&index).is_none()).collect();
            if let Some(Some(family)) = self.families.get_mut(sweep.family) {
                family.members.splice(sweep.member..until, stay);
            }
        }
        retiring.into_iter().for_each(|index| self.retire(index));
        going.iter().for_each(|index| self.take_out(*index));
        going.len()
    }

    /// Few series are idle for as long as the configuration allows, and only of those it is asked what they have promised.
    fn verdict(&self, index: u32, at: Timestamp, config: &Config) -> Verdict {
        let Some(live) = self.slab.get(index) else { return Verdict::Stays };
        let (expiry, kept) = (config.expiry.get(), config.kept.get());
        match live.verdict(at, expiry, kept) {
            Verdict::Stays => Verdict::Stays,
            Verdict::Retires | Verdict::Goes => live.verdict(at, expiry.max(self.promised(live)), kept),
        }
    }

    /// Whether a series would not be kept any more, had it retired in time.
    fn is_over(&self, index: u32, at: Timestamp, config: &Config) -> bool {
        let (expiry, kept) = (config.expiry.get(), config.kept.get());
        let over = |live: &Live, expiry: Duration| !expiry.is_zero() && at.since(live.changed) >= expiry.saturating_add(kept);
        self.slab.get(index).is_some_and(|live| over(live, expiry) && over(live, expiry.max(self.promised(live))))
    }

    fn retire(&mut self, index: u32) {
        let Some(live) = self.slab.get_mut(index) else { return };
        live.retired = true;
        let (family, standing, number) = (live.family, live.standing, live.number);
        self.leave(family, standing);
        self.retired += 1;
        self.relief.retires(index, number);
    }

    /// Brings a series back that has retired.
    pub(super) fn revive(&mut self, index: u32, standing: Standing) {
        let Some(live) = self.slab.get_mut(index).filter(|live| live.retired) else { return };
        (live.retired, live.standing) = (false, standing);
        let family = live.family;
        self.enter(family, standing);
        self.retired = self.retired.saturating_sub(1);
    }

    /// Ends the collapse of a metric's labels when a quarter of the caps is free again.
    fn lift(&mut self, family: u32, config: &Config) {
        let free = |series: usize, cap: usize| series.saturating_mul(4) <= cap.saturating_mul(3);
        let all = free(self.counts.counted, config.series_max) && self.bytes.total() <= enough(config);
        let Some(state) = self.family_mut(family).filter(|state| all && free(state.counts.counted, config.series_per_metric_max)) else {
            return;
        };
        if state.collapse.take().is_some() {
            let metric = Arc::clone(&state.name);
            self.tell(News::Lifted { metric });
        }
    }
}

impl Live {
    fn verdict(&self, at: Timestamp, expiry: Duration, kept: Duration) -> Verdict {
        if self.retired {
            return if at.since(self.changed) >= expiry.saturating_add(kept) { Verdict::Goes } else { Verdict::Stays };
        }
        if expiry.is_zero() || at.since(self.changed) < expiry || self.instrument.is_held() { Verdict::Stays } else { Verdict::Retires }
    }
}

/// Time that nobody looked, or a clock that was set back.
#[derive(Clone, Copy, Debug)]
struct Skip {
    last: Timestamp,
    at: Timestamp,
    millis: i64,
}

impl Skip {
    /// What was skipped between two looks; `None` for nothing.
    fn between(last: Timestamp, at: Timestamp) -> Option<Self> {
        let millis = at.as_millis().saturating_sub(last.as_millis()).saturating_sub(PAUSE_MAX_MILLIS).max(0);
        (millis > 0 || at < last).then_some(Self { last, at, millis })
    }

    /// Takes it out of what a series has been idle for. What has changed since the last look was stamped by the clock as it
    /// is now.
    fn take_out(&self, live: &mut Live) {
        let changed = if live.changed <= self.last { live.changed.plus_millis(self.millis) } else { live.changed };
        live.changed = changed.min(self.at);
    }
}
