//! One receiver: what it is, and how patient to be with it.

use std::collections::VecDeque;
use std::time::Duration;

use hyper::Uri;

use super::backoff::pause;
use super::config::Config;
use super::ledger::BATCH_MAX;
use super::post::Endpoint;
use super::record::Id;
use crate::model::Timestamp;

/// The journal's name among the targets.
const JOURNAL: &str = "journal";
/// For so long it is not given as many alerts together as it has not taken.
const GROWTH_PAUSE: Duration = Duration::from_mins(10);
const MINUTE: Duration = Duration::from_mins(1);
/// How long it is shown that a target has refused something.
const REFUSAL_SHOWN: Duration = Duration::from_mins(15);

/// How a target is told.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum How {
    /// Alertmanager's API, version 2.
    Alertmanager(Endpoint),
    /// A webhook.
    Webhook(Endpoint),
    /// A command, and how long it may run.
    Command(Vec<String>, Duration),
    /// The systemd journal.
    Journal,
}

/// A target as it is configured.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spec {
    /// What it is called: an Alertmanager by its URL.
    pub(super) name: String,
    /// How it is told.
    pub(super) how: How,
    /// Only while no Alertmanager can be reached.
    pub(super) fallback: bool,
    /// The most messages in a minute.
    pub(super) per_minute_max: Option<usize>,
}

/// The targets of a configuration that was checked.
pub(super) fn specs(config: &Config) -> Vec<Spec> {
    let alertmanagers = config.alertmanagers.iter().filter_map(|one| {
        let url = one.alerts_url().parse().ok()?;
        let (basic_auth, authorization, tls) = (one.basic_auth.clone(), one.authorization.clone(), one.tls.clone());
        let how = How::Alertmanager(Endpoint { url, secret: false, timeout: one.timeout.get(), basic_auth, authorization, tls });
        Some(Spec { name: one.url.clone(), how, fallback: false, per_minute_max: None })
    });
    let webhooks = config.webhooks.iter().filter_map(|one| {
        let url: Uri = one.url.reveal().parse().ok()?;
        let (basic_auth, authorization, tls) = (one.basic_auth.clone(), one.authorization.clone(), one.tls.clone());
        let how = How::Webhook(Endpoint { url, secret: true, timeout: one.timeout.get(), basic_auth, authorization, tls });
        Some(Spec { name: one.name.clone(), how, fallback: one.fallback, per_minute_max: Some(one.per_minute_max) })
    });
    let commands = config.commands.iter().map(|one| Spec {
        name: one.name.clone(),
        how: How::Command(one.command.clone(), one.timeout.get()),
        fallback: one.fallback,
        per_minute_max: Some(one.per_minute_max),
    });
    let journal = Spec { name: JOURNAL.to_owned(), how: How::Journal, fallback: config.journal.fallback, per_minute_max: None };
    alertmanagers.chain(webhooks).chain(commands).chain(config.journal.enabled.then_some(journal)).collect()
}

/// What a target has refused, for as long as that is shown.
#[derive(Debug)]
pub(super) struct Refusal {
    /// Why, the last time.
    pub(super) error: String,
    /// How many notifications in all.
    pub(super) notifications: usize,
    last: Timestamp,
}

/// A target at work.
#[derive(Debug)]
pub(super) struct Target {
    /// What it is.
    pub(super) spec: Spec,
    /// A message is under way: one at a time.
    pub(super) busy: bool,
    /// The alerts that it is about, or that the last one was, where that was not answered.
    under_way: Vec<Id>,
    failures: u32,
    /// The last attempt, and how long to wait after it.
    waits: Option<(Timestamp, Duration)>,
    /// Since when nothing gets through, counted from the start by a clock that nobody sets, and why.
    pub(super) failing: Option<(Duration, String)>,
    /// What it has refused.
    refused: Option<Refusal>,
    /// What was given up because too much waited: it is told of what still fires once nothing is due any more.
    pub(super) owed: bool,
    /// The most alerts in one message: fewer where it has not taken as many.
    pub(super) batch_max: usize,
    /// How many alerts it did not take together, and when.
    too_many: Option<(usize, Timestamp)>,
    /// When messages of the last minute went out.
    recent: VecDeque<Timestamp>,
}

