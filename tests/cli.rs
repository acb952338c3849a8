//! The command line as its user sees it: what each page of tests/cli shows is what the program says.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::disallowed_methods)] // a test may fail, and waits

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

/// Pages in which no agent runs. `TRYCMD=overwrite cargo test --test cli` writes them anew.
#[test]
fn the_pages_show_what_the_program_says() {
    let cases = trycmd::TestCases::new();
    // The width of the help is that of the terminal.
    cases.env("COLUMNS", "100");
    // Nobody's configuration.
    cases.env("XDG_CONFIG_HOME", "/nonexistent").env("XDG_STATE_HOME", "/nonexistent").case("tests/cli/*.trycmd");
}

/// An agent on sockets in a folder of its own, whose log nobody reads.
struct Unread {
    folder: tempfile::TempDir,
    child: Child,
}

impl Unread {
    fn start() -> Self {
        Self::start_with("")
    }

    /// With lines more in the configuration.
    fn start_with(more: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().display();
        let configuration = format!(
            "state: {path}/state\ningest:\n  stream: {{path: {path}/events.sock}}\n  datagram: {{enabled: false}}\n\
             rules: {{folder: {path}/rules}}\nhttp: {{listen: [\"unix:{path}/http.sock\"]}}\n{}",
            more.replace('@', &format!("{path}/"))
        );
        std::fs::write(folder.path().join("sidewatch.yml"), configuration).expect("written");
        let child = Self::spawn(&folder);
        let agent = Self { folder, child };
        agent.wait_for("up", |_| true);
        agent
    }

    fn spawn(folder: &tempfile::TempDir) -> Child {
        sidewatch(folder, &["run"]).stdout(closed()).stderr(closed()).spawn().expect("started")
    }

