//! The agent under test: the installed binary with a folder, ports and sockets of its own, killed when the test ends.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{Answer, Exposition, free_port, get, until, until_within};

/// What an agent is started with: a folder that is its own, and the configuration in it.
pub(crate) struct Setup {
    folder: TempDir,
    /// Where HTTP is served.
    pub(crate) http: SocketAddr,
    /// The program and what stands before the agent's own arguments; `None` is the agent itself.
    pub(crate) wrapper: Option<Vec<String>>,
    /// More of the environment.
    pub(crate) environment: Vec<(String, String)>,
    /// The instance that the series of history carry.
    pub(crate) instance: String,
    /// Further keys of the configuration, as YAML.
    pub(crate) more: String,
    /// Further keys of its section `rules`, as lines of YAML.
    pub(crate) rules: String,
    /// Further keys of its section `ingest`, as lines of YAML.
    pub(crate) ingest: String,
    /// Further keys of the stream socket, each behind a comma.
    pub(crate) stream: String,
}

impl Setup {
    /// The defaults: both sockets, one port on loopback, an empty rules folder.
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("sidewatch-e2e-").tempdir().unwrap();
        fs::create_dir(folder.path().join("rules")).unwrap();
        let http = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let [more, rules, ingest, stream] = [const { String::new() }; 4];
        Self { folder, http, wrapper: None, environment: Vec::new(), instance: "e2e".to_owned(), more, rules, ingest, stream }
    }

    /// A path in the agent's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The configuration as this setup stands now.
    pub(crate) fn configuration(&self) -> String {
        let folder = self.folder.path().display();
        let Self { http, instance, more, rules, ingest, stream, .. } = self;
        format!(
            "instance: {instance}\nstate: {folder}/state\n\
             ingest:\n  stream: {{path: {folder}/events.sock{stream}}}\n  datagram: {{path: {folder}/events.dgram.sock}}\n{ingest}\
             rules:\n  folder: {folder}/rules\n{rules}\
             http:\n  listen: [\"{http}\"]\n{more}"
        )
    }

    /// Starts the agent without waiting for anything.
    pub(crate) fn spawn(self) -> Agent {
        let file = self.path("sidewatch.yml");
        if !file.exists() {
            fs::write(&file, self.configuration()).unwrap();
        }
        let child = self.launch();
        Agent { setup: self, child, begin: Instant::now() }
    }

    fn launch(&self) -> Child {
        let mut line = self.wrapper.clone().unwrap_or_default();
        let file = self.path("sidewatch.yml").display().to_string();
        line.extend([Agent::program().display().to_string(), "run".into(), "--config".into(), file]);
        let log = fs::File::create(self.path("log")).unwrap();
        Command::new(&line[0])
            .args(&line[1..])
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", line[0]))
    }

    /// Starts the agent and waits until it says that it is ready.
    pub(crate) fn start(self) -> Agent {
        let agent = self.spawn();
        agent.await_ready();
        agent
    }
}

/// A running agent.
pub(crate) struct Agent {
    /// What it was started with.
    pub(crate) setup: Setup,
    child: Child,
    /// When it was started.
    pub(crate) begin: Instant,
}

impl Agent {
    /// The binary under test: the installed one, else the one that cargo built beside this test.
    pub(crate) fn program() -> PathBuf {
        std::env::var_os("SIDEWATCH_BIN").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_sidewatch")), PathBuf::from)
    }

    /// Waits until `/readyz` answers 200.
    pub(crate) fn await_ready(&self) {
        until(&format!("the agent to be ready; its log:\n{}", self.log_path().display()), || {
            let answer = get(self.setup.http, "/readyz", "").ok()?;
            (answer.status == 200).then_some(())
        });
    }

    fn log_path(&self) -> PathBuf {
        self.setup.path("log")
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap()
    }

    /// A path in its folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.setup.path(name)
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the kernel says about its memory, in KiB: `VmRSS`, `VmHWM`, `RssAnon`.
    pub(crate) fn status_kib(&self, key: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.split(':').next() == Some(key)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Its CPU time so far, of threads that have ended too, as the scheduler counted it (proc_pid_stat(5); the kernel scales
    /// both of its shares so that they add up to the scheduler's sum).
    pub(crate) fn cpu_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        let ticks = stat.rsplit(") ").next().unwrap().split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap());
        Duration::from_millis(10 * ticks.sum::<u64>())
    }

    /// `GET path`.
    pub(crate) fn get(&self, path: &str) -> Answer {
        get(self.setup.http, path, "").unwrap_or_else(|error| panic!("GET {path}: {error}; the log:\n{}", self.log()))
    }

    /// What it exposes now.
    pub(crate) fn metrics(&self) -> Exposition {
        let answer = self.get("/metrics");
        assert_eq!(answer.status, 200, "{}", answer.body);
        Exposition::parse(&answer.body)
    }

    /// The answer of the query API to an instant query: `data.result`.
    pub(crate) fn query(&self, expression: &str) -> serde_json::Value {
        let answer = self.get(&format!("/api/v1/query?query={}", escape(expression)));
        assert_eq!(answer.status, 200, "{expression}: {}", answer.body);
        answer.json()["data"]["result"].clone()
    }

    /// The state of the alert `name` as the API tells it: "inactive", "pending" or "firing".
    pub(crate) fn alert_state(&self, name: &str) -> Option<String> {
        let rules = self.get("/api/v1/rules").json();
        let groups = rules["data"]["groups"].as_array()?;
        let mut all = groups.iter().flat_map(|group| group["rules"].as_array().into_iter().flatten());
        let rule = all.find(|rule| rule["name"] == name)?;
        Some(rule["state"].as_str()?.to_owned())
    }

    /// A connection to the stream socket.
    pub(crate) fn stream(&self) -> UnixStream {
        UnixStream::connect(self.path("events.sock")).unwrap()
    }

    /// Sends lines over a stream connection of their own.
    pub(crate) fn send(&self, lines: &str) {
        self.stream().write_all(lines.as_bytes()).unwrap();
    }

    /// A socket that is connected to the datagram socket.
    pub(crate) fn datagram(&self) -> UnixDatagram {
        let socket = UnixDatagram::unbound().unwrap();
        socket.connect(self.path("events.dgram.sock")).unwrap();
        socket
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Ends it by a signal, and starts another one in its folder.
    pub(crate) fn restart(&mut self, signal: Signal) {
        self.signal(signal);
        self.await_exit(Duration::from_secs(20));
        (self.child, self.begin) = (self.setup.launch(), Instant::now());
        self.await_ready();
    }

    /// Waits for its end.
    pub(crate) fn await_exit(&mut self, limit: Duration) -> ExitStatus {
        until_within(limit, "the agent to end", || self.child.try_wait().unwrap())
    }

    /// Writes a file into its rules folder, in one step as an editor does.
    pub(crate) fn write_rules(&self, name: &str, text: &str) {
        let target = self.path("rules").join(name);
        replace(&target, text);
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            eprintln!("the agent's log:\n{}", self.log());
        }
    }
}

/// Puts a whole new file in the place of another.
fn replace(target: &Path, text: &str) {
    let new = target.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(&new, target).unwrap();
}

/// Percent-encodes what stands in a query string.
pub(crate) fn escape(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes().map(|byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