impl Target {
    /// One that nothing is known of.
    pub(super) fn new(spec: Spec) -> Self {
        Self {
            spec,
            busy: false,
            under_way: Vec::new(),
            failures: 0,
            waits: None,
            failing: None,
            refused: None,
            owed: false,
            batch_max: BATCH_MAX,
            too_many: None,
            recent: VecDeque::new(),
        }
    }

    /// The same one, configured anew: it may be tried at once.
    pub(super) fn replaced(self, spec: Spec) -> Self {
        Self { busy: self.busy, under_way: self.under_way, owed: self.owed, recent: self.recent, ..Self::new(spec) }
    }

    /// Whether it is an Alertmanager.
    pub(super) const fn is_alertmanager(&self) -> bool {
        matches!(self.spec.how, How::Alertmanager(_))
    }

    /// Whether a message may go out now.
    pub(super) fn may_try(&mut self, at: Timestamp) -> bool {
        // A clock that was set back does not hold anything up.
        let over = |since: Timestamp, pause: Duration| at.since(since) >= pause || at < since;
        while self.recent.front().is_some_and(|sent| over(*sent, MINUTE)) {
            self.recent.pop_front();
        }
        let allowed = self.spec.per_minute_max.is_none_or(|most| self.recent.len() < most);
        !self.busy && allowed && self.waits.is_none_or(|(since, pause)| over(since, pause))
    }

    /// The alerts that it is being told of just now, or was without an answer: it may know of them.
    pub(super) fn under_way(&self) -> &[Id] {
        &self.under_way
    }

    /// A message about some alerts goes out.
    pub(super) fn begin(&mut self, about: Vec<Id>, at: Timestamp) {
        (self.busy, self.under_way) = (true, about);
        if self.spec.per_minute_max.is_some() {
            self.recent.push_back(at);
        }
    }

    /// It was answered.
    pub(super) fn answered(&mut self) {
        (self.busy, self.failures, self.waits, self.failing) = (false, 0, None, None);
        self.under_way.clear();
    }

    /// It has taken all of it: it may take more, but not at once as many as it has not taken.
    pub(super) fn took(&mut self, at: Timestamp) {
        self.answered();
        let more = self.batch_max.saturating_mul(2).min(BATCH_MAX);
        let is_known = |(alerts, since): (usize, Timestamp)| more >= alerts && at >= since && at.since(since) < GROWTH_PAUSE;
        if !self.too_many.is_some_and(is_known) {
            self.batch_max = more;
        }
    }

    /// It does not take so many alerts at once.
    pub(super) fn divides(&mut self, alerts: usize, at: Timestamp) {
        self.answered();
        (self.batch_max, self.too_many) = ((alerts / 2).max(1), Some((alerts, at)));
    }

    /// It will never take so many notifications.
    pub(super) fn refuses(&mut self, error: String, notifications: usize, at: Timestamp) {
        self.answered();
        // It was these, and not their number.
        self.too_many = None;
        let before = self.refusal(at).map_or(0, |refusal| refusal.notifications);
        self.refused = Some(Refusal { error, notifications: before.saturating_add(notifications), last: at });
    }

    /// What it has refused lately.
    pub(super) fn refusal(&self, at: Timestamp) -> Option<&Refusal> {
        self.refused.as_ref().filter(|refusal| at.since(refusal.last) < REFUSAL_SHOWN)
    }

    /// There is nothing to tell it: what did not work the last time says nothing any more.
    pub(super) fn has_nothing_to_hear(&mut self) {
        self.failing = None;
    }

    /// For how long nothing has got through.
    pub(super) fn failing_for(&self, now: Duration) -> Option<Duration> {
        self.failing.as_ref().map(|(since, _)| now.saturating_sub(*since))
    }

