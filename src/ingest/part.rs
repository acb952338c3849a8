//! One event's part in a series: what it does to what is pending there.

use super::Refusal;
use crate::model::{Change, GaugeMerge, GaugeOp};

/// What an event does to one series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Part {
    /// A counter rises.
    Rise(f64),
    /// A gauge is set or changed.
    Level { value: f64, op: GaugeOp, merge: GaugeMerge },
    /// A gauge had this value at a time, in Unix seconds.
    Stamped { value: f64, seconds: i64 },
    /// A histogram gets this value so many times.
    Observation { value: f64, weight: u64 },
    /// A set gets a member with this hash.
    Member(u64),
}

impl Part {
    /// The same with the value in the series' unit.
    pub(super) fn scaled(self, factor: f64) -> Self {
        match self {
            Self::Rise(rise) => Self::Rise(rise * factor),
            Self::Level { value, op, merge } => Self::Level { value: value * factor, op, merge },
            Self::Stamped { value, seconds } => Self::Stamped { value: value * factor, seconds },
            Self::Observation { value, weight } => Self::Observation { value: value * factor, weight },
            Self::Member(hash) => Self::Member(hash),
        }
    }

    /// Whether it leaves the series finite.
    pub(super) fn is_finite(self) -> bool {
        match self {
            Self::Rise(value) | Self::Level { value, .. } | Self::Stamped { value, .. } => value.is_finite(),
            Self::Observation { value, weight } => (value * weight as f64).is_finite(),
            Self::Member(_) => true,
        }
    }

    /// Whether the gauge is merged over live senders.
    pub(super) fn is_merged(self) -> bool {
        matches!(self, Self::Level { merge, .. } if merge != GaugeMerge::Last)
    }

    /// Adds it to what is pending; `fresh` says that nothing is.
    ///
    /// # Errors
    /// When what is pending is of another type, or was measured later.
    pub(super) fn apply(self, change: &mut Change, fresh: bool) -> Result<(), Refusal> {
        match (self, change) {
            (Self::Rise(rise), Change::Count(total)) => *total += rise,
            (Self::Observation { value, weight }, Change::Observe(histogram)) => histogram.observe(value, weight),
            (Self::Level { value: more, op: GaugeOp::Add, merge: latest }, Change::Gauge { value, merge, .. }) => {
                *value += more;
                *merge = latest;
            }
            (Self::Level { value: more, op: GaugeOp::Add, .. }, Change::Stamped { value, .. }) => *value += more,
            (Self::Level { value, op, merge }, change @ (Change::Gauge { .. } | Change::Stamped { .. })) => {
                *change = Change::Gauge { value, op, merge };
            }
            (Self::Stamped { seconds, .. }, Change::Stamped { seconds: held, .. }) if *held >= seconds => {
                return Err(Refusal::StaleTimestamp);
            }
            (Self::Stamped { value, seconds }, Change::Stamped { value: held, seconds: held_seconds, .. }) => {
                (*held, *held_seconds) = (value, seconds);
            }
            (Self::Stamped { value, seconds }, change @ Change::Gauge { .. }) => {
                *change = Change::Stamped { value, seconds, always: !fresh };
            }
            (Self::Member(hash), Change::Members(members)) => members.insert(hash),
            (Self::Rise(_) | Self::Level { .. } | Self::Stamped { .. } | Self::Observation { .. } | Self::Member(_), _) => {
                return Err(Refusal::TypeConflict);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Distinct, MetricType};

    const SET: Part = Part::Level { value: 1.0, op: GaugeOp::Set, merge: GaugeMerge::Last };
    const ADD: Part = Part::Level { value: 10.0, op: GaugeOp::Add, merge: GaugeMerge::Last };

    fn at(seconds: i64) -> Part {
        Part::Stamped { value: seconds as f64, seconds }
    }

    /// What is pending after all of these, and what was refused.
    fn pending(parts: &[Part]) -> (Change, Vec<Refusal>) {
        let mut change = Change::none(MetricType::Gauge, || [].into());
        let (mut refused, mut fresh) = (Vec::new(), true);
        for part in parts {
            match part.apply(&mut change, fresh) {
                Ok(()) => fresh = false,
                Err(reason) => refused.push(reason),
            }
        }
        (change, refused)
    }

    #[test]
    fn of_stamped_values_the_latest_is_pending() {
        let stamped = |seconds: i64, always| Change::Stamped { value: seconds as f64, seconds, always };
        let stale = Refusal::StaleTimestamp;
        assert_eq!(pending(&[at(5), at(7), at(6), at(7)]), (stamped(7, false), vec![stale, stale]));
        assert_eq!(pending(&[SET, at(5), at(4)]), (stamped(5, true), vec![stale]), "no stamp stands behind a value without one");
        let set = Change::Gauge { value: 1.0, op: GaugeOp::Set, merge: GaugeMerge::Last };
        assert_eq!(pending(&[at(5), SET]), (set, vec![]));
        assert_eq!(pending(&[at(5), ADD]), (Change::Stamped { value: 15.0, seconds: 5, always: false }, vec![]));
    }

    #[test]
    fn what_is_for_another_type_changes_nothing() {
        let set = Change::Gauge { value: 1.0, op: GaugeOp::Set, merge: GaugeMerge::Last };
        assert_eq!(pending(&[SET, Part::Member(3), Part::Rise(1.0)]), (set, vec![Refusal::TypeConflict; 2]));
        let mut members = Change::Members(Distinct::default());
        assert_eq!(SET.apply(&mut members, true), Err(Refusal::TypeConflict));
        assert_eq!(members, Change::Members(Distinct::default()));
    }
}
