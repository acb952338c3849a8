//! The loop: at every slot of the resolution, one look at everything, one append.

use std::sync::Arc;
use std::time::Duration;

use prometheus::{IntCounter, IntCounterVec};

use super::{Flattener, Identity};
use crate::clock::Moment;
use crate::history::Append;
use crate::model::{Condition, Timestamp};
use crate::registry::{Cursor, Registry};
use crate::runtime::{Board, Stage, TaskContext, TaskResult, Ticker, blocking};
use crate::telemetry::Telemetry;

const FORWARD: &str = "forward";
const BACKWARD: &str = "backward";

/// Everything the loop works with.
#[derive(Clone)]
pub struct Recorder {
    registry: Arc<Registry>,
    telemetry: Arc<Telemetry>,
    history: Arc<dyn Append>,
    resolution: Duration,
    identity: Identity,
    board: Board,
    missed: IntCounter,
    jumps: IntCounterVec,
}

impl Recorder {
    /// A recorder that looks every `resolution`.
    #[must_use]
    pub fn new(
        registry: Arc<Registry>,
        telemetry: Arc<Telemetry>,
        history: Arc<dyn Append>,
        resolution: Duration,
        identity: Identity,
        board: Board,
    ) -> Self {
        let missed = telemetry
            .counter("sidewatch_recorder_missed_ticks_total", "Ticks at which nothing was recorded because the agent was held up.");
        let jumps = telemetry.counters(
            "sidewatch_recorder_clock_jumps_total",
            "Times that the clock was found set by two seconds or more, or that the machine had slept, by direction.",
            &["direction"],
        );
        for direction in [FORWARD, BACKWARD] {
            jumps.with_label_values(&[direction]);
        }
        Self { registry, telemetry, history, resolution, identity, board, missed, jumps }
    }

    /// Records until the agent drains.
    ///
    /// # Errors
    /// When a look panics.
    pub async fn run(self, mut context: TaskContext) -> TaskResult {
        let mut ticker = Ticker::new(self.resolution, Duration::ZERO);
        let mut flattener = Flattener::new(self.identity.clone());
        let mut before = Moment::now();
        loop {
            context.pulse.beat();
            let slot = tokio::select! {
                slot = ticker.tick() => Some(slot),
                () = tokio::time::sleep(Duration::from_secs(1)) => None,
                () = context.shutdown.reached(Stage::Draining) => return Ok(()),
            };
            // Each second: whoever asks in between is not to see the past for the present.
            self.history.heed(Moment::now());
            let Some(slot) = slot else { continue };
            self.missed.inc_by(slot.missed);
            let recorder = self.clone();
            // All series are looked at: that takes a while when they are many, and nobody else is to wait for it.
            flattener = blocking(move || recorder.record(flattener, slot.at)).await?;
            // Counted after the look, so that history has the number before the jump at a time behind it: what lies before it may be out
            // of a query's reach.
            let now = Moment::now();
            match now.jump_since(before) {
                0 => {}
                jump => self.jumps.with_label_values(&[if jump < 0 { BACKWARD } else { FORWARD }]).inc(),
            }
            before = now;
        }
    }

