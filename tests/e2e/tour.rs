//! What a new user does first: starts the agent without a configuration, sends an event, and looks for it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::stage::{Agent, Exposition, run};

/// An ordinary user, by number.
const NOBODY: &str = "65534";

#[test]
fn an_ordinary_user_without_a_configuration_sends_an_event_and_sees_it_everywhere() {
    let folder = tempfile::Builder::new().prefix("sidewatch-tour-").tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::copy(Agent::program(), folder.path().join("sidewatch")).unwrap();
    let mut command = Command::new("unshare");
    command.arg("--net");
    if rustix::process::geteuid().is_root() {
        command.env("SIDEWATCH_NOBODY", NOBODY);
    } else {
        command.args(["--user", "--map-root-user"]);
    }
    if !run(Command::new("unshare").args(command.get_args()).arg("true")).status.success() {
        eprintln!("SKIPPED: a network namespace is not permitted here");
        return;
    }
    let output = run(command.arg("bash").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/tour.sh")).arg(folder.path()));
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap_or_default();
    assert!(output.status.success(), "{}\n{}\n{}", String::from_utf8_lossy(&output.stderr), read("said"), read("log"));

    let query = read("query");
    assert!(query.starts_with("orders_total{") && query.contains("shop=\"a\"") && query.ends_with("  3\n"), "{query}");
    let json: serde_json::Value = serde_json::from_str(&read("query.json")).unwrap();
    assert_eq!(json["data"]["result"][0]["value"][1], "1", "{json}");
    let metrics = Exposition::parse(&read("metrics"));
    assert_eq!(metrics.sum("orders_total", &["shop=\"a\""]), 3.0);
    assert_eq!(metrics.sum("http_server_request_duration_seconds_count", &["http_route=\"/items/{id}\""]), 1.0);
    assert!(metrics.sum("node_memory_MemTotal_bytes", &[]) > 0.0);

    // How well this machine is just now does not matter; that it is said does.
    let report: serde_json::Value = serde_json::from_str(&read("health.json")).unwrap();
    assert!(report["score"].is_number(), "{report}");
    assert!(["healthy ", "degraded ", "critical "].iter().any(|state| read("health").starts_with(state)), "{}", read("health"));

    assert_eq!((read("status").trim(), read("health-without-agent").trim()), ("0", "3"), "{}", read("log"));
    assert!(!read("left").contains(".config"), "{}", read("left"));
    let mut trouble = read("log");
    trouble = trouble.lines().filter(|line| !line.contains(" INFO ") && !line.contains("health changed")).collect();
    assert_eq!(trouble, "");
}
