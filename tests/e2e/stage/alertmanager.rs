//! A real Alertmanager, which tells a receiver of the test's own what it was told.

use std::fs;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::peer::program;
use super::{Exposition, Peer, free_port, get, until};

/// It is ended when it is dropped.
pub(crate) struct Alertmanager {
    /// Where it answers, also after a restart.
    pub(crate) address: SocketAddr,
    folder: TempDir,
    peer: Option<Peer>,
}

impl Alertmanager {
    /// One that tells `receiver` at once of every alert on its own.
    pub(crate) fn start(receiver: SocketAddr) -> Self {
        let folder = tempfile::Builder::new().prefix("sidewatch-alertmanager-").tempdir().unwrap();
        let configuration = format!(
            "route: {{receiver: test, group_by: ['...'], group_wait: 0s, group_interval: 1s, repeat_interval: 10h}}\n\
             receivers: [{{name: test, webhook_configs: [{{url: 'http://{receiver}/', send_resolved: true}}]}}]\n"
        );
        fs::write(folder.path().join("alertmanager.yml"), configuration).unwrap();
        let mut alertmanager = Self { address: SocketAddr::from(([127, 0, 0, 1], free_port())), folder, peer: None };
        alertmanager.restart();
        alertmanager
    }

    /// Ends it by SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.peer = None;
    }

    /// Starts it, again where it was killed.
    pub(crate) fn restart(&mut self) {
        self.kill();
        let log = fs::File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let child = Command::new(program("SIDEWATCH_ALERTMANAGER", "prometheus-alertmanager"))
            .arg(format!("--config.file={}", self.folder.path().join("alertmanager.yml").display()))
            .arg(format!("--storage.path={}", self.folder.path().join("data").display()))
            .arg(format!("--web.listen-address={}", self.address))
            .arg("--cluster.listen-address=")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("prometheus-alertmanager: {error} (tests/prepare.sh gets it)"));
        self.peer = Some(Peer(child));
        until("Alertmanager to be ready", || get(self.address, "/-/ready", "").ok().filter(|answer| answer.status == 200));
    }

    /// Whether it runs; while it does not, its port still takes connections, and nobody answers.
    pub(crate) fn freeze(&self, frozen: bool) {
        let pid = Pid::from_raw(i32::try_from(self.peer.as_ref().unwrap().0.id()).unwrap()).unwrap();
        kill_process(pid, if frozen { Signal::STOP } else { Signal::CONT }).unwrap();
    }

    /// How many times it was told of alerts in this state since it was started.
    pub(crate) fn received(&self, status: &str) -> f64 {
        let metrics = Exposition::parse(&get(self.address, "/metrics", "").unwrap().body);
        metrics.sum("alertmanager_alerts_received_total", &[&format!("status=\"{status}\"")])
    }

    /// The alert of the tests that has this label `queue`, as its API tells of it.
    pub(crate) fn alert(&self, queue: &str) -> Option<Value> {
        let alerts = get(self.address, "/api/v2/alerts", "").unwrap().json();
        alerts.as_array().unwrap().iter().find(|alert| alert["labels"]["queue"] == queue).cloned()
    }
}