    /// Asks until the answer is as wanted.
    fn wait_for(&self, expression: &str, wanted: impl Fn(&str) -> bool) -> String {
        let begin = Instant::now();
        loop {
            let (answered, said) = self.run(&["query", expression], true);
            if answered && wanted(&said) {
                return said;
            }
            assert!(begin.elapsed() < Duration::from_secs(20), "{expression}: {said}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Stops the agent as its service manager does.
    fn stop(&mut self) {
        let process = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(process, rustix::process::Signal::TERM).expect("there");
        assert!(self.child.wait().expect("there").success());
    }

    /// Whether a command succeeds, and what it says on both outputs when somebody reads them.
    fn run(&self, arguments: &[&str], read: bool) -> (bool, String) {
        let mut command = sidewatch(&self.folder, arguments);
        if !read {
            command.stdout(closed()).stderr(closed());
        }
        let output = command.output().expect("started");
        assert!(output.status.code().is_some_and(|code| code < 100), "{arguments:?} read {read}: {output:?}");
        (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        // It may have been stopped.
        let _gone = self.child.kill();
        self.child.wait().expect("there");
    }
}

fn sidewatch(folder: &tempfile::TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidewatch"));
    command.arg("--config").arg(folder.path().join("sidewatch.yml")).args(arguments).stdin(Stdio::null());
    command
}

/// The end of a pipe that nobody reads.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

#[test]
fn no_command_minds_that_nobody_reads_what_it_says() {
    let agent = Unread::start();
    let socket = agent.folder.path().join("events.sock").display().to_string();
    let bad = agent.folder.path().join("bad.yml");
    std::fs::write(&bad, "groups: 1\n").expect("written");
    let bad = bad.display().to_string();
    for arguments in [
        &["--help"] as &[&str],
        &["--version"],
        &["check"],
        &["check", "--print-schema"],
        &["check", &bad],
        &["query", "up"],
        &["query", "up", "--json"],
        &["query", "up", "--range", "1m"],
        &["query", "rate(node_load1[1m])"],
        &["query", "up{"],
        &["health"],
        &["health", "--json"],
        &["completions", "bash"],
        &["send", "count", "orders", "--socket", &socket],
        &["send", "count", "orders", "--socket", "/nonexistent"],
    ] {
        // Its outcome is the same either way, and it says something when somebody reads.
        let (content, said) = agent.run(arguments, true);
        assert!(arguments[0] == "send" && content || !said.is_empty(), "{arguments:?}");
        assert_eq!(agent.run(arguments, false).0, content, "{arguments:?}: {said}");
    }
}

#[test]
fn what_was_probably_not_meant_is_told() {
    let agent = Unread::start_with("control: {path: @control.sock}\n");
    let path = |name: &str| agent.folder.path().join(name).display().to_string();
    for other in ["control.sock", "http.sock"] {
        let (sent, said) = agent.run(&["send", "count", "orders", "--socket", &path(other)], true);
        assert!(!sent && said.contains("it is another one (events.sock)"), "{other}: {said}");
    }
    agent.wait_for("prometheus_rule_group_rules", |said| said.contains("pack:host"));
    let (made, said) = agent.run(&["silence", "add", "HostCpuHihg", "--duration", "1h", "--socket", &path("control.sock")], true);
    let lines: Vec<_> = said.lines().collect();
    assert!(made && lines.len() == 3 && lines[0].len() == 36, "{said}");
    assert!(
        lines[1].starts_with("note: there is no rule whose alert has a name for alertname=\"HostCpuHihg\"; did you mean HostCpuHigh?"),
        "{said}"
    );
    assert_eq!(lines[2], "note: no alert that fires now has these labels");
    let (made, said) = agent.run(&["silence", "add", "HostCpuHigh", "--duration", "0s", "--socket", &path("control.sock")], true);
    assert!(!made && said.contains("a silence has to last"), "{said}");
    let tests = path("tests.yml");
    std::fs::write(&tests, "tests: [{name: a, interval: 1m, promql_expr_test: [{expr: '1', exp_samples: [{labels: '{}', value: 1}]}]}]")
        .expect("written");
    assert_eq!(agent.run(&["test", "rules", &tests, "--run", "a"], true), (true, format!("Unit Testing:  {tests}\n  SUCCESS\n\n")));
    let (passed, said) = agent.run(&["test", "rules", &tests, "--run", "none"], true);
    assert!(!passed && said.contains("there is no test of that name"), "{said}");
}

#[test]
fn a_shell_completes_the_command_line() {
    let folder = tempfile::tempdir().expect("a folder");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = sidewatch(&folder, &["completions", shell]).output().expect("started");
        let script = String::from_utf8(output.stdout).expect("a text");
        assert!(output.status.success() && script.contains("backtest") && script.contains("silence"), "{shell}: {script}");
        std::fs::write(folder.path().join(shell), script).expect("written");
    }
    let complete = |words: &str| {
        let words: Vec<_> = words.split('|').collect();
        let (line, [.., before, last]) = (words.join("' '"), words.as_slice()) else { panic!("two words at least") };
        let ask = format!(
            "set -u; source ./bash; COMP_WORDS=('{line}'); COMP_CWORD={}; _sidewatch sidewatch '{last}' '{before}'; echo ${{COMPREPLY[@]}}",
            words.len() - 1
        );
        let output = Command::new("bash").args(["--norc", "-c", &ask]).current_dir(folder.path()).output().expect("bash is there");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("a text").trim_end().to_owned()
    };
    assert_eq!(complete("sidewatch|si"), "silence");
    assert_eq!(complete("sidewatch|silence|ex"), "expire");
    assert_eq!(complete("sidewatch|check|--print-s"), "--print-schema");
    assert!(complete("sidewatch|check|--print-pack|").contains("latency"));
}

#[test]
fn whoever_answers_instead_of_the_agent_is_quoted() {
    let folder = tempfile::tempdir().expect("a folder");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let other = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("asked");
        let _some = stream.read(&mut [0; 1000]).expect("asked");
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 11\r\n\r\nno access\n\n").expect("answered");
    });
    let output = sidewatch(&folder, &["query", "up", "--url", &url]).output().expect("started");
    other.join().expect("answered");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("sidewatch: what answered is not the query API: 403 Forbidden: no access\n"), "{said}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn what_cannot_be_written_for_another_reason_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
    let output = sidewatch(&folder, &["check", "--print-schema"]).stdout(full).output().expect("started");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.starts_with("sidewatch: cannot write to standard output: No space left on device"), "{said}");
}

