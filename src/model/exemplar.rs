//! Exemplars: single observations with the trace they belong to, one for each bucket of a histogram at most.
//! Source: OpenMetrics 1.0, "Exemplars".

use std::fmt;

use super::Timestamp;

/// The longest trace id that is kept: a UUID with its hyphens fits, and so does W3C's.
pub const TRACE_ID_BYTES_MAX: usize = 39;

/// A trace's id, kept in place so that an event with a trace costs no memory of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TraceId {
    length: u8,
    bytes: [u8; TRACE_ID_BYTES_MAX],
}

impl TraceId {
    /// `None` for a text that is empty or too long to be kept.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let length = u8::try_from(text.len()).ok().filter(|length| *length > 0)?;
        let mut bytes = [0; TRACE_ID_BYTES_MAX];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Self { length, bytes })
    }

    /// The id as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.length)).unwrap_or(&[]);
        std::str::from_utf8(bytes).unwrap_or("")
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

/// One observation and its trace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exemplar {
    /// The trace that it was made in.
    pub trace_id: TraceId,
    /// What was observed.
    pub value: f64,
    /// When it arrived.
    pub at: Timestamp,
}

/// The latest exemplar of each classic bucket; without any it costs a pointer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exemplars(Option<Box<[Option<Exemplar>]>>);

impl Exemplars {
    /// The exemplar of a bucket, counted from zero.
    #[must_use]
    pub fn get(&self, bucket: usize) -> Option<&Exemplar> {
        self.0.as_deref()?.get(bucket)?.as_ref()
    }

    /// Replaces the exemplar of a bucket; `buckets` is how many the histogram has.
    pub fn put(&mut self, bucket: usize, buckets: usize, exemplar: Exemplar) {
        let all = self.0.get_or_insert_with(|| vec![None; buckets].into_boxed_slice());
        if let Some(place) = all.get_mut(bucket) {
            *place = Some(exemplar);
        }
    }

    /// Takes over another histogram's exemplars, which are later ones. Where the buckets differ there is nothing to take.
    pub fn absorb(&mut self, later: &Self, buckets: usize) {
        let later = later.0.as_deref().unwrap_or(&[]);
        if later.len() != buckets {
            return;
        }
        for (bucket, exemplar) in later.iter().enumerate() {
            if let Some(exemplar) = exemplar {
                self.put(bucket, buckets, *exemplar);
            }
        }
    }

    /// Takes all exemplars out and keeps the room.
    pub fn clear(&mut self) {
        if let Some(all) = &mut self.0 {
            all.fill(None);
        }
    }

    /// Gives the room back as well.
    pub fn drop_all(&mut self) {
        self.0 = None;
    }

    /// Bytes that are held outside of this value.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.0.as_deref().map_or(0, size_of_val)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exemplar(id: &str) -> Exemplar {
        Exemplar { trace_id: TraceId::new(id).expect("short"), value: 1.0, at: Timestamp::from_millis(0) }
    }

    #[test]
    fn an_id_comes_back_as_it_was_given() {
        for id in ["a", "4bf92f3577b34da6a3ce929d0e0e4736", "9f8b6c1e-1111-4a2b-8c3d-0123456789ab", "é"] {
            assert_eq!(TraceId::new(id).expect("short").as_str(), id);
        }
        assert_eq!(TraceId::new(""), None);
        assert_eq!(TraceId::new(&"x".repeat(TRACE_ID_BYTES_MAX + 1)), None);
    }

    #[test]
    fn the_latest_of_each_bucket_stays() {
        let (mut all, mut later) = (Exemplars::default(), Exemplars::default());
        all.put(0, 3, exemplar("a"));
        all.put(2, 3, exemplar("b"));
        later.put(2, 3, exemplar("c"));
        all.absorb(&later, 3);
        assert_eq!(
            [0, 1, 2, 3].map(|bucket| all.get(bucket).map(|e| e.trace_id.as_str().to_owned())),
            [Some("a".into()), None, Some("c".into()), None]
        );
        all.clear();
        assert_eq!(all.get(0), None);
        assert!(all.heap_bytes() > 0);
    }
}
