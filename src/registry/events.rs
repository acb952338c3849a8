//! The families that events make: one type a name, a limit on series, series kept in order of their labels.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::instrument::Instrument;
use super::publish::Published;
use super::{Config, Refusal, claims, help};
use crate::model::{Change, Delta, Family, GaugeMerge, Labels, MetricType, Origin, Series, SeriesKey};

/// All families made by events.
#[derive(Debug, Default)]
pub(super) struct Events {
    families: BTreeMap<Arc<str>, EventFamily>,
    claims: HashSet<String>,
    series: usize,
}

#[derive(Debug)]
struct EventFamily {
    kind: MetricType,
    help: Arc<str>,
    /// A histogram's buckets, the same in all its series; else empty.
    bounds: Arc<[f64]>,
    /// Whether a gauge in it is, or was, merged over live senders: only such a family has to be searched for one.
    merged: bool,
    series: BTreeMap<Labels, Instrument>,
}

impl Events {
    /// How many series there are.
    pub(super) const fn series(&self) -> usize {
        self.series
    }

    /// How many families there are.
    pub(super) fn len(&self) -> usize {
        self.families.len()
    }

    /// Applies one change, making the family and the series where they do not exist yet.
    ///
    /// # Errors
    /// When the name has another type, or a limit is reached.
    pub(super) fn apply(&mut self, config: &Config, published: &Published, sender: u64, delta: &Delta) -> Result<(), Refusal> {
        let SeriesKey { name, kind, labels } = &delta.key;
        if let Some(family) = self.families.get_mut(name) {
            if family.kind != *kind {
                return Err(Refusal::TypeConflict);
            }
            family.merged |= is_merged(&delta.change);
            if let Some(instrument) = family.series.get_mut(labels) {
                return instrument.apply(sender, &delta.change);
            }
            if self.series >= config.series_max || family.series.len() >= config.series_per_metric_max {
                return Err(Refusal::SeriesLimit);
            }
            self.series += usize::from(family.begin(labels, sender, delta)?);
            return Ok(());
        }
        if self.series >= config.series_max || config.series_per_metric_max == 0 {
            return Err(Refusal::SeriesLimit);
        }
        if claims::names(name, *kind).any(|name| self.claims.contains(&name) || published.claims(&name)) {
            return Err(Refusal::TypeConflict);
        }
        let bounds = if *kind == MetricType::Histogram { config.buckets.of(name) } else { Arc::from([]) };
        let merged = is_merged(&delta.change);
        let mut family = EventFamily { kind: *kind, help: help::of(name, *kind), bounds, merged, series: BTreeMap::new() };
        self.series += usize::from(family.begin(labels, sender, delta)?);
        self.claims.extend(claims::names(name, *kind));
        self.families.insert(Arc::clone(name), family);
        Ok(())
    }

    /// Takes a sender out of all gauges that are merged over live senders.
    pub(super) fn forget(&mut self, sender: u64) {
        let Self { families, claims, series } = self;
        families.retain(|name, family| {
            let before = family.series.len();
            if family.merged {
                family.series.retain(|_, instrument| instrument.forget(sender));
                *series -= before - family.series.len();
            }
            // Without series a name belongs to nobody; kept, such names could pile up without a limit.
            if family.series.is_empty() {
                for claim in claims::names(name, family.kind) {
                    claims.remove(&claim);
                }
            }
            !family.series.is_empty()
        });
    }

    /// The buckets of a histogram that exists.
    pub(super) fn bounds(&self, name: &str) -> Option<Arc<[f64]>> {
        self.families.get(name).filter(|family| family.kind == MetricType::Histogram).map(|family| Arc::clone(&family.bounds))
    }

    /// All families, by name.
    pub(super) fn families(&self) -> impl Iterator<Item = Family> + '_ {
        self.families.iter().map(|(name, state)| {
            let mut family = Family::new(Arc::clone(name), state.kind, Arc::clone(&state.help), Origin::Events);
            let series = state.series.iter();
            family.series = series.map(|(labels, instrument)| Series { labels: labels.clone(), value: instrument.value() }).collect();
            family
        })
    }
}

fn is_merged(change: &Change) -> bool {
    matches!(change, Change::Gauge { merge, .. } if *merge != GaugeMerge::Last)
}

impl EventFamily {
    /// Makes a series of its first change; true when it is there.
    fn begin(&mut self, labels: &Labels, sender: u64, delta: &Delta) -> Result<bool, Refusal> {
        let mut instrument = Instrument::new(self.kind, || Arc::clone(&self.bounds));
        instrument.apply(sender, &delta.change)?;
        Ok(self.series.insert(labels.clone(), instrument).is_none())
    }
}