/// Every file below, with its bytes and the time of its last change.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>, SystemTime)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("readable") {
        let entry = entry.expect("readable");
        let about = entry.metadata().expect("there");
        if about.is_dir() {
            files.extend(contents(&entry.path()));
        } else {
            files.push((entry.path(), std::fs::read(entry.path()).expect("readable"), about.modified().expect("known")));
        }
    }
    files.sort();
    files
}

#[test]
fn what_an_agent_has_saved_answers_as_the_agent_did() {
    let mut agent = Unread::start_with("history: {resolution: 200ms}\npromql: {lookback: 1m}\n");
    agent.wait_for("count_over_time(up{job=\"node\"}[1m]) > 6", |said| said != "no data\n");
    let at = agent.wait_for("max(timestamp(up{job=\"node\"})) - 0.4", |_| true);
    let at = at.trim().rsplit(' ').next().expect("a value").to_owned();
    let questions: [&[&str]; 8] = [
        &["up"],
        &["sort(node_load1)", "--json"],
        &["topk(3, rate(node_cpu_seconds_total[2s]))"],
        &["sum by (mode) (node_cpu_seconds_total)", "--range", "3s", "--step", "200ms"],
        &["count by (job) ({__name__=~\".+\"})", "--range", "1s", "--step", "200ms", "--json"],
        &["time()", "--json"],
        &["rate(node_load1[2s])"],
        &["node_load1 + on() up"],
    ];
    let ask =
        |agent: &Unread, more: &[&str]| questions.map(|question| agent.run(&[&["query"], question, &["--at", &at], more].concat(), true));
    let running = ask(&agent, &[]);
    assert!(running.iter().all(|(_, said)| !said.contains("no data")), "{running:?}");
    assert!(running.iter().filter(|(answered, _)| *answered).count() == 7, "one is refused: {running:?}");
    agent.stop();

    let state = agent.folder.path().join("state").display().to_string();
    let before = contents(agent.folder.path());
    for folder in [&state, &format!("{state}/history")] {
        assert_eq!(ask(&agent, &["--history", folder]), running);
    }
    // Without a time it is that of the newest sample, which is said, and without an agent there is a hint.
    let output = sidewatch(&agent.folder, &["query", "time()", "--history", &state]).output().expect("started");
    let (value, said) = (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned());
    assert!(value.trim().parse::<f64>().expect("a number") >= at.parse::<f64>().expect("a number") + 0.4, "{value}");
    assert!(said.starts_with("evaluated up to 20") && said.ends_with(&format!("Z, the newest sample in {state}/history\n")), "{said}");
    let (answered, said) = agent.run(&["query", "up", "--range", "2s", "--step", "200ms", "--history", &state], true);
    assert!(answered && said.contains("up{instance="), "{said}");
    let (answered, said) = agent.run(&["query", "up"], true);
    let hint = format!("\n  what an agent has saved can be asked with --history {state}\n");
    assert!(!answered && said.contains("no agent answers") && said.ends_with(&hint), "{said}");
    assert!(contents(agent.folder.path()) == before, "something was written");

    // The folder is free for an agent, and one that runs is not in the way.
    agent.child = Unread::spawn(&agent.folder);
    agent.wait_for("up", |_| true);
    assert_eq!(ask(&agent, &["--history", &state]), running);
    assert_eq!(ask(&agent, &[]), running);
}

