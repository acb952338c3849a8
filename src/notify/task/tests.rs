//! What the loop does with answers, with a disk that is slow, and at the end.

use super::*;
use crate::model::{AlertState, Part, RuleHealth};
use crate::notify::ledger::tests::{alert, snapshot};
use crate::notify::silence::{Draft, parse_matcher};

const HOOK: &str = "webhooks: [{name: w, url: 'http://127.0.0.1:1/'}]";

type Rules = watch::Sender<Arc<RulesSnapshot>>;

/// The notifications of an agent with these targets, and the rules that they look at.
fn state(notify: &str, folder: &Path) -> (State, Rules) {
    let config: Config = serde_yaml::from_str(notify).expect("readable");
    let config = watch::Sender::new(Arc::new(config)).subscribe();
    let rules = Rules::default();
    let service = new(Needs {
        silences: Silences::open(None, config.clone()),
        config,
        rules: rules.subscribe(),
        telemetry: Telemetry::new(),
        board: Board::new(),
        store: Store::open(folder).map_err(|error| chain(&error)),
    });
    let mut state = Arc::into_inner(service.0).expect("nobody else has it").into_inner();
    state.reconfigure();
    (state, rules)
}

/// So many alerts fire.
fn fire(state: &mut State, rules: &Rules, evaluated: i64, alerts: usize) {
    let alerts = (0..alerts).map(|number| alert(&number.to_string(), AlertState::Firing, 5)).collect();
    rules.send_replace(Arc::new(snapshot(Some(evaluated), RuleHealth::Ok, alerts, Vec::new(), false)));
    state.look();
}

/// The next message goes out, and is answered as it should be: the alerts that it was about.
async fn tell(state: &mut State, answer: impl FnOnce(&[Id]) -> Verdict) -> Option<Vec<Id>> {
    let mut work = FuturesUnordered::new();
    state.tell(clock::now(), &work);
    let Some(Event::Answered { target, what, .. }) = work.next().await else { return None };
    let about: Vec<Id> = what.iter().map(|(id, _)| *id).collect();
    let verdict = answer(&about);
    state.answered(&target, &what, verdict, 0.0);
    Some(about)
}

fn part(state: &mut State, name: &str) -> Option<Part> {
    state.show(clock::now());
    state.board.parts().into_iter().find(|part| part.name == name)
}

#[tokio::test]
async fn what_is_not_taken_together_is_told_in_parts_and_one_that_never_is_shows_as_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut state, rules) = state(HOOK, folder.path());
    fire(&mut state, &rules, 5, 5);
    assert_eq!(part(&mut state, "refused:w"), None);
    // It takes two at once, and one of them never.
    let answer = |about: &[Id]| Verdict::of_status(if about.len() > 2 || about.contains(&3) { 413 } else { 200 }, "", None);
    let mut told = Vec::new();
    while let Some(about) = tell(&mut state, answer).await {
        told.push(about);
    }
    assert_eq!(told, [vec![0, 1, 2, 3, 4], vec![0, 1], vec![2, 3, 4], vec![2], vec![3, 4], vec![3], vec![4]]);
    let refused = part(&mut state, "refused:w").expect("shown");
    assert_eq!((refused.condition, refused.detail.as_str()), (Condition::Degraded, "it answers 413; 1 notifications were refused"));
    assert_eq!(part(&mut state, "notify:w").map(|part| part.condition), Some(Condition::Ok), "it can be reached");
    assert_eq!(state.ledger.waiting("w"), 0);
}

#[tokio::test]
async fn what_was_given_up_because_too_much_waited_is_told_afterwards_where_it_still_fires() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut state, rules) = state(&format!("{{queue_max: 3, {HOOK}}}"), folder.path());
    fire(&mut state, &rules, 5, 5);
    let taken = |_: &[Id]| Verdict::Delivered;
    assert_eq!(tell(&mut state, taken).await, Some(vec![2, 3, 4]));
    fire(&mut state, &rules, 10, 5);
    assert_eq!(tell(&mut state, taken).await, Some(vec![0, 1]));
    fire(&mut state, &rules, 15, 5);
    assert_eq!(tell(&mut state, taken).await, None);
}

#[tokio::test]
async fn what_was_given_up_is_told_afterwards_though_something_else_is_held_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut state, rules) = state(&format!("{{queue_max: 3, {HOOK}}}"), folder.path());
    let now = clock::now();
    let matchers = vec![parse_matcher("x=4").expect("a matcher")];
    let (created_by, comment) = ("me".to_owned(), "known".to_owned());
    let silence = Draft { id: None, matchers, starts_at: now, ends_at: now + Duration::from_hours(1), created_by, comment };
    state.silences.set(silence).expect("valid");
    state.hold_back(clock::now());
    fire(&mut state, &rules, 5, 5);
    let taken = |_: &[Id]| Verdict::Delivered;
    assert_eq!(tell(&mut state, taken).await, Some(vec![2, 3]));
    assert_eq!(tell(&mut state, taken).await, Some(vec![0, 1]));
    assert_eq!((tell(&mut state, taken).await, state.ledger.waiting("w")), (None, 1));
}

#[tokio::test(start_paused = true)]
async fn at_the_end_the_disk_gets_what_has_come_up_while_it_was_slow() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut state, rules) = state(HOOK, folder.path());
    let work = FuturesUnordered::new();
    let store = state.store.take().expect("open");
    state.writing_since = Some(clock::now());
    let slow = tokio::time::sleep(LAST_WORDS * 2).map(|()| Event::Kept(Ok((store, Ok(())))));
    work.push(slow.boxed());
    // Nobody answers.
    work.push(futures_util::future::pending().boxed());
    state.targets[0].busy = true;
    fire(&mut state, &rules, 5, 1);
    Running { state: &mut state, work }.end().await;
    let (records, damaged) = Store::open(folder.path()).expect("a folder").load().expect("readable");
    assert_eq!((Ledger::replay(records).waiting("w"), damaged), (1, 0));
}

#[tokio::test]
async fn a_disk_that_hangs_is_shown_and_what_waits_for_it_does_not_grow() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut state, rules) = state(HOOK, folder.path());
    fire(&mut state, &rules, 5, 3);
    let store = state.store.take().expect("open");
    let now = clock::now();
    state.writing_since = Some(now - DISK_PAUSE);
    let shown = part(&mut state, PART).expect("shown");
    assert_eq!((shown.condition, shown.detail.as_str()), (Condition::Degraded, "in memory alone: the disk takes too long"));
    state.remember(vec![Record::Gone { target: "nobody".into() }; UNKEPT_MAX]);
    assert_eq!(state.unkept, []);
    // Once it takes something it gets all of it.
    let mut work = FuturesUnordered::new();
    state.handle(Event::Kept(Ok((store, Ok(())))));
    state.keep(now, &work);
    let kept = work.next().await.expect("a write");
    state.handle(kept);
    assert_eq!(part(&mut state, PART).map(|part| part.condition), Some(Condition::Ok));
    let (records, _) = Store::open(folder.path()).expect("a folder").load().expect("readable");
    assert_eq!(records, state.ledger.records());
    state.keep(now, &work);
    assert!(work.is_empty(), "once");
}
