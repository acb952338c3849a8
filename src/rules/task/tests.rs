//! The loop with real files and a real clock: short intervals, bounded waits.

use super::*;
use std::fs;
use std::path::Path;

use crate::history::{self, History};
use crate::model::{AlertState, Condition, Labels, PromDuration, RuleHealth, RuleKind};
use crate::promql::EngineConfig;
use crate::rules::config::Packs;
use crate::runtime::{Policy, Supervisor};

const FIRING: &str = "groups: [{name: g, interval: 20ms, rules: [{alert: A, expr: up == 0}]}]";

struct Agent {
    folder: tempfile::TempDir,
    history: History,
    telemetry: Arc<Telemetry>,
    board: Board,
    handle: Handle,
    supervisor: Supervisor,
}

impl Agent {
    fn start(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            write(folder.path(), name, text);
        }
        let telemetry = Telemetry::new();
        let history = History::new(&history::Config::default(), &telemetry);
        let board = Board::new();
        let config = Config {
            folder: Some(folder.path().to_owned()),
            packs: Packs::all(false),
            interval: PromDuration::from_millis(20),
            ..Config::default()
        };
        let needs = Needs {
            engine: Arc::new(Engine::new(Arc::new(history.clone()), EngineConfig::default())),
            history: Arc::new(history.clone()),
            telemetry: Arc::clone(&telemetry),
            board: board.clone(),
            externals: Externals::default(),
            past: Arc::new(history.clone()),
            state: Err("a test".to_owned()),
        };
        history.append(clock::now().plus_millis(-1_000), &[(Labels::from_pairs([("__name__", "up")]), 0.0)]);
        let (service, handle) = new(config, needs);
        let supervisor = Supervisor::new(&telemetry);
        supervisor.spawn("rules", Policy::Critical, move |context| run(service.clone(), context));
        Self { folder, history, telemetry, board, handle, supervisor }
    }

    /// Waits until the snapshot is as wanted.
    async fn until(&self, wanted: impl Fn(&RulesSnapshot) -> bool) -> Arc<RulesSnapshot> {
        let mut snapshots = self.handle.snapshots();
        let reached = tokio::time::timeout(Duration::from_secs(10), async {
            snapshots.wait_for(|snapshot| wanted(snapshot)).await.expect("runs").clone()
        });
        reached.await.unwrap_or_else(|_| panic!("not reached; last: {:?}", self.handle.snapshots().borrow()))
    }

    fn metric(&self, name: &str, label: &str) -> Option<f64> {
        let families = self.telemetry.families();
        let family = families.iter().find(|family| &*family.name == name)?;
        let series = family.series.iter().find(|series| series.labels.to_string().contains(label))?;
        match series.value {
            crate::model::Value::Number(number) => Some(number),
            _ => None,
        }
    }

    fn part(&self) -> (Condition, String) {
        let part = self.board.parts().into_iter().find(|part| part.name == PART).expect("posted");
        (part.condition, part.detail)
    }

    async fn stop(self) {
        self.supervisor.enter(Stage::Draining);
        assert!(self.supervisor.finish(Duration::from_secs(10)).await.is_empty(), "the task ends when the agent drains");
    }
}

fn write(folder: &Path, name: &str, text: &str) {
    fs::write(folder.join(name), text).expect("written");
}

fn firing(snapshot: &RulesSnapshot) -> bool {
    snapshot.groups.iter().flat_map(|group| &group.rules).any(|rule| match &rule.kind {
        RuleKind::Alerting { alerts, .. } => alerts.iter().any(|alert| alert.state == AlertState::Firing),
        RuleKind::Recording => false,
    })
}

fn names(snapshot: &RulesSnapshot) -> Vec<&str> {
    snapshot.groups.iter().map(|group| group.name.as_str()).collect()
}

fn active_at(snapshot: &RulesSnapshot, rule: usize) -> Timestamp {
    match &snapshot.groups[0].rules[rule].kind {
        RuleKind::Alerting { alerts, .. } => alerts[0].active_at,
        RuleKind::Recording => panic!("an alert"),
    }
}