#[test]
fn where_no_history_is_saved_the_command_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("sidewatch.yml"), "").expect("written");
    let say = |path: &Path| {
        let output = sidewatch(&folder, &["query", "up", "--history"]).arg(path).output().expect("started");
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let path = folder.path();
    let heads = path.join("state/history/heads");
    assert_eq!(say(path), format!("sidewatch: no history is saved in {}\n", path.display()));
    assert_eq!(say(&path.join("x")), format!("sidewatch: cannot read {}/x: No such file or directory (os error 2)\n", path.display()));
    // Files of which nothing can be used are named; the question is answered.
    std::fs::create_dir_all(path.join("state/history")).expect("made");
    std::fs::write(&heads, "something else").expect("written");
    let output = sidewatch(&folder, &["query", "up", "--history"]).arg(path.join("state")).output().expect("started");
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), b"no data\n".as_slice()));
    let history = heads.parent().expect("a folder").display();
    let said = format!("{history}/heads: damaged from byte 0 on; only what stands before is used\n{history} has no samples\n");
    assert_eq!(String::from_utf8_lossy(&output.stderr), said);
}

#[test]
fn a_backtest_says_what_rules_would_have_done_over_what_is_saved_and_what_a_server_holds() {
    let mut agent = Unread::start_with("history: {resolution: 200ms}\n");
    agent.wait_for("count_over_time(up{job=\"node\"}[1m]) > 20", |said| said != "no data\n");
    let at = agent.wait_for("max(timestamp(up{job=\"node\"})) - 0.4", |_| true);
    let at = at.trim().rsplit(' ').next().expect("a value").to_owned();
    let begin = at.parse::<f64>().expect("a time") - 2.6;
    let rules = |name: &str, hold: &str| {
        let path = agent.folder.path().join(name);
        let expr = format!("up{{job=\"node\"}} == 1 and on () vector(time()) > {begin}");
        let rule = format!("{{alert: Up, expr: '{expr}', for: {hold}, annotations: {{s: '{{{{ $value }}}}'}}}}");
        std::fs::write(&path, format!("groups: [{{name: g, interval: 200ms, rules: [{rule}, {{alert: Never, expr: up == 2}}]}}]"))
            .expect("written");
        path.display().to_string()
    };
    let (new, old, copy) = (rules("new.yml", "1s"), rules("old.yml", "2s"), rules("copy.yml", "1s"));
    let absent = agent.folder.path().join("absent.yml");
    std::fs::write(&absent, "groups: [{name: g, interval: 1s, rules: [{alert: Blind, expr: 'absent(up)'}]}]").expect("written");
    let absent = absent.display().to_string();
    let url = format!("unix:{}/http.sock", agent.folder.path().display());
    let state = agent.folder.path().join("state").display().to_string();
    let replay = |agent: &Unread, more: &[&str]| {
        let (done, said) = agent.run(&[&["backtest", "--rules", &new, "--since", "3s", "--until", &at], more].concat(), true);
        assert!(done, "{said}");
        said
    };
    let versions = ["--against", &old];
    // Over a longer time than there is, what begins before all samples is not told.
    let (done, said) = agent.run(&["backtest", "--rules", &absent, "--since", "1h", "--url", &url], true);
    assert!(done && said.contains("history begins at 20") && said.contains("0 alerts fired, "), "{said}");
    let (done, said) = agent.run(&["backtest", "--rules", &absent, "--since", "1h", "--until", "1000000000", "--url", &url], true);
    assert!(!done && said.contains("has no samples between 2001-"), "{said}");
    let asked = [&["--json"][..], &versions[..]].map(|more| replay(&agent, &[&["--url", &url], more].concat()));
    agent.stop();
    let saved = [&["--json"][..], &versions[..]].map(|more| replay(&agent, &[&["--history", &state], more].concat()));
    assert_eq!(saved, asked, "the same past has the same result");

    let result: serde_json::Value = serde_json::from_str(&saved[0]).expect("JSON");
    let alerts = result["alerts"].as_array().expect("a list");
    assert_eq!(alerts.len(), 1, "{result}");
    assert_eq!((&alerts[0]["labels"]["alertname"], &alerts[0]["annotations"]["s"]), (&"Up".into(), &"1".into()));
    let time =
        |key: &str| alerts[0][key].as_str().and_then(|time| time.parse::<jiff::Timestamp>().ok()).map(jiff::Timestamp::as_millisecond);
    assert_eq!(time("firedAt").expect("it fires") - time("activeAt").expect("it is active"), 1_000);
    assert_eq!(time("endedAt"), None);
    let lines: Vec<&str> = saved[1].lines().collect();
    assert!(
        lines[0].starts_with("- 20") && lines[0].contains(" fired for ") && lines[0].contains(", pending 2s before: {alertname=\"Up\""),
        "{lines:?}"
    );
    assert!(lines[1].starts_with("+ 20") && lines[1].contains(" and goes on, pending 1s before: "), "{lines:?}");
    assert_eq!(lines[2], "0 alerts fire in both alike");
    // Another name of a file is no difference.
    let alike = replay(&agent, &["--history", &state, "--against", &copy]);
    assert!(alike.starts_with("1 alerts fire in both alike\n"), "{alike}");

    // Without a word where, it is the state folder of the configuration.
    let (done, said) = agent.run(&["backtest", "--rules", &new, "--since", "1h"], true);
    assert!(done && said.contains("Up") && said.contains("history begins at 20"), "{said}");
    let broken = agent.folder.path().join("broken.yml");
    std::fs::write(&broken, "groups: [{name: g, rules: [{alert: A}]}]").expect("written");
    let (done, said) = agent.run(&["backtest", "--rules", &broken.display().to_string(), "--since", "1h"], true);
    assert!(!done && said.contains("field 'expr' must be set"), "{said}");
}

