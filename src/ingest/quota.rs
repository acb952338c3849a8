//! How much one sender may send: a bucket that fills at a steady rate, and is emptied by what comes in.

use std::time::Duration;

use super::Config;
use crate::model::Timestamp;

const DAY_SECONDS: f64 = 86_400.0;

/// A rate, and how much of it may come at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rate {
    /// Units a second, above zero.
    pub(super) per_second: f64,
    /// The most that is saved up while nothing comes.
    pub(super) burst: f64,
}

/// What one sender has left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bucket {
    level: f64,
    at: Timestamp,
}

impl Bucket {
    /// A full one.
    pub(super) const fn new(rate: Rate, at: Timestamp) -> Self {
        Self { level: rate.burst, at }
    }

    /// Whether `amount` is there; and where the bucket is full, since more than that would else never pass.
    pub(super) fn allows(&mut self, amount: f64, rate: Rate, at: Timestamp) -> bool {
        self.left(rate, at) >= amount.min(rate.burst)
    }

    /// Takes `amount`, be it there or not.
    pub(super) fn spend(&mut self, amount: f64, rate: Rate, at: Timestamp) {
        self.left(rate, at);
        self.level -= amount;
    }

    /// How long it takes until what was spent is paid.
    pub(super) fn debt(&mut self, rate: Rate, at: Timestamp) -> Duration {
        Duration::try_from_secs_f64(-self.left(rate, at) / rate.per_second).unwrap_or_default()
    }

    /// What there is now.
    pub(super) fn left(&mut self, rate: Rate, at: Timestamp) -> f64 {
        // A clock that is set back gives nothing and takes nothing.
        let millis = at.as_millis().saturating_sub(self.at.as_millis()).max(0) as f64;
        self.level = (self.level + rate.per_second * millis / 1000.0).min(rate.burst);
        self.at = at;
        self.level
    }
}

/// What one sender may do, by the configuration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Quota {
    /// Bytes, if they are limited.
    pub(super) bytes: Option<Rate>,
    /// New series.
    pub(super) series: Rate,
}

impl Quota {
    pub(super) fn new(config: &Config) -> Self {
        let rate = |per_second: f64, burst: usize| Rate { per_second, burst: burst.max(1) as f64 };
        let bytes = (config.bytes_per_second_max > 0).then(|| rate(config.bytes_per_second_max as f64, config.burst_bytes_max));
        let series = config.series_per_sender_max;
        Self { bytes, series: rate(series.max(1) as f64 / DAY_SECONDS, series) }
    }
}

/// What one sender has left, over all its sessions.
#[derive(Debug, Default)]
pub(super) struct Account {
    bytes: Option<Bucket>,
    series: Option<Bucket>,
}

impl Account {
    /// What it has left of its bytes.
    pub(super) fn bytes(&mut self, rate: Rate, at: Timestamp) -> &mut Bucket {
        self.bytes.get_or_insert_with(|| Bucket::new(rate, at))
    }

    /// How many series it may still make.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a cast from float saturates: below zero is none
    pub(super) fn series_left(&mut self, quota: Quota, at: Timestamp) -> usize {
        self.series.get_or_insert_with(|| Bucket::new(quota.series, at)).left(quota.series, at) as usize
    }

    /// It has made so many.
    pub(super) fn series_made(&mut self, series: usize, quota: Quota, at: Timestamp) {
        self.series.get_or_insert_with(|| Bucket::new(quota.series, at)).spend(series as f64, quota.series, at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_second: 1000.0, burst: 500.0 };

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn take(bucket: &mut Bucket, amount: f64, millis: i64) -> bool {
        let allowed = bucket.allows(amount, RATE, at(millis));
        if allowed {
            bucket.spend(amount, RATE, at(millis));
        }
        allowed
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let mut bucket = Bucket::new(RATE, at(0));
        assert!(take(&mut bucket, 400.0, 0));
        assert!(!take(&mut bucket, 200.0, 0));
        assert!(!take(&mut bucket, 200.0, 99));
        assert!(take(&mut bucket, 200.0, 100));
        assert!(!take(&mut bucket, 1.0, 100));
        let passed = (0..10_000).filter(|millis| take(&mut bucket, 10.0, 100 + millis)).count();
        assert_eq!(passed, 999, "ten seconds at 1000 a second");
    }

    #[test]
    fn what_is_saved_up_has_a_limit() {
        let mut bucket = Bucket::new(RATE, at(0));
        assert!(take(&mut bucket, 500.0, 0));
        assert_eq!(bucket.left(RATE, at(3_600_000)), 500.0);
    }

    #[test]
    fn who_spends_more_waits_until_it_is_paid() {
        let mut bucket = Bucket::new(RATE, at(0));
        bucket.spend(500.0, RATE, at(0));
        assert_eq!(bucket.debt(RATE, at(0)), Duration::ZERO);
        bucket.spend(2000.0, RATE, at(0));
        assert_eq!(bucket.debt(RATE, at(0)), Duration::from_secs(2));
        assert_eq!(bucket.debt(RATE, at(500)), Duration::from_millis(1500));
        assert_eq!(bucket.debt(RATE, at(5000)), Duration::ZERO);
    }

    #[test]
    fn more_than_the_burst_passes_when_nothing_came_before() {
        let mut bucket = Bucket::new(RATE, at(0));
        assert!(take(&mut bucket, 600.0, 0));
        assert!(!take(&mut bucket, 600.0, 500), "and has to be paid first");
        assert!(take(&mut bucket, 600.0, 600));
    }

    #[test]
    fn a_clock_that_is_set_back_is_no_gift() {
        let mut bucket = Bucket::new(RATE, at(10_000));
        assert!(take(&mut bucket, 500.0, 10_000));
        assert!(!take(&mut bucket, 1.0, 0));
        assert!(take(&mut bucket, 100.0, 100));
    }

    #[test]
    fn series_come_back_over_a_day() {
        let quota = Quota::new(&Config { series_per_sender_max: 100, ..Config::default() });
        assert_eq!(quota.bytes, None, "bytes have no limit unless one is set");
        let mut account = Account::default();
        assert_eq!(account.series_left(quota, at(0)), 100);
        account.series_made(100, quota, at(0));
        assert_eq!(account.series_left(quota, at(863_999)), 0);
        assert_eq!(account.series_left(quota, at(864_100)), 1);
        account.series_made(50, quota, at(864_100));
        assert_eq!(account.series_left(quota, at(864_100)), 0, "two sessions may have made some at once");
        assert_eq!(account.series_left(quota, at(10 * 86_400_000)), 100);
    }
}
