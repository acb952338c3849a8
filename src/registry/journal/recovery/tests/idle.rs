//! Idle series and the time without events, across restarts.

use super::*;

#[test]
fn a_series_that_has_retired_goes_on_after_a_restart() {
    for saved in [false, true] {
        let mut desk = Desk::new();
        desk.count("a", 2.0);
        idle(&mut desk, 2 * HOUR);
        assert_eq!((desk.events.series(), desk.events.retired()), (0, 1));
        if saved {
            desk.save(1, false, |_| {});
            desk.write();
        }
        desk.time += 3 * HOUR;
        desk.restart();
        assert_eq!((desk.events.series(), desk.events.retired()), (0, 1), "it is not shown in between");
        desk.save(1, false, |_| {});
        desk.write();
        desk.restart();
        desk.count("a", 1.0);
        assert_eq!(total(&desk.events, "a"), Some(3.0));
        desk.write();
        desk.restart();
        assert_eq!(total(&desk.events, "a"), Some(3.0));
    }
}

#[test]
fn restarts_make_nothing_fresh_and_nothing_idle() {
    let mut desk = Desk::new();
    desk.count("a", 2.0);
    for _ in 0..3 {
        idle(&mut desk, 17 * 60_000);
        assert_eq!(desk.events.series(), 1, "nobody looked while the agent was away");
        desk.time += 5 * HOUR;
        desk.restart();
    }
    idle(&mut desk, 8 * 60_000);
    assert_eq!((desk.events.series(), desk.events.retired()), (0, 1), "nothing has changed it for an hour all the same");
}

#[test]
fn time_that_was_no_idle_time_stays_so() {
    const MINUTE: i64 = 60_000;
    // Two minutes of any pause are idle time.
    for (before, pause) in [(30 * MINUTE, 5 * HOUR), (50 * MINUTE, 10 * MINUTE)] {
        let mut desk = Desk::new();
        desk.count("a", 1.0);
        desk.count("b", 1.0);
        idle(&mut desk, before);
        // The machine sleeps, and one of two series is saved before it wakes.
        let mut slept = false;
        desk.save(1, false, |desk| {
            if !std::mem::replace(&mut slept, true) {
                desk.time += pause;
                idle(desk, 1);
            }
        });
        desk.write();
        desk.restart();
        idle(&mut desk, HOUR - before - 3 * MINUTE);
        assert_eq!(desk.events.series(), 2);
        idle(&mut desk, 2 * MINUTE);
        assert_eq!(desk.events.retired(), 2);
    }
}

#[test]
fn the_oldest_are_given_up_first_after_a_restart_as_well() {
    let mut desk = Desk::new();
    ["a", "b", "a"].into_iter().for_each(|label| desk.count(label, 1.0));
    desk.write();
    idle(&mut desk, 2 * HOUR);
    desk.restart();
    assert_eq!(desk.events.retired(), 2);
    let enough = desk.events.bytes().total() - 100;
    desk.events.relieve(&Config { bytes_max: enough / 7 * 8, ..Config::default() }, 100);
    assert_eq!(desk.events.retired(), 1);
    ["a", "b"].into_iter().for_each(|label| desk.count(label, 1.0));
    assert_eq!((total(&desk.events, "a"), total(&desk.events, "b")), (Some(3.0), Some(1.0)));
}