#[test]
fn rules_are_checked_as_promtool_checks_them_and_against_what_is_there() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("sidewatch.yml"), "").expect("written");
    let check = |rules: &str, more: &[&str]| {
        let path = folder.path().join("rules.yml");
        std::fs::write(&path, rules).expect("written");
        let output = sidewatch(&folder, &[&["check", "rules"], more].concat()).arg(&path).output().expect("started");
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let twice = "groups: [{name: g, rules: [{record: a, expr: up}, {record: a, expr: up}]}]";
    let (code, said) = check(twice, &[]);
    assert!(code == Some(0) && said.contains("1 duplicate rule(s) found.\nMetric: a\nLabel(s):\nMight cause"), "{said}");
    assert_eq!(check(twice, &["--lint-fatal"]).0, Some(3));
    assert_eq!(check(twice, &["--lint-fatal", "--lint", "none"]).0, Some(0));
    assert_eq!(check(twice, &["--lint", "nothing"]).0, Some(64));
    let (code, said) = check("groups: [{name: g, rules: [{record: a, expr: 'up('}]}]", &["--lint-fatal"]);
    assert!(code == Some(1) && said.contains("  FAILED:") && said.contains("unclosed left parenthesis"), "{said}");
    let wrong = "groups: [{name: g, rules: [{alert: A, expr: 'node_laod1 > 1'}, {alert: B, expr: 'rate(node_disk_read_bytes_total{disk=\"a\"}[9s]) > 1'}]}]";
    let (code, said) = check(wrong, &["--lint-fatal"]);
    for found in
        ["unknown-metric] (did you mean `node_load1`?)", "unknown-label] (its labels are device, job, instance)", "[range-too-short]"]
    {
        assert!(said.contains(found), "{found} in {said}");
    }
    assert!(code == Some(3) && said.contains("  SUCCESS: 2 rules found"), "{said}");
    assert_eq!(check(wrong, &["--lint-fatal", "--lint", "duplicate-rules"]).0, Some(0));
    assert!(!check(wrong, &["--resolution", "4s"]).1.contains("range-too-short"));
}
