//! The peers: processes that are not ours, ended when the test ends.

use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tempfile::TempDir;

use crate::remote_write::Message;

use super::agent::escape;
use super::{free_port, get, post, post_form, until};

/// A child process that does not outlive its test.
pub(crate) struct Peer(pub(crate) Child);

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A process that keeps a core busy, started through `wrapper`. It ends with its test, even one that is killed.
pub(crate) fn busy_loop(wrapper: &[&str]) -> Peer {
    let script = "while kill -0 $PPID; do i=0; while [ $i -lt 50000 ]; do i=$((i + 1)); done; done";
    let line = [wrapper, &["sh", "-c", script]].concat();
    Peer(Command::new(line[0]).args(&line[1..]).stdin(Stdio::null()).spawn().unwrap())
}

/// A program from the environment that `tests/prepare.sh` prints, else from the path.
pub(super) fn program(variable: &str, name: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(|| PathBuf::from(name), PathBuf::from)
}

/// Runs a command to its end and answers everything it said; fails the test when the program is not there.
pub(crate) fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error} (tests/prepare.sh gets the peers)"))
}

/// Runs promtool with `input`, and answers whether it was content, and what it said on both of its outputs.
pub(crate) fn promtool(arguments: &[&str], input: &str) -> (bool, String) {
    let mut command = Command::new(program("SIDEWATCH_PROMTOOL", "promtool"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("promtool: {error} (tests/prepare.sh gets it)"));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// What Debian's node_exporter says of this machine with these collectors.
pub(crate) fn node_exporter(collectors: &[&str]) -> String {
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut command = Command::new(program("SIDEWATCH_NODE_EXPORTER", "prometheus-node-exporter"));
    command.arg(format!("--web.listen-address={address}")).arg("--collector.disable-defaults").arg("--log.level=error");
    command.args(collectors.iter().map(|collector| format!("--collector.{collector}")));
    let child = command.stdin(Stdio::null()).spawn();
    let _peer = Peer(child.unwrap_or_else(|error| panic!("node_exporter: {error} (tests/prepare.sh gets it)")));
    until("node_exporter to answer", || get(address, "/metrics", "").ok().filter(|answer| answer.status == 200)).body
}

/// A Python program of tests/e2e, with the packages of requirements.txt.
pub(crate) fn python(script: &str) -> Command {
    let mut command = Command::new(program("SIDEWATCH_PYTHON", "python3"));
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e").join(script));
    command
}

/// A JavaScript program of tests/e2e, with the packages of clients/package-lock.json.
pub(crate) fn node(script: &str) -> Command {
    let mut command = Command::new(program("SIDEWATCH_NODE", "node"));
    command.envs(std::env::var_os("SIDEWATCH_NODE_MODULES").map(|modules| ("NODE_PATH", modules)));
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e").join(script));
    command
}

/// A real Prometheus, ended when it is dropped.
pub(crate) struct Prometheus {
    /// Where it answers.
    pub(crate) address: SocketAddr,
    _folder: TempDir,
    _peer: Peer,
}

impl Prometheus {
    /// One that scrapes an address every second.
    pub(crate) fn scraping(target: SocketAddr) -> Self {
        Self::start(&every_second(target))
    }

    /// One that scrapes an address and evaluates a rule file, so often where its groups do not say.
    pub(crate) fn evaluating(target: SocketAddr, rules: &Path, every: &str) -> Self {
        Self::start(&format!(
            "global: {{scrape_interval: {every}, scrape_timeout: {every}, evaluation_interval: {every}}}\n\
             rule_files: [{}]\n\
             scrape_configs:\n  - job_name: sidewatch\n    static_configs: [{{targets: [\"{target}\"]}}]\n",
            rules.display()
        ))
    }

    /// One that scrapes nothing and takes what is written to it.
    pub(crate) fn receiving() -> Self {
        Self::start("global: {scrape_interval: 1m, evaluation_interval: 1m}\n")
    }

    /// One that scrapes an address every second, and talks TLS, with the certificates of `tests/fixtures/tls`, to the user `a` with the password `t0p`
    /// alone. Whether it is ready others have to find out.
    pub(crate) fn guarded(target: SocketAddr) -> Self {
        let tls = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls");
        let tls = tls.display();
        let web = format!(
            "tls_server_config: {{cert_file: {tls}/server.pem, key_file: {tls}/server.key}}\n\
             basic_auth_users: {{a: $2b$04$2/AVeuatRLYfRwJaYGfNrucTeWHHbO4YEx1nIIIH0OEI4dgliLNae}}\n"
        );
        Self::launch(&every_second(target), Some(&web))
    }

    /// Starts it and waits until it answers.
    fn start(configuration: &str) -> Self {
        let prometheus = Self::launch(configuration, None);
        until("Prometheus to be ready", || get(prometheus.address, "/-/ready", "").ok().filter(|answer| answer.status == 200));
        prometheus
    }

    /// `web` is how it is to be reached; by default by everybody.
    fn launch(configuration: &str, web: Option<&str>) -> Self {
        let folder = tempfile::Builder::new().prefix("sidewatch-prometheus-").tempdir().unwrap();
        let file = folder.path().join("prometheus.yml");
        fs::write(&file, configuration).unwrap();
        let web_file = folder.path().join("web.yml");
        fs::write(&web_file, web.unwrap_or_default()).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let child = Command::new(program("SIDEWATCH_PROMETHEUS", "prometheus"))
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .args(["--enable-feature=exemplar-storage", "--web.enable-remote-write-receiver", "--log.level=error"])
            .args(web.map(|_| format!("--web.config.file={}", web_file.display())))
            .stdin(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("prometheus: {error} (tests/prepare.sh gets it)"));
        Self { address, _folder: folder, _peer: Peer(child) }
    }

    /// The value of an expression that answers one sample, or `None` while there is none.
    pub(crate) fn value(&self, expression: &str) -> Option<f64> {
        let answer = get(self.address, &format!("/api/v1/query?query={}", escape(expression)), "").unwrap();
        let answer = answer.json();
        let result = answer["data"]["result"].as_array()?;
        assert!(result.len() < 2, "{expression}: more than one sample: {answer}");
        result.first()?["value"][1].as_str()?.parse().ok()
    }

    /// Takes in a message of the remote-write protocol.
    pub(crate) fn write(&self, message: &Message) {
        let answer = post(self.address, "/api/v1/write", Message::HEADERS, &message.compressed()).unwrap();
        assert!((200..300).contains(&answer.status), "{}: {}", answer.status, answer.body);
    }

    /// The whole answer of its API to `path` with these parameters.
    pub(crate) fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let form: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect();
        post_form(self.address, path, &form.join("&")).unwrap().json()
    }

    /// Trace and value of each exemplar of a selector, of the last minute.
    pub(crate) fn exemplars(&self, selector: &str) -> Vec<(String, f64)> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let path = format!("/api/v1/query_exemplars?query={}&start={}&end={}", escape(selector), now - 60, now + 1);
        let answer = get(self.address, &path, "").unwrap().json();
        let series = answer["data"].as_array().unwrap_or_else(|| panic!("{selector}: {answer}"));
        let exemplars = series.iter().flat_map(|series| series["exemplars"].as_array().unwrap());
        let trace = |exemplar: &Value| exemplar["labels"]["trace_id"].as_str().unwrap().to_owned();
        exemplars.map(|exemplar| (trace(exemplar), exemplar["value"].as_str().unwrap().parse().unwrap())).collect()
    }
}