    /// It did not get through.
    pub(super) fn failed(&mut self, at: Timestamp, now: Duration, error: String, retry_after: Option<Duration>) {
        self.busy = false;
        self.failures = self.failures.saturating_add(1);
        self.waits = Some((at, pause(self.failures, retry_after)));
        let since = self.failing.take().map_or(now, |(since, _)| since);
        self.failing = Some((since, error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn target(text: &str) -> Target {
        let config: Config = serde_yaml::from_str(text).expect("readable");
        Target::new(specs(&config).remove(0))
    }

    #[test]
    fn a_target_that_fails_is_left_alone_longer_each_time() {
        let mut target = target("alertmanagers: [{url: 'http://a:9093/am/'}]");
        let How::Alertmanager(endpoint) = &target.spec.how else { panic!("an Alertmanager") };
        assert_eq!(endpoint.url.to_string(), "http://a:9093/am/api/v2/alerts");
        assert!(target.may_try(at(0)));
        target.begin(vec![7], at(0));
        assert!(!target.may_try(at(0)), "one at a time");
        assert_eq!(target.under_way(), [7]);
        let begin = Duration::from_secs(7);
        target.failed(at(0), begin, "no".into(), None);
        assert_eq!(target.under_way(), [7], "it may know of it");
        target.failed(at(1), begin + MINUTE, "still no".into(), None);
        assert_eq!([at(2), at(3)].map(|at| target.may_try(at)), [false, true]);
        assert!(target.may_try(at(-9)), "the clock was set back");
        assert_eq!(target.failing, Some((begin, "still no".to_owned())));
        assert_eq!(target.failing_for(begin + 2 * MINUTE), Some(2 * MINUTE));
        target.answered();
        assert!(target.may_try(at(2)) && target.failing.is_none() && target.under_way().is_empty());
    }

    #[test]
    fn a_message_that_is_not_taken_as_a_whole_is_halved_until_one_alert_is_left() {
        let mut target = target("alertmanagers: [{url: 'http://a'}]");
        assert_eq!(target.batch_max, BATCH_MAX);
        for (alerts, fewer) in [(256, 128), (5, 2), (2, 1)] {
            target.divides(alerts, at(0));
            assert_eq!(target.batch_max, fewer);
        }
        target.refuses("no".into(), 1, at(0));
        assert_eq!(target.batch_max, 1, "the next one may be like it");
        for more in [2, 4, 8] {
            target.took(at(1));
            assert_eq!(target.batch_max, more);
        }
        (0..20).for_each(|_| target.took(at(1)));
        assert_eq!(target.batch_max, BATCH_MAX);
        target.divides(100, at(10));
        (0..20).for_each(|_| target.took(at(609)));
        assert_eq!(target.batch_max, 50, "it has said that 100 are too many");
        target.took(at(610));
        assert_eq!(target.batch_max, 100);
    }

    #[test]
    fn what_a_target_refuses_is_known_for_a_quarter_of_an_hour() {
        let mut target = target("webhooks: [{name: w, url: 'http://a/'}]");
        let shown = |target: &Target, second| target.refusal(at(second)).map(|refusal| (refusal.error.clone(), refusal.notifications));
        assert_eq!(shown(&target, 0), None);
        target.refuses("no".into(), 2, at(0));
        target.refuses("never".into(), 1, at(10));
        target.took(at(10));
        assert_eq!([10, 909, 910].map(|second| shown(&target, second).map(|(_, refused)| refused)), [Some(3), Some(3), None]);
        assert_eq!(shown(&target, 10), Some(("never".to_owned(), 3)));
        target.refuses("again".into(), 1, at(2000));
        assert_eq!(shown(&target, 2000), Some(("again".to_owned(), 1)));
    }

    #[test]
    fn a_webhook_gets_so_many_messages_in_any_minute() {
        let mut target = target("webhooks: [{name: w, url: 'http://a/', per_minute_max: 2}]");
        for second in [0, 30] {
            assert!(target.may_try(at(second)));
            target.begin(Vec::new(), at(second));
            target.answered();
        }
        assert_eq!([59, 60].map(|second| target.may_try(at(second))), [false, true]);
    }
}
