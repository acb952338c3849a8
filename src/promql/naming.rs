//! What becomes of metric names: a calculated value is not what its name says any more, so the name goes, at once or (an
//! option of the engine) at the end of the query.

use hashbrown::HashMap;

use crate::model::{Labels, METRIC_NAME};

use super::eval_error::EvalError;
use super::value::{Track, is_absent};

/// The labels that say what a series measures, and go together.
pub(super) fn is_metadata(label: &str) -> bool {
    matches!(label, METRIC_NAME | "__type__" | "__unit__")
}

/// A label set without name, type and unit.
pub(super) fn without_metadata(labels: &Labels) -> Labels {
    if metadata(labels).next().is_some() { labels.filtered(|name| !is_metadata(name)) } else { labels.clone() }
}

/// Drops names now, or marks them to be dropped. Series that become one are merged.
pub(super) fn drop_names(mut tracks: Vec<Track>, delayed: bool) -> Result<Vec<Track>, EvalError> {
    if delayed {
        tracks.iter_mut().for_each(|track| track.drop_name = true);
        return Ok(tracks);
    }
    // Different series of one metric stay different without the name: no need to compare all with all.
    let one_metric = has_one_metric(tracks.iter().map(|track| &track.labels));
    tracks.iter_mut().for_each(|track| track.labels = without_metadata(&track.labels));
    if one_metric { Ok(tracks) } else { merge(tracks) }
}

/// True where all series have the same name, type and unit.
pub(super) fn has_one_metric<'a>(mut all: impl Iterator<Item = &'a Labels>) -> bool {
    all.next().is_none_or(|first| all.all(|labels| is_same_metric(first, labels)))
}

/// True where two series have the same name, type and unit.
pub(super) fn is_same_metric(one: &Labels, other: &Labels) -> bool {
    metadata(one).eq(metadata(other))
}

/// Labels are in order, and those with two underscores are among the first.
fn metadata(labels: &Labels) -> impl Iterator<Item = (&str, &str)> {
    labels.iter().take_while(|(name, _)| *name <= "__unit__").filter(|(name, _)| is_metadata(name))
}

/// At the end of a query: drops the names that were marked.
pub(super) fn drop_marked(mut tracks: Vec<Track>) -> Result<Vec<Track>, EvalError> {
    if !tracks.iter().any(|track| track.drop_name) {
        return Ok(tracks);
    }
    for track in tracks.iter_mut().filter(|track| track.drop_name) {
        track.labels = without_metadata(&track.labels);
    }
    merge(tracks)
}

/// Makes one series of those with the same labels; two values at one step are an error.
pub(super) fn merge(tracks: Vec<Track>) -> Result<Vec<Track>, EvalError> {
    let mut merged = Merger::default();
    for track in tracks {
        merged.add(track)?;
    }
    Ok(merged.tracks)
}

/// Collects series in order of appearance, those with the same labels as one.
#[derive(Debug, Default)]
pub(super) struct Merger {
    tracks: Vec<Track>,
    places: HashMap<Labels, usize>,
}

impl Merger {
    pub(super) fn add(&mut self, track: Track) -> Result<(), EvalError> {
        let place = *self.places.entry(track.labels.clone()).or_insert(self.tracks.len());
        let Some(known) = self.tracks.get_mut(place) else {
            self.tracks.push(track);
            return Ok(());
        };
        for (value, new) in known.values.iter_mut().zip(track.values).filter(|(_, new)| !is_absent(*new)) {
            if !is_absent(*value) {
                return Err(EvalError::DuplicateLabels);
            }
            *value = new;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Vec<Track> {
        self.tracks
    }
}