#[tokio::test]
async fn an_alert_fires_and_is_counted() {
    let agent = Agent::start(&[("a.yml", FIRING)]);
    agent.until(firing).await;
    assert_eq!(agent.part(), (Condition::Ok, "1 rules in 1 groups".into()));
    assert_eq!(agent.metric("sidewatch_alerts", "firing"), Some(1.0));
    assert_eq!(agent.metric("sidewatch_rules_last_reload_successful", ""), Some(1.0));
    assert!(agent.metric("prometheus_rule_evaluations_total", ";g") >= Some(1.0));
    assert_eq!(agent.metric("prometheus_rule_evaluation_failures_total", ";g"), Some(0.0));
    assert_eq!(agent.metric("prometheus_rule_group_rules", ";g"), Some(1.0));
    assert_eq!(agent.history.series_count(), 3, "up, ALERTS and ALERTS_FOR_STATE");
    agent.stop().await;
}

#[tokio::test]
async fn a_broken_file_leaves_the_running_rules_in_place() {
    let agent = Agent::start(&[("a.yml", FIRING)]);
    let since = active_at(&*agent.until(firing).await, 0);
    write(agent.folder.path(), "a.yml", "groups: [{name: other}]");
    write(agent.folder.path(), "b.yml", "groups: [{name: x, rules: [{alert: B, expr: 'sum('}]}]");
    let error = agent.handle.reload(None).await.expect_err("b.yml is broken");
    let ReloadError::Broken { problems } = error else { panic!("{error}") };
    assert!(problems[0].to_string().contains("b.yml:1:"), "{}", problems[0]);
    let snapshot = agent.until(|snapshot| !snapshot.load_errors.is_empty()).await;
    assert_eq!((names(&snapshot), active_at(&snapshot, 0)), (vec!["g"], since));
    assert_eq!(agent.part().0, Condition::Degraded);
    assert_eq!(agent.metric("sidewatch_rules_last_reload_successful", ""), Some(0.0));

    fs::remove_file(agent.folder.path().join("b.yml")).expect("removed");
    let reloaded = agent.handle.reload(None).await.expect("valid again");
    assert_eq!(reloaded, Reloaded { files: 1, groups: 1, rules: 0 });
    let snapshot = agent.until(|snapshot| names(snapshot) == ["other"]).await;
    assert!(snapshot.load_errors.is_empty());
    assert_eq!(agent.part().0, Condition::Ok);
    assert_eq!(agent.metric("prometheus_rule_evaluations_total", ";g"), None, "the group is gone");
    assert_eq!(agent.metric("sidewatch_alerts", "firing"), None, "its alerts are gone");
    agent.stop().await;
}

#[tokio::test]
async fn a_reload_keeps_the_state_of_what_stays() {
    let agent = Agent::start(&[("a.yml", FIRING)]);
    let since = active_at(&*agent.until(firing).await, 0);
    write(agent.folder.path(), "a.yml", &FIRING.replace("rules: [", "rules: [{record: r, expr: '1'}, "));
    agent.handle.reload(None).await.expect("valid");
    let changed = agent.until(|snapshot| snapshot.groups[0].rules.len() == 2).await;
    assert_eq!(active_at(&changed, 1), since);
    agent.until(|snapshot| snapshot.groups[0].rules[0].health == RuleHealth::Ok).await;
    agent.stop().await;
}

#[tokio::test]
async fn at_the_first_start_the_files_that_load_run() {
    let agent = Agent::start(&[("a.yml", FIRING), ("b.yml", "nonsense")]);
    let snapshot = agent.until(firing).await;
    assert_eq!((names(&snapshot), snapshot.load_errors.len()), (vec!["g"], 1));
    assert_eq!(agent.part().0, Condition::Degraded);
    assert!(agent.board.missing().is_empty(), "ready");
    agent.stop().await;
}

#[tokio::test]
async fn the_agent_is_not_ready_only_while_no_file_has_loaded() {
    let agent = Agent::start(&[("b.yml", "nonsense")]);
    agent.until(|snapshot| !snapshot.load_errors.is_empty()).await;
    assert_eq!(agent.board.missing().len(), 1);
    assert!(agent.part().1.contains("b.yml:1:1"), "{:?}", agent.part());
    // Until some file loads, it is still the first start.
    write(agent.folder.path(), "a.yml", FIRING);
    agent.handle.reload(None).await.expect_err("b.yml is still broken");
    agent.until(firing).await;
    assert!(agent.board.missing().is_empty());
    agent.stop().await;
}

