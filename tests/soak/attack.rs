//! A sender that puts something random into a label.

use std::io::Write as _;
use std::time::Duration;

use crate::ONE_IN;
use crate::stage::{Setup, until, until_within};

const EVENTS: u64 = 1_000_000 / ONE_IN;
/// What the attack may add to what is resident, in KiB, however many events it has: the 16 MiB that a session may remember by its
/// own account (about twice that with the allocator), 10,000 series, their samples in history, and scrapes of them.
const MORE_KIB_MAX: u64 = 96 << 10;

#[test]
fn a_random_label_leaves_totals_right_memory_bounded_and_others_alone() {
    let agent = Setup::new().start();
    let before = agent.status_kib("VmRSS");
    let (mut attacker, mut other) = (agent.stream(), agent.stream());
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut lines = Vec::new();
    for number in 0..EVENTS {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        writeln!(lines, "attacked.logins:1|c|#route:/login,method:POST,user:{state:016x}").unwrap();
        if lines.len() > 60_000 || number + 1 == EVENTS {
            attacker.write_all(&lines).unwrap();
            lines.clear();
        }
        if number % 100 == 0 {
            writeln!(other, "calm.orders:1|c|#shop:{}", number / 100 % 50).unwrap();
        }
    }
    let calm = EVENTS.div_ceil(100) as f64;
    let metrics = until_within(Duration::from_mins(2), "every event to be counted", || {
        let metrics = agent.metrics();
        let seen = (metrics.sum("attacked_logins_total", &["route=\"/login\"", "method=\"POST\""]), metrics.sum("calm_orders_total", &[]));
        assert!(seen.0 <= EVENTS as f64 && seen.1 <= calm, "more than was sent: {seen:?}");
        (seen == (EVENTS as f64, calm)).then_some(metrics)
    });
    let (resident, most) = (agent.status_kib("VmRSS"), agent.status_kib("VmHWM"));
    let series = metrics.text().lines().filter(|line| line.starts_with("attacked_logins_total{")).count();
    println!(
        "{EVENTS} events with a random label each: {series} series, the total is right; resident {} MiB before, {} after, {} at most",
        before >> 10,
        resident >> 10,
        most >> 10
    );
    assert!(most - before <= MORE_KIB_MAX, "{before} KiB before, {most} KiB at most");
    // What explodes goes to one series that says so, and its other labels stay what they are.
    let overflow = metrics.sum("attacked_logins_total", &["user=\"__other__\"", "route=\"/login\"", "method=\"POST\""]);
    assert_eq!(overflow, EVENTS as f64 - (series - 1) as f64);
    // The others have every series that they had.
    assert_eq!(metrics.sum("calm_orders_total", &["shop=\"__other__\""]), 0.0);
    assert_eq!(metrics.sum("calm_orders_total", &["shop=\"7\""]), calm / 50.0);
    // And the label is named.
    let label = ["metric=\"attacked_logins_total\"", "label=\"user\""];
    until("the metric that names the label", || (agent.metrics().sum("sidewatch_registry_collapsed_labels", &label) > 0.0).then_some(()));
    assert_eq!(agent.metrics().sum("sidewatch_registry_collapsed_labels", &["label=\"shop\""]), 0.0);
    until("a line in the log that names the label", || {
        agent.log().lines().any(|line| line.contains("attacked_logins_total") && line.contains("user")).then_some(())
    });
}