/// A configuration that has an address scraped every second.
fn every_second(target: SocketAddr) -> String {
    format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
         scrape_configs:\n  - job_name: sidewatch\n    static_configs: [{{targets: [\"{target}\"]}}]\n"
    )
}

/// A real HAProxy, ended when it is dropped.
pub(crate) struct Haproxy {
    folder: TempDir,
    _peer: Peer,
}

impl Haproxy {
    /// One that serves by these sections, in the folder of which it has its socket.
    pub(crate) fn start(sections: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("sidewatch-haproxy-").tempdir().unwrap();
        let file = folder.path().join("haproxy.cfg");
        let socket = folder.path().join("stats.sock");
        fs::write(&file, format!("global\n  stats socket {} mode 600 level admin\n{sections}", socket.display())).unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let child = Command::new(program("SIDEWATCH_HAPROXY", "haproxy"))
            .args(["-db", "-f"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("haproxy: {error} (tests/prepare.sh gets it)"));
        let this = Self { folder, _peer: Peer(child) };
        until("HAProxy to answer", || this.ask("show stat").map(drop));
        this
    }

    fn ask(&self, command: &str) -> Option<String> {
        let mut socket = UnixStream::connect(self.folder.path().join("stats.sock")).ok()?;
        socket.write_all(format!("{command}\n").as_bytes()).ok()?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// A column of its statistics about a server: `status`, `weight`, `stot` (sessions so far), `last_agt`.
    pub(crate) fn server(&self, name: &str, column: &str) -> String {
        let table = self.ask("show stat").unwrap();
        let mut lines = table.trim_start_matches("# ").lines();
        let place = lines.next().unwrap().split(',').position(|title| title == column).unwrap();
        let line = lines.find(|line| line.split(',').nth(1) == Some(name)).unwrap_or_else(|| panic!("no server {name}: {table}"));
        line.split(',').nth(place).unwrap().to_owned()
    }
}
