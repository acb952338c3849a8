//! The requests of one sender that have begun and not ended.

use std::collections::VecDeque;

use hashbrown::HashMap;

use super::Refusal;
use crate::model::{SeriesKey, Timestamp};

/// Longer identifiers than this are no identifiers.
const ID_BYTES_MAX: usize = 256;

/// Open requests by their identifier, and in the order in which they began.
#[derive(Debug)]
pub(super) struct OpenRequests {
    open: HashMap<Box<str>, Open>,
    order: VecDeque<(Timestamp, Box<str>)>,
    max: usize,
    timeout_millis: i64,
}

#[derive(Debug)]
struct Open {
    began: Timestamp,
    series: SeriesKey,
}

impl OpenRequests {
    pub(super) fn new(max: usize, timeout_millis: i64) -> Self {
        Self { open: HashMap::new(), order: VecDeque::new(), max, timeout_millis }
    }

    /// Takes new limits; what is open stays open.
    pub(super) fn limit(&mut self, max: usize, timeout_millis: i64) {
        self.max = max;
        self.timeout_millis = timeout_millis;
    }

    /// True when no request is open.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Forgets all requests: their ends mean nothing any more.
    pub(super) fn clear(&mut self) {
        self.open = HashMap::new();
        self.order = VecDeque::new();
    }

    /// Notes that a request begins. False when it has begun already: it is still one request.
    ///
    /// # Errors
    /// When too many are open, or the identifier is too long.
    pub(super) fn begin(&mut self, id: &str, series: &SeriesKey, at: Timestamp) -> Result<bool, Refusal> {
        if id.len() > ID_BYTES_MAX {
            return Err(Refusal::LabelTooLong);
        }
        if self.open.contains_key(id) {
            return Ok(false);
        }
        if self.open.len() >= self.max {
            return Err(Refusal::OpenRequests);
        }
        self.open.insert(Box::from(id), Open { began: at, series: series.clone() });
        // Requests that have ended stay in the order until their time is up; a fast sender would fill it.
        if self.order.len() >= self.max.saturating_mul(2) {
            let open = &self.open;
            self.order.retain(|(began, id)| open.get(id).is_some_and(|open| open.began == *began));
        }
        self.order.push_back((at, Box::from(id)));
        Ok(true)
    }

    /// Notes that a request has ended; the active series it was counted in, if it had begun here.
    pub(super) fn end(&mut self, id: &str) -> Option<SeriesKey> {
        self.open.remove(id).map(|open| open.series)
    }

    /// Gives up the requests whose end has not come in time; the active series of each.
    pub(super) fn expire(&mut self, at: Timestamp) -> Vec<SeriesKey> {
        let mut expired = Vec::new();
        let latest = at.plus_millis(-self.timeout_millis);
        while let Some((began, id)) = self.order.pop_front_if(|(began, _)| *began <= latest) {
            if self.open.get(&id).is_some_and(|open| open.began == began) {
                expired.extend(self.end(&id));
            }
        }
        expired
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Labels, MetricType};

    fn series() -> SeriesKey {
        SeriesKey { name: "a".into(), kind: MetricType::Gauge, labels: Labels::empty() }
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_request_is_open_from_its_begin_to_its_end() {
        let mut open = OpenRequests::new(10, 1000);
        assert_eq!(open.begin("a", &series(), at(0)), Ok(true));
        assert_eq!(open.begin("a", &series(), at(1)), Ok(false));
        assert_eq!(open.end("a"), Some(series()));
        assert_eq!(open.end("a"), None);
        assert!(open.is_empty());
    }

    #[test]
    fn a_request_whose_end_never_comes_expires() {
        let mut open = OpenRequests::new(10, 1000);
        open.begin("old", &series(), at(0)).expect("room");
        open.begin("ended", &series(), at(0)).expect("room");
        open.end("ended");
        open.begin("ended", &series(), at(600)).expect("room");
        assert_eq!(open.expire(at(999)).len(), 0);
        assert_eq!(open.expire(at(1000)).len(), 1, "one that ended and began anew is not old");
        assert!(open.end("ended").is_some());
    }

    #[test]
    fn open_requests_are_bounded_and_so_is_what_is_kept_of_ended_ones() {
        let mut open = OpenRequests::new(2, 1000);
        for id in 0..100 {
            assert_eq!(open.begin(&id.to_string(), &series(), at(0)), Ok(true));
            open.end(&id.to_string());
        }
        assert!(open.order.len() <= 4);
        open.begin("a", &series(), at(0)).expect("room");
        open.begin("b", &series(), at(0)).expect("room");
        assert_eq!(open.begin("c", &series(), at(0)), Err(Refusal::OpenRequests));
        assert_eq!(open.begin(&"x".repeat(257), &series(), at(0)), Err(Refusal::LabelTooLong));
    }
}
