//! What a scrape reads, in the order in which it is shown: the families that stand, and between them those of events, read
//! from the registry a piece at a time and written where they are read.

use std::sync::Arc;

use super::pieces::Source;
use crate::exposition::Writer;
use crate::model::{Family, Labels, MetricType};
use crate::registry::{Cursor, Head, Place, Reader, Reading, Registry};

/// Families that are there whole: what collectors and services have published, and what the agent says about itself. They
/// are some hundred series, and few of them change their number.
#[derive(Debug)]
pub(super) struct Standing {
    sources: Vec<Arc<Vec<Family>>>,
    /// Source and family of those that are still to come, the next one last.
    ahead: Vec<(usize, usize)>,
}

impl Standing {
    /// Of families of one name that of the earlier source comes first.
    pub(super) fn new(sources: Vec<Arc<Vec<Family>>>) -> Self {
        let places = |(source, families): (usize, &Arc<Vec<Family>>)| (0..families.len()).map(move |family| (source, family));
        let mut standing = Self { ahead: sources.iter().enumerate().flat_map(places).collect(), sources };
        let mut ahead = std::mem::take(&mut standing.ahead);
        let name = |place| standing.at(place).map(|family| &*family.name);
        ahead.sort_unstable_by(|a, b| name(*b).cmp(&name(*a)).then(b.cmp(a)));
        Self { ahead, ..standing }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Family> {
        self.sources.iter().flat_map(|families| families.iter())
    }

    fn at(&self, (source, family): (usize, usize)) -> Option<&Family> {
        self.sources.get(source)?.get(family)
    }
}

/// A scrape in progress.
#[derive(Debug)]
pub(super) struct Scrape {
    registry: Arc<Registry>,
    cursor: Cursor,
    ended: bool,
    lines: Lines,
}

impl Scrape {
    pub(super) fn new(registry: Arc<Registry>, standing: Standing, writer: Writer) -> Self {
        Self { registry, cursor: Cursor::default(), ended: false, lines: Lines { writer, standing, family: None, fits: false } }
    }
}

impl Source for Scrape {
    fn make(&mut self, piece: &mut Vec<u8>) {
        self.lines.writer.swap(piece);
        // What is read may have nothing to show, and an empty piece would be the last.
        while !self.ended && self.lines.writer.is_empty() {
            self.ended = !self.registry.read_on(&mut self.cursor, &mut self.lines);
            if self.ended {
                self.lines.catch_up(|_| true);
                self.lines.writer.end();
            }
        }
        self.lines.writer.swap(piece);
    }
}

/// Families of one name become one; where their types differ the first one stands, since a name has one type on a scrape.
#[derive(Debug)]
struct Lines {
    writer: Writer,
    standing: Standing,
    /// The family that is being written.
    family: Option<(Arc<str>, MetricType)>,
    /// Whether the series that are read now have a place in it.
    fits: bool,
}

impl Lines {
    /// Begins a family or goes on with it; false where its series have no place on this scrape.
    fn enter(&mut self, name: &Arc<str>, kind: MetricType, help: &str) -> bool {
        if let Some((entered, entered_kind)) = &self.family
            && entered == name
        {
            return *entered_kind == kind;
        }
        // A family that was made after the names were gathered might take a name that is given already.
        if !self.writer.knows(name) {
            return false;
        }
        self.writer.family(name, kind, help);
        self.family = Some((Arc::clone(name), kind));
        true
    }

    /// Writes the standing families that are `due`, as all are up to a name.
    fn catch_up(&mut self, due: impl Fn(&str) -> bool) {
        while let Some(place) = self.standing.ahead.last().copied() {
            let Some(source) = self.standing.sources.get(place.0).map(Arc::clone) else { return };
            let Some(family) = source.get(place.1).filter(|family| due(&family.name)) else { return };
            if self.enter(&family.name, family.kind, &family.help) {
                self.writer.all_series(family);
            }
            self.standing.ahead.pop();
        }
    }
}

impl Reader for Lines {
    fn family(&mut self, head: &Head<'_>) {
        self.catch_up(|name| *name <= **head.name);
        self.fits = self.enter(head.name, head.kind, head.help);
    }

    fn series(&mut self, _: Place, _: u64, labels: &Labels, reading: Reading<'_>) {
        match reading {
            _ if !self.fits => {}
            Reading::Number(value) => self.writer.number(labels, value),
            Reading::Histogram(histogram) => self.writer.histogram(labels, histogram),
            Reading::Summary(summary) => self.writer.summary(labels, summary),
        }
    }
}