#[tokio::test]
async fn a_failing_rule_shows_on_the_board() {
    let agent = Agent::start(&[("a.yml", "groups: [{name: g, limit: 1, rules: [{record: r, expr: 'up or vector(1)'}]}]")]);
    agent.history.append(clock::now(), &[(Labels::from_pairs([("__name__", "up"), ("x", "1")]), 1.0)]);
    agent.until(|snapshot| snapshot.groups.iter().any(|group| matches!(group.rules[0].health, RuleHealth::Err(_)))).await;
    assert!(agent.part().1.contains("exceeded limit of 1"), "{:?}", agent.part());
    assert!(agent.metric("prometheus_rule_evaluation_failures_total", ";g") >= Some(1.0));
    agent.stop().await;
}

#[tokio::test]
async fn of_two_reloads_the_later_one_is_in_force() {
    let agent = Agent::start(&[]);
    let folders = [tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder")];
    let rules = "  - {alert: A, expr: 'up == 0 and up == 1 and up == 2'}\n".repeat(1_000);
    write(folders[0].path(), "a.yml", &format!("groups:\n- name: slow\n  rules:\n{rules}"));
    write(folders[1].path(), "b.yml", "groups: [{name: quick}]");
    let reload = |place: usize| {
        let packs = Packs::all(false);
        let config = Config { folder: Some(folders[place].path().to_owned()), packs, ..Config::default() };
        agent.handle.reload(Some((config, Externals::default())))
    };
    let (slow, quick) = tokio::join!(reload(0), reload(1));
    assert_eq!((slow.expect("valid").rules, quick.expect("valid").rules), (1_000, 0));
    agent.until(|snapshot| names(snapshot) == ["quick"]).await;
    assert_eq!(names(&agent.handle.snapshots().borrow()), ["quick"]);
    agent.stop().await;
}

#[tokio::test]
async fn a_renamed_group_goes_on_with_its_series_with_and_without_an_offset() {
    for offset in ["0s", "60s"] {
        let agent = Agent::start(&[]);
        agent.history.append(clock::now().plus_millis(-90_000), &[(Labels::from_pairs([("__name__", "up")]), 0.0)]);
        let rules = "rules: [{record: stays, expr: '1'}";
        let group = |name: &str, more: &str| format!("groups: [{{name: {name}, interval: 20ms, query_offset: {offset}, {rules}{more}]}}]");
        write(agent.folder.path(), "a.yml", &group("old", ", {record: goes, expr: '2'}"));
        agent.handle.reload(None).await.expect("valid");
        agent.until(|snapshot| snapshot.groups.first().is_some_and(|group| group.last_evaluation.is_some())).await;
        write(agent.folder.path(), "a.yml", &group("new", ""));
        agent.handle.reload(None).await.expect("valid");
        let last = |name: &str| {
            let matcher = crate::model::Matcher::new("__name__", crate::model::MatchOp::Equal, name).expect("valid");
            let now = clock::now();
            let found = history::Query::select(&agent.history, &[matcher], now.plus_millis(-300_000), now).expect("found");
            found.first().and_then(|window| window.samples.last().copied()).expect("a sample")
        };
        let ended = tokio::time::timeout(Duration::from_secs(10), async {
            while !crate::model::is_stale(last("goes").value) {
                tokio::task::yield_now().await;
            }
        });
        ended.await.expect("what is gone ends");
        let at = clock::now();
        agent.until(|snapshot| snapshot.groups.iter().any(|group| group.last_evaluation > Some(at))).await;
        assert!(!crate::model::is_stale(last("stays").value), "offset {offset}: the successor writes it");
        assert_eq!(agent.metric("sidewatch_rules_samples_refused_total", "out_of_order"), Some(0.0), "offset {offset}");
        agent.stop().await;
    }
}

#[tokio::test]
async fn however_many_groups_there_are_they_are_published_five_times_a_second() {
    let groups: Vec<String> = (0..100).map(|n| FIRING.replace("g,", &format!("g{n},")).replace("20ms", "100ms")).collect();
    let files: Vec<(String, &str)> = (0..).zip(&groups).map(|(n, text): (usize, _)| (format!("{n}.yml"), text.as_str())).collect();
    let agent = Agent::start(&files.iter().map(|(name, text)| (name.as_str(), *text)).collect::<Vec<_>>());
    agent.until(firing).await;
    let mut snapshots = agent.handle.snapshots();
    let rounds = || agent.metric("prometheus_rule_group_iterations_total", ";g7").unwrap_or_default();
    snapshots.mark_unchanged();
    let (started, before, mut published) = (clock::monotonic(), rounds(), 0);
    while rounds() < before + 8.0 {
        snapshots.changed().await.expect("runs");
        published += 1;
        assert!(started.elapsed() < Duration::from_secs(20), "{} rounds", rounds() - before);
    }
    let most = started.elapsed().div_duration_f64(PUBLISHED) + 1.0;
    assert!(f64::from(published) <= most, "{published} in {:?}", started.elapsed());
    agent.stop().await;
}

#[tokio::test]
async fn a_clock_that_was_set_back_is_noticed_before_rules_are_evaluated() {
    let agent = Agent::start(&[("a.yml", &FIRING.replace("up ==", "q =="))]);
    // Till just now the clock was ten minutes ahead.
    let wall = clock::now().plus_millis(600_000);
    agent.history.heed(Moment { wall, steady: clock::monotonic() });
    agent.history.append(wall, &[(Labels::from_pairs([("__name__", "q")]), 0.0)]);
    agent.until(firing).await;
    agent.stop().await;
}

#[tokio::test]
async fn templates_see_the_external_labels_of_a_reload() {
    let rules = "rules: [{alert: A, expr: up == 0, annotations: {zone: '{{ $externalLabels.zone }} {{ $externalURL }}'}}]";
    let agent = Agent::start(&[("a.yml", &format!("groups: [{{name: g, interval: 20ms, {rules}}}]"))]);
    let zone = |snapshot: &RulesSnapshot| match &snapshot.groups.first()?.rules[0].kind {
        RuleKind::Alerting { alerts, .. } => alerts.first()?.annotations.get("zone").map(ToOwned::to_owned),
        RuleKind::Recording => None,
    };
    agent.until(|snapshot| zone(snapshot).as_deref() == Some(" ")).await;
    let config = Config { folder: Some(agent.folder.path().to_owned()), packs: Packs::all(false), ..Config::default() };
    let externals = Externals { labels: Labels::from_pairs([("zone", "z")]), url: "http://h/".into() };
    agent.handle.reload(Some((config, externals))).await.expect("valid");
    agent.until(|snapshot| zone(snapshot).as_deref() == Some("z http://h/")).await;
    agent.handle.reload(None).await.expect("valid");
    assert_eq!(zone(&agent.handle.snapshots().borrow()).as_deref(), Some("z http://h/"));
    agent.stop().await;
}

#[tokio::test]
async fn a_panic_while_rule_files_are_read_is_what_is_wrong_with_them() {
    let config = Config { folder: Some("/x".into()), ..Config::default() };
    let set = read(config, |_| panic!("on purpose")).await;
    let told: Vec<_> = set.problems.iter().map(ToString::to_string).collect();
    assert_eq!((told, set.loaded, set.broken), (vec!["/x:1:1: cannot be read: the work panicked: on purpose".to_owned()], 0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_reload_that_takes_long_is_answered_and_told_of() {
    let (reloads, _nobody) = mpsc::channel(1);
    let handle = Handle { reloads, snapshots: watch::channel(Arc::default()).1 };
    for _ in 0..3 {
        assert!(matches!(handle.reload(None).await, Err(ReloadError::Slow)));
    }
    assert_eq!([true, false].map(|none_loaded| reading(none_loaded, READING).0), [Condition::Failed, Condition::Degraded]);
}

#[test]
fn slots_that_are_missed_count_while_an_evaluation_hangs() {
    let (stop, _) = watch::channel(false);
    let mut turn = Turn { stop, slot: Arc::new(AtomicI64::new(0)), interval_millis: 100, missed: 0, counted: 0 };
    assert_eq!(turn.misses(Timestamp::from_millis(1_000_000)), 0, "it waits for its slot");
    turn.slot.store(1_000, Ordering::Relaxed);
    let misses = [900, 1_000, 1_199, 1_200, 1_250, 1_500].map(|millis| turn.misses(Timestamp::from_millis(millis)));
    assert_eq!((misses, turn.missed), ([0, 0, 0, 1, 0, 3], 4));
}
