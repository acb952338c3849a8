//! Rounds with collectors that misbehave.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::model::{Part, Value};
use crate::runtime::{Policy, ShutdownSender, Supervisor};

use super::*;

const FAMILY: [Described; 1] = [Described::gauge("node_test", &[], "A test.")];

struct Fake(fn(u32) -> Result<Vec<Family>, CollectError>, u32);

impl Collector for Fake {
    fn collect(&mut self, _host: &mut HostFs, _at: Timestamp) -> Result<Vec<Family>, CollectError> {
        self.1 += 1;
        (self.0)(self.1)
    }
}

const fn kind(name: &'static str, make: fn(&Parts<'_>) -> Result<Box<dyn Collector>, CollectError>) -> Kind {
    Kind { name, families: &FAMILY, make }
}

/// `panics` has state: a panic makes it start from 1 again. `works` stands behind the two that do not.
static KINDS: [Kind; 3] = [
    kind("fails", |_| Ok(Box::new(Fake(|round| if round == 1 { Ok(vec![one()]) } else { Err(missing()) }, 0)))),
    kind("panics", |_| Ok(Box::new(Fake(|round| if round == 2 { panic!("on purpose") } else { Ok(Vec::new()) }, 0)))),
    kind("works", |_| Ok(Box::new(Fake(|_| Ok(vec![one()]), 0)))),
];

fn one() -> Family {
    FAMILY[0].family().with(Labels::empty(), 1.0)
}

fn missing() -> CollectError {
    CollectError::Read { path: "/proc/none".into(), source: std::io::Error::other("gone") }
}

struct Scene {
    telemetry: Arc<Telemetry>,
    registry: Arc<Registry>,
    board: Board,
    sampler: Sampler,
}

fn scene() -> Scene {
    let telemetry = Telemetry::new();
    let registry = Registry::new(&Default::default(), &telemetry);
    let board = Board::new();
    let sampler = Sampler::new(Arc::clone(&registry), &telemetry, board.clone());
    Scene { telemetry, registry, board, sampler }
}

impl Scene {
    fn value(&self, family: &str, label: &str) -> Option<f64> {
        let families = self.registry.families().into_iter().chain(self.telemetry.families());
        let mut series = families.filter(|f| *f.name == *family).flat_map(|f| f.series);
        series.find(|s| label.is_empty() || s.labels.iter().any(|(_, value)| value == label)).and_then(|s| match s.value {
            Value::Number(number) => Some(number),
            Value::Histogram(_) | Value::Summary(_) => None,
        })
    }