    fn record(&self, mut flattener: Flattener, at: Timestamp) -> Flattener {
        let mut tick = flattener.begin(self.registry.begin_recording());
        self.registry.published().iter().for_each(|families| tick.take(families));
        tick.take(&self.telemetry.families());
        let mut cursor = Cursor::default();
        while self.registry.read_on(&mut cursor, &mut tick) {
            tick.label_new();
        }
        let flattened = tick.end();
        if !flattened.births.is_empty() {
            let resolution = i64::try_from(self.resolution.as_millis()).unwrap_or(i64::MAX);
            self.history.append(at.plus_millis(-resolution), flattened.births);
        }
        let appended = self.history.append(at, flattened.samples);
        let shortage = self.history.shortage();
        if appended.over_limit > 0 {
            let detail = format!("{} series are over the limit and not stored", appended.over_limit);
            self.board.report("history", Condition::Degraded, &detail, at);
        } else if let Some(shortage) = &shortage {
            self.board.report("history", Condition::Degraded, &shortage.to_string(), at);
        } else {
            self.board.report("history", Condition::Ok, "", at);
        }
        flattener
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::history::{Config, History, Need, Query};
    use crate::model::{Change, Family, Histogram, Labels, MatchOp, Matcher, MetricType, Origin, SeriesKey, is_stale};
    use crate::promql::{Engine, EngineConfig, Value, parse};
    use crate::registry::{Journal, JournalConfig, Pending};
    use crate::runtime::{Policy, Supervisor};

    /// A recorder, with all that it looks at and writes to.
    struct Desk {
        registry: Arc<Registry>,
        history: History,
        recorder: Recorder,
        flattener: Flattener,
    }

    impl Desk {
        fn new() -> Self {
            let telemetry = Telemetry::new();
            let registry = Registry::new(&serde_yaml::from_str("{expiry: 20s}").expect("valid"), &telemetry);
            let history = History::new(&Config::default(), &telemetry);
            let identity =
                Identity { instance: "h".into(), host_job: "node".into(), events_job: "app".into(), agent_job: "sidewatch".into() };
            let append: Arc<dyn Append> = Arc::new(history.clone());
            let ten = Duration::from_secs(10);
            let recorder = Recorder::new(Arc::clone(&registry), telemetry, append, ten, identity.clone(), Board::new());
            Self { registry, history, recorder, flattener: Flattener::new(identity) }
        }

        fn send(&self, second: i64, name: &str, change: Change) {
            let kind = if matches!(change, Change::Count(_)) { MetricType::Counter } else { MetricType::Histogram };
            let key = SeriesKey { name: name.into(), kind, labels: Labels::empty() };
            let mut merge = self.registry.merge(1, Timestamp::from_millis(1000 * second));
            assert_eq!(merge.apply(&mut Pending::new(key, change)), Ok(()));
        }

        fn record(mut self, second: i64) -> Self {
            let at = Timestamp::from_millis(1000 * second);
            self.registry.expire(at);
            self.flattener = self.recorder.record(self.flattener, at);
            self
        }

        /// Time and value of each sample; no value is a stale marker.
        fn told(&self, name: &str) -> Vec<(i64, Option<f64>)> {
            let matcher = Matcher::new("__name__", MatchOp::Equal, name).expect("valid");
            let (after, until) = (Timestamp::from_millis(-60_000), Timestamp::from_millis(i64::MAX / 2));
            let windows = self.history.select(&[matcher], after, until).expect("there");
            let samples = windows.iter().flat_map(|window| &window.samples);
            samples.map(|sample| (sample.at.as_millis() / 1000, (!is_stale(sample.value)).then_some(sample.value))).collect()
        }
    }

    #[test]
    fn an_idle_series_ends_in_history_and_goes_on_where_it_stopped() {
        let mut desk = Desk::new();
        for second in [0, 10, 20, 30, 40, 50] {
            if [0, 40].contains(&second) {
                desk.send(second, "c_total", Change::Count(2.0));
            }
            desk = desk.record(second);
        }
        let expected = [(-10, Some(0.0)), (0, Some(2.0)), (10, Some(2.0)), (20, None), (40, Some(4.0)), (50, Some(4.0))];
        assert_eq!(desk.told("c_total"), expected);
    }

    #[test]
    fn the_first_events_of_a_total_are_an_increase() {
        let mut desk = Desk::new().record(0).record(10);
        let mut histogram = Histogram::with_exponential(desk.registry.bounds("t_seconds"));
        histogram.observe(0.1, 3);
        desk.send(15, "c_total", Change::Count(5.0));
        desk.send(15, "t_seconds", Change::Observe(histogram));
        desk = desk.record(20).record(30);
        assert_eq!(desk.told("c_total"), [(10, Some(0.0)), (20, Some(5.0)), (30, Some(5.0))]);
        for name in ["t_seconds_count", "t_seconds_sum"] {
            assert_eq!(desk.told(name).first(), Some(&(10, Some(0.0))), "{name}");
        }
        assert!(desk.told("t_seconds_bucket").iter().filter(|(second, _)| *second == 10).all(|(_, value)| *value == Some(0.0)));
        let engine = Engine::new(Arc::new(desk.history.clone()), EngineConfig::default());
        for (name, expected) in [("c_total", 5.0), ("t_seconds_count", 3.0)] {
            let expr = parse(&format!("increase({name}[30s])")).expect("valid");
            let answer = engine.instant(&expr, Timestamp::from_millis(30_000)).expect("evaluated");
            let Value::Vector(samples) = answer.value else { panic!("a vector") };
            assert_eq!(samples.iter().map(|sample| sample.value).collect::<Vec<_>>(), [expected], "{name}");
        }
    }

    #[tokio::test]
    async fn a_clock_that_was_set_back_is_noticed_before_the_next_slot() {
        let desk = Desk::new();
        let supervisor = Supervisor::new(&desk.recorder.telemetry);
        let recorder = desk.recorder.clone();
        supervisor.spawn("recorder", Policy::Critical, move |context| recorder.clone().run(context));
        // Till just now the clock was ten minutes ahead.
        let wall = clock::now().plus_millis(600_000);
        desk.history.heed(Moment { wall, steady: clock::monotonic() });
        desk.history.append(wall, &[(Labels::from_pairs([("__name__", "q")]), 1.0)]);
        let noticed = tokio::time::timeout(Duration::from_secs(30), async {
            while desk
                .history
                .series(&[], Timestamp::MIN, clock::now())
                .is_ok_and(|series| series.iter().all(|one| one.get("__name__") != Some("q")))
            {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        noticed.await.expect("seen");
        supervisor.enter(Stage::Draining);
        assert!(supervisor.finish(Duration::from_secs(30)).await.is_empty());
    }

    #[test]
    fn a_recorder_that_begins_anew_gives_no_total_a_second_zero() {
        let mut desk = Desk::new().record(0);
        desk.send(5, "c_total", Change::Count(5.0));
        desk = desk.record(10);
        // One tick is missed.
        desk.flattener = Flattener::new(desk.recorder.identity.clone());
        desk.send(15, "c_total", Change::Count(2.0));
        desk.send(25, "d_total", Change::Count(1.0));
        desk = desk.record(30);
        assert_eq!(desk.told("c_total"), [(0, Some(0.0)), (10, Some(5.0)), (30, Some(7.0))]);
        assert_eq!(desk.told("d_total"), [(20, Some(0.0)), (30, Some(1.0))]);
    }

    #[test]
    fn a_shortage_is_on_the_board() {
        let desk = Desk::new();
        let by = "rule \"r\" of f".to_owned();
        desk.history.need(Need { millis: 1000 * 86_400_000, by });
        let desk = desk.record(0);
        let part = |desk: &Desk| desk.recorder.board.parts().into_iter().find(|part| part.name == "history").expect("posted");
        let told = "rule \"r\" of f looks back 1000d, and history.thinned_retention holds 1w";
        assert_eq!((part(&desk).condition, part(&desk).detail.as_str()), (Condition::Degraded, told));
        desk.history.need(Need::default());
        assert_eq!(part(&desk.record(10)).condition, Condition::Ok);
    }

    #[test]
    fn what_goes_on_or_has_not_begun_with_a_loss_or_an_event_gets_no_zero() {
        let folder = tempfile::tempdir().expect("a folder");
        let journal = |desk: &Desk| {
            let config = JournalConfig::default();
            Journal::open(&desk.registry, Ok(folder.path().to_owned()), &config, &desk.recorder.telemetry, &Board::new(), clock::now())
        };
        let mut desk = Desk::new();
        let before = journal(&desk).expect("opened");
        let now = clock::now().as_millis() / 1000;
        desk.send(now, "c_total", Change::Count(5.0));
        desk.registry.settle();
        drop((desk, before));

        desk = Desk::new();
        let _journal = journal(&desk).expect("opened");
        desk.registry.publish("host", vec![Family::new("h_total", MetricType::Counter, "H.", Origin::Host).with(Labels::empty(), 7.0)]);
        let _own = desk.registry.own_counter("own_total", "O.", Labels::empty(), Timestamp::from_millis(0));
        desk.send(now, "d_total", Change::Count(1.0));
        let mut lost = desk.registry.own_counter("lost_total", "L.", Labels::empty(), Timestamp::from_millis(0));
        lost.change = Change::Count(3.0);
        assert_eq!(desk.registry.merge(1, Timestamp::from_millis(1000 * now)).apply(&mut lost), Ok(()));
        desk = desk.record(now).record(now + 10);
        let seconds = |name| desk.told(name).into_iter().map(|(second, _)| second - now).collect::<Vec<_>>();
        for name in ["c_total", "h_total", "own_total"] {
            assert_eq!(seconds(name), [0, 10], "{name}");
        }
        for name in ["d_total", "lost_total"] {
            assert_eq!(seconds(name), [-10, 0, 10], "{name}");
        }
    }
}
