//! Many sessions that remember much.

use super::*;
use crate::ingest::room::SHARE_BYTES;

/// Lines of so many counters of a sender.
fn lines(sender: usize, count: usize) -> String {
    let lines = (0..count).map(|metric| format!("requests:1|c|#sender:{sender},route:/{metric}\n"));
    lines.collect()
}

fn total(fixture: &Fixture) -> f64 {
    let families = fixture.registry.families();
    let requests = families.iter().filter(|family| &*family.name == "requests_total").flat_map(|family| &family.series);
    requests.map(|series| if let Value::Number(total) = series.value { total } else { f64::NAN }).sum()
}

fn take(fixture: &Fixture, intake: &mut Intake, payload: &str) {
    intake.take(payload.as_bytes(), at(1_000_000), &fixture.book);
}

#[test]
fn sessions_stay_within_the_room_for_all_and_lose_nothing() {
    const SENDERS: usize = 5;
    let sessions_bytes_max = 400_000;
    let fixture = fixture(&Config { sessions_bytes_max, ..Config::default() });
    let mut intakes: Vec<_> = (0..SENDERS).map(|_| fixture.shared.intake(JSON)).collect();
    let mut most = 0;
    for _ in 0..3 {
        for (sender, intake) in intakes.iter_mut().enumerate() {
            take(&fixture, intake, &lines(sender, 500));
            most = most.max(fixture.shared.room.taken());
        }
    }
    intakes.iter_mut().for_each(|intake| intake.flush(at(1_000_000), &fixture.book));
    assert_eq!(total(&fixture), (3 * SENDERS * 500) as f64);
    assert!(most <= sessions_bytes_max + SENDERS * SHARE_BYTES, "{most}");
    fixture.shared.look(at(1_000_000));
    assert!(fixture.own("sidewatch_ingest_sessions_curtailed_total", "") > 0.0);
    drop(intakes);
    assert_eq!(fixture.shared.room.taken(), 0);
}

#[test]
fn a_silent_session_gives_its_room_to_others() {
    let fixture = fixture(&Config::default());
    let (mut silent, mut small) = (fixture.shared.intake(JSON), fixture.shared.intake(JSON));
    take(&fixture, &mut silent, &lines(0, 500));
    take(&fixture, &mut small, &lines(1, 10));
    [&mut silent, &mut small].into_iter().for_each(|intake| intake.flush(at(1_000_000), &fixture.book));
    let both = fixture.shared.room.taken();
    assert!(silent.has_much() && !small.has_much());
    fixture.shared.room.limit(both);
    [&mut small, &mut silent].into_iter().for_each(|intake| intake.flush(at(1_000_000), &fixture.book));
    let left = fixture.shared.room.taken();
    assert!(0 < left && left < SHARE_BYTES, "{left}");
    fixture.shared.look(at(1_000_000));
    assert_eq!(fixture.own("sidewatch_ingest_sessions_bytes", ""), left as f64);
    assert_eq!(fixture.own("sidewatch_ingest_sessions_curtailed_total", ""), 1.0);
}