    fn part(&self, name: &str) -> Option<Part> {
        self.board.parts().into_iter().find(|part| part.name == name)
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_millis(second * 1000)
}

#[test]
fn one_collector_failing_stops_no_other() {
    let scene = scene();
    let mut round = Round::new(Config::default(), scene.sampler.clone(), &KINDS);
    round.sample(at(1));
    assert_eq!(scene.value("node_scrape_collector_success", "fails"), Some(1.0));
    round.sample(at(2));
    for (collector, success) in [("fails", 0.0), ("panics", 0.0), ("works", 1.0)] {
        assert_eq!(scene.value("node_scrape_collector_success", collector), Some(success), "{collector}");
        assert!(scene.value("node_scrape_collector_duration_seconds", collector).is_some());
    }
    assert_eq!(scene.value("node_test", ""), Some(1.0));
    assert_eq!(scene.value("sidewatch_collect_errors_total", "read"), Some(1.0));
    assert_eq!(scene.value("sidewatch_collect_errors_total", "panic"), Some(1.0));
    assert_eq!(scene.value("sidewatch_collect_errors_total", "malformed"), Some(0.0));
    let failed = scene.part("collector:fails").unwrap();
    assert_eq!((failed.condition, failed.detail.as_str(), failed.since), (Condition::Failed, "cannot read /proc/none: gone", at(2)));
    assert_eq!(scene.part("collector:panics").unwrap().detail, "the collector panicked: on purpose");
    assert_eq!(scene.part("collector:works").unwrap().condition, Condition::Ok);
    assert_eq!(scene.part(PART).unwrap().condition, Condition::Ok);
}

#[test]
fn a_collector_that_panicked_is_made_anew() {
    let scene = scene();
    let mut round = Round::new(Config::default(), scene.sampler.clone(), &KINDS);
    for (second, success) in [(1, 1.0), (2, 0.0), (3, 1.0), (4, 0.0)] {
        round.sample(at(second));
        assert_eq!(scene.value("node_scrape_collector_success", "panics"), Some(success), "in second {second}");
    }
}

#[test]
fn the_series_of_a_collector_that_fails_or_is_switched_off_go() {
    let scene = scene();
    let mut round = Round::new(Config::default(), scene.sampler.clone(), &KINDS[..1]);
    round.sample(at(1));
    assert_eq!(scene.value("node_test", ""), Some(1.0));
    round.sample(at(2));
    assert_eq!(scene.value("node_test", ""), None);
    assert_eq!(scene.part(PART).unwrap().detail, "every collector failed");

    Round::new(Config::default(), scene.sampler.clone(), &KINDS[2..]).sample(at(3));
    assert_eq!(scene.value("node_test", ""), Some(1.0));
    let without = Config { disabled: vec!["works".into()], ..Config::default() };
    Round::new(without, scene.sampler.clone(), &KINDS[2..]).sample(at(4));
    assert_eq!((scene.value("node_test", ""), scene.part("collector:works")), (None, None));
}

async fn until(mut holds: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(30), async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    waited.await.expect("it never came to that");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loop_samples_at_once_takes_a_new_configuration_and_ends_when_drained() {
    let scene = scene();
    assert_eq!(scene.board.missing().len(), 1);
    // An interval that this test does not live to see: the first round is the one at the start.
    let slow = Config { interval: crate::model::PromDuration::from_secs(86_400), ..Config::default() };
    let (change, config) = watch::channel(slow.clone());
    let supervisor = Supervisor::new(&scene.telemetry);
    let statfs = Arc::new(|_: &Path| Ok(super::super::Capacity::default()));
    let sampler = scene.sampler.clone().with_prober(Prober::new(statfs));
    supervisor.spawn(PART, Policy::Critical, move |context| run(sampler.clone(), config.clone(), context));
    until(|| scene.board.missing().is_empty()).await;
    assert!(scene.value("node_load1", "").is_some() && scene.value("node_cpu_seconds_total", "idle").is_some());
    change.send(Config { disabled: vec!["loadavg".into()], ..slow }).unwrap();
    until(|| scene.value("node_load1", "").is_none()).await;
    supervisor.enter(Stage::Draining);
    assert!(supervisor.finish(Duration::from_secs(30)).await.is_empty());
}

static ENTERED: AtomicUsize = AtomicUsize::new(0);
static GATE: Mutex<Option<std::sync::mpsc::Receiver<()>>> = Mutex::new(None);

#[tokio::test(flavor = "multi_thread")]
async fn a_round_that_hangs_does_not_keep_the_agent_from_stopping() {
    let (gate, wait) = std::sync::mpsc::sync_channel(1);
    *lock(&GATE) = Some(wait);
    static HANGS: [Kind; 1] = [kind("hangs", |_| {
        let hang = |_| {
            ENTERED.fetch_add(1, Ordering::SeqCst);
            // Until the test lets go of its end.
            let wait = lock(&GATE).take();
            let _ = wait.map(|wait| wait.recv());
            Ok(Vec::new())
        };
        Ok(Box::new(Fake(hang, 0)))
    })];
    let scene = scene();
    let (shutdown, mut told) = ShutdownSender::new();
    let pulse = Pulse::new();
    let round = Round::new(Config::default(), scene.sampler.clone(), &HANGS);
    let busy = Arc::clone(&round.busy);
    let sampled = sample(round, at(1), &mut told, &pulse);
    let story = async {
        until(|| ENTERED.load(Ordering::SeqCst) == 1).await;
        assert_eq!(*lock(&busy), Some("hangs"));
        shutdown.enter(Stage::Draining);
    };
    let (sampled, ()) = tokio::join!(sampled, story);
    assert!(sampled.unwrap().is_none());
    drop(gate);
}
