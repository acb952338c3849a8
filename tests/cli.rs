//! The command line as its user sees it: what each page of tests/cli shows is what the program says.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::disallowed_methods)] // a test may fail, and waits

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Pages in which no agent runs. `TRYCMD=overwrite cargo test --test cli` writes them anew.
#[test]
fn the_pages_show_what_the_program_says() {
    let cases = trycmd::TestCases::new();
    // The width of the help is that of the terminal.
    cases.env("COLUMNS", "100");
    // Nobody's configuration.
    cases.env("XDG_CONFIG_HOME", "/nonexistent").case("tests/cli/*.trycmd");
}

/// An agent on sockets in a folder of its own, whose log nobody reads.
struct Unread {
    folder: tempfile::TempDir,
    child: Child,
}

impl Unread {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().display();
        let configuration = format!(
            "state: {path}/state\ningest:\n  stream: {{path: {path}/events.sock}}\n  datagram: {{enabled: false}}\n\
             rules: {{folder: {path}/rules}}\nhttp: {{listen: [\"unix:{path}/http.sock\"]}}\n"
        );
        std::fs::write(folder.path().join("sidewatch.yml"), configuration).expect("written");
        let child = sidewatch(&folder, &["run"]).stdout(closed()).stderr(closed()).spawn().expect("started");
        let agent = Self { folder, child };
        let begin = Instant::now();
        while !agent.run(&["query", "up"], true).0 {
            assert!(begin.elapsed() < Duration::from_secs(20), "the agent does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        agent
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
        self.child.kill().expect("there");
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
