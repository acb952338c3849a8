//! A reload: the whole new configuration is read and checked first, then swapped. A bad one changes nothing and is shown
//! in the log, in `/readyz?verbose` and in `sidewatch_config_last_reload_successful`.

use std::path::Path;
use std::sync::Arc;

use prometheus::{Gauge, IntCounterVec, IntGauge};
use sd_notify::NotifyState;

use super::about;
use super::agent::{Agent, externals, open_sockets, recorder, spawn_agent_check, spawn_http, spawn_ingest};
use super::systemd;
use crate::clock;
use crate::config::{Config, Loaded, load};
use crate::diagnostic::{Diagnostic, sum_up};
use crate::health::AgentCheckServer;
use crate::http;
use crate::ingest::Ingest;
use crate::model::{Condition, Timestamp};
use crate::registry;
use crate::rules;
use crate::runtime::{Policy, blocking};
use crate::telemetry::{Telemetry, chain};

/// The configuration's part on the board.
const PART: &str = "config";

/// What is known about reloads.
pub(super) struct Reloads {
    successful: IntGauge,
    success_time: Gauge,
    total: IntCounterVec,
}

impl Reloads {
    /// Starting is the first success.
    pub(super) fn new(telemetry: &Telemetry, at: Timestamp) -> Self {
        let reloads = Self {
            successful: telemetry
                .int_gauge("sidewatch_config_last_reload_successful", "Whether the last attempt to load the configuration succeeded."),
            success_time: telemetry
                .gauge("sidewatch_config_last_reload_success_timestamp_seconds", "When the configuration in force was loaded."),
            total: telemetry.counters("sidewatch_config_reloads_total", "Attempts to load the configuration again.", &["outcome"]),
        };
        for outcome in ["success", "failure"] {
            reloads.total.with_label_values(&[outcome]);
        }
        reloads.successful.set(1);
        reloads.success_time.set(at.as_seconds());
        reloads
    }

    fn count(&self, success: bool, at: Timestamp) {
        self.successful.set(i64::from(success));
        if success {
            self.success_time.set(at.as_seconds());
        }
        self.total.with_label_values(&[if success { "success" } else { "failure" }]).inc();
    }
}

impl Agent {
    /// Reads everything again and puts it in force, or says why not. What is good to know of it is the answer.
    pub(super) async fn reload(&mut self, because: &str) -> Result<Vec<String>, String> {
        // Before the first READY=1 there is nothing to tell: the one after this would be taken for it.
        if self.ready {
            systemd::tell_reloading();
        }
        tracing::info!(because, "reloading");
        self.files.mark().await;
        // A file system may hang.
        let source = self.source.clone();
        let loaded = blocking(move || load(&source)).await;
        let outcome = match loaded.unwrap_or_else(|panicked| Err(vec![Diagnostic::of_file(PART, panicked.to_string())])) {
            Ok(new) if says_nothing(&new.text) && !says_nothing(&self.loaded.text) => Err(lost(self.source.path())),
            Ok(new) => self.swap(new).await,
            Err(problems) => {
                problems.iter().for_each(|problem| tracing::error!("{problem}"));
                Err(format!("the running configuration stays: {}", sum_up(&problems)))
            }
        };
        let at = clock::now();
        let answer = outcome.as_ref().map_err(Clone::clone).and_then(Swapped::told);
        self.reloads.count(outcome.is_ok(), at);
        let told = http::About::clone(&self.about.borrow());
        self.about.send_replace(Arc::new(match &outcome {
            Ok(_) => about::about(&self.loaded.config, &self.source, &self.bound, told.started, at),
            Err(_) => http::About { load_succeeded: false, ..told },
        }));
        match outcome {
            Ok(_) => self.board.report(PART, Condition::Ok, "", at),
            Err(reason) => {
                tracing::error!(reason, "the configuration was not reloaded");
                self.board.report(PART, Condition::Degraded, &reason, at);
            }
        }
        if self.ready {
            systemd::tell(&[NotifyState::Ready]);
        }
        answer
    }

    /// Puts a checked configuration in force, or none of it. What can still be refused (a socket, an address) comes
    /// first; the rules come last and keep themselves when their files are broken, which is theirs to show.
    async fn swap(&mut self, new: Loaded) -> Result<Swapped, String> {
        let old = self.loaded.config.clone();
        let later = needs_restart(&old, &new.config);
        let new = Loaded { config: in_force(&old, new.config), ..new };
        self.swap_ingest(&old, &new.config).await?;
        let mut refused = self.swap_agent_check(&old, &new.config).await;
        if refused.is_ok() {
            refused = self.swap_http(&old, &new.config).await;
            if let Err(reason) = &mut refused
                && let Err(further) = self.swap_agent_check(&new.config, &old).await
            {
                *reason = format!("{reason}; {further}");
            }
        }
        if let Err(reason) = refused {
            return match self.swap_ingest(&new.config, &old).await {
                Ok(()) => Err(reason),
                Err(further) => Err(format!("{reason}; {further}")),
            };
        }
        self.swap_recorder(&old, &new.config).await;
        self.registry.reconfigure(&new.config.registry);
        self.collect_config.send_replace(new.config.collect.clone());
        self.health_config.send_replace(Arc::new(new.config.health.clone()));
        self.notify_config.send_replace(Arc::new(new.config.notify.clone()));
        self.heartbeat_config.send_if_modified(|running| {
            let changed = **running != new.config.heartbeat;
            if changed {
                *running = Arc::new(new.config.heartbeat.clone());
            }
            changed
        });
        if let Some(folder) = &new.config.rules.folder {
            self.files.watch(folder, &new.config.rules.files).await;
        }
        let rules = self.rules.reload(Some((new.config.rules.clone(), externals(&new.config.notify)))).await.map_err(|error| chain(&error));
        match &rules {
            Ok(rules::Reloaded { files, groups, rules }) => tracing::info!(files, groups, rules, "rules reloaded"),
            Err(error) => tracing::error!(error, "the rules were not reloaded"),
        }
        for section in &later {
            tracing::warn!(section, "this change takes effect at the next start");
        }
        self.loaded = new;
        Ok(Swapped { rules: rules.map(drop), later })
    }

    /// Serves events by another configuration; where its sockets cannot be had, by the old one again.
    async fn swap_ingest(&mut self, old: &Config, new: &Config) -> Result<(), String> {
        let fixed = |config: &Config| {
            let config = &config.ingest;
            let sockets = (config.stream.clone(), config.datagram.clone(), config.udp.clone(), config.tcp.clone());
            (sockets, config.allow.clone(), config.connections_max, config.frame_bytes_max)
        };
        if let Some(ingest) = self.ingest.as_ref().filter(|_| fixed(old) == fixed(new)) {
            ingest.reconfigure(&new.ingest);
            return Ok(());
        }
        self.ingest_task.stop();
        self.ingest_task.ended().await;
        // It holds the sockets, which the new ones may be again.
        for part in self.ingest.take().iter().flat_map(|ingest| ingest.parts()) {
            self.board.remove(part);
        }
        // Where the last reload lost them there was no one to take it off.
        self.board.remove("socket:stream");
        let refused = match self.serve_events(new) {
            Ok(()) => return Ok(()),
            Err(error) => format!("{error:#}"),
        };
        let Err(error) = self.serve_events(old) else { return Err(refused) };
        self.board.report("socket:stream", Condition::Failed, &refused, clock::now());
        Err(format!("{refused}; and the old sockets cannot be had again: {error:#}"))
    }

    fn serve_events(&mut self, config: &Config) -> anyhow::Result<()> {
        let sockets = open_sockets(config, &self.source, &self.passed)?;
        let ingest = Ingest::new(&config.ingest, sockets, Arc::clone(&self.registry), &self.telemetry, self.board.clone());
        self.ingest_task = spawn_ingest(&self.supervisor, &ingest);
        self.ingest = Some(ingest);
        Ok(())
    }

    /// Answers HAProxy by another configuration; where its addresses cannot be had, by the old one again.
    async fn swap_agent_check(&mut self, old: &Config, new: &Config) -> Result<(), String> {
        if old.health.agent_check == new.health.agent_check && !self.agent_check_task.has_ended() {
            return Ok(());
        }
        // It holds the addresses, which the new ones may be again.
        self.agent_check_task.stop();
        self.agent_check_task.ended().await;
        let Err(refused) = self.serve_agent_check(new).await else { return Ok(()) };
        match self.serve_agent_check(old).await {
            Ok(()) => Err(refused),
            Err(error) => {
                self.board.report("agent-check", Condition::Failed, &refused, clock::now());
                Err(format!("{refused}; and the old addresses cannot be had again: {error}"))
            }
        }
    }

    async fn serve_agent_check(&mut self, config: &Config) -> Result<(), String> {
        let bound = AgentCheckServer::bind(&config.health.agent_check, self.health.clone(), &self.telemetry, self.board.clone()).await;
        self.agent_check_task = spawn_agent_check(&self.supervisor, bound.map_err(|error| chain(&error))?);
        Ok(())
    }

    /// Serves HTTP by another configuration; where its addresses cannot be had, by the old one again.
    async fn swap_http(&mut self, old: &Config, new: &Config) -> Result<(), String> {
        if old.http == new.http && !self.http_task.has_ended() {
            return Ok(());
        }
        self.http_task.stop();
        self.http_task.ended().await;
        if old.http.listen == new.http.listen && self.bound.addresses().next().is_some() {
            self.serve_http(new);
            return Ok(());
        }
        // Closed first: the new addresses may contain some of the old.
        self.bound = Arc::default();
        let refused = match http::Bound::new(&new.http.listen).await {
            Ok(bound) => {
                self.bound = Arc::new(bound);
                self.serve_http(new);
                return Ok(());
            }
            Err(error) => chain(&error),
        };
        match http::Bound::new(&old.http.listen).await {
            Ok(bound) => {
                self.bound = Arc::new(bound);
                self.serve_http(old);
                Err(refused)
            }
            Err(error) => {
                self.board.report("http", Condition::Failed, &refused, clock::now());
                Err(format!("{refused}; and the old addresses cannot be had again: {}", chain(&error)))
            }
        }
    }

    fn serve_http(&mut self, config: &Config) {
        let state = http::State {
            registry: Arc::clone(&self.registry),
            telemetry: Arc::clone(&self.telemetry),
            history: Arc::new(self.history.clone()),
            engine: Arc::clone(&self.engine),
            rules: self.rules.snapshots(),
            health: self.health.clone(),
            board: self.board.clone(),
            about: self.about.subscribe(),
        };
        self.http_task = spawn_http(&self.supervisor, http::Server::new(&config.http, state), &self.bound);
    }

    async fn swap_recorder(&mut self, old: &Config, new: &Config) {
        if (&old.instance, &old.jobs) == (&new.instance, &new.jobs) {
            return;
        }
        self.recorder_task.stop();
        self.recorder_task.ended().await;
        let recorder = recorder(new, &self.registry, &self.telemetry, &self.history, &self.board);
        self.recorder_task = self.supervisor.spawn("recorder", Policy::RESTART, move |context| recorder.clone().run(context));
    }
}

/// Whether there is nothing in a text but comments and an empty document, as in the head of a file that is just being written.
fn says_nothing(text: &str) -> bool {
    text.lines().map(str::trim).all(|line| line.is_empty() || line.starts_with('#') || ["---", "...", "null", "~"].contains(&line))
}

/// Why nothing is put in force where all of the file has gone: nobody means that by a file that an editor has just begun to write, or that
/// was moved away, and targets would lose what waits for them.
fn lost(path: &Path) -> String {
    let path = path.display();
    format!("the running configuration stays: {path} is empty or gone; to run with the defaults write `{{}}` there, or start anew")
}

/// What became of a configuration that is in force.
struct Swapped {
    /// Why the rules stay as they are.
    rules: Result<(), String>,
    /// The changed sections that are read at the start only.
    later: Vec<&'static str>,
}

impl Swapped {
    /// What whoever has asked for it is told.
    fn told(&self) -> Result<Vec<String>, String> {
        let rules = self.rules.as_ref().map_err(|why| format!("the configuration is in force, but the rules stay as they were: {why}"));
        rules.map(|()| self.later.iter().map(|section| format!("the change of `{section}` takes effect at the next start")).collect())
    }
}

/// The changed sections that are read at the start only.
fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let changed = [
        ("state", old.state != new.state),
        ("control", old.control != new.control),
        ("log", old.log != new.log),
        ("history", old.history != new.history),
        ("promql", old.promql != new.promql),
        ("rules.persist", old.rules.persist != new.rules.persist),
        ("registry.journal", old.registry.journal != new.registry.journal),
    ];
    changed.into_iter().filter(|(_, changed)| *changed).map(|(section, _)| section).collect()
}

/// A new configuration without what takes effect at the next start.
fn in_force(old: &Config, new: Config) -> Config {
    let registry = registry::Config { journal: old.registry.journal.clone(), ..new.registry };
    let (state, log, history, promql) = (old.state.clone(), old.log.clone(), old.history.clone(), old.promql.clone());
    let control = old.control.clone();
    let rules = rules::Config { persist: old.rules.persist, ..new.rules };
    Config { state, log, control, history, promql, registry, rules, ..new }
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs;
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::time::Duration;

    use super::*;
    use crate::config::{Places, Source};
    use crate::ingest::Passed;
    use crate::runtime::Stage;

    /// An agent in a folder, with this configuration.
    pub(in crate::app) async fn start(folder: &Path, text: &str) -> Agent {
        write(folder, text);
        let places = Places {
            config: folder.join("sidewatch.yml"),
            rules: folder.join("rules"),
            sockets: folder.to_owned(),
            state: folder.to_owned(),
        };
        let source = Source { file: None, places, host_name: "h1".into() };
        let loaded = load(&source).expect("valid");
        Agent::start(source, loaded, Passed::default()).await.expect("starts")
    }

    /// Short paths of sockets, written as `@name`, are in the folder.
    fn write(folder: &Path, text: &str) {
        fs::write(folder.join("sidewatch.yml"), text.replace('@', &format!("{}/", folder.display()))).expect("written");
    }

    async fn stop(agent: Agent) {
        agent.supervisor.enter(Stage::Stopping);
        assert!(agent.supervisor.finish(Duration::from_secs(10)).await.is_empty());
    }

    fn answers(folder: &Path, sockets: &[&str]) -> Vec<bool> {
        sockets.iter().map(|name| UnixStream::connect(folder.join(name)).is_ok()).collect()
    }

    fn detail(agent: &Agent) -> String {
        agent.board.parts().into_iter().find(|part| part.name == PART).map(|part| part.detail).unwrap_or_default()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn sockets_and_addresses_move() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        let mut agent = start(folder, "http: {listen: ['unix:@a.http']}").await;
        let all = ["events.sock", "a.http", "new.sock", "b.http"];
        assert_eq!(answers(folder, &all), [true, true, false, false]);
        write(folder, "{ingest: {stream: {path: @new.sock}}, http: {listen: ['unix:@b.http']}}");
        agent.reload("a test").await.ok();
        assert_eq!(answers(folder, &all), [false, false, true, true], "{}", detail(&agent));
        stop(agent).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn listeners_on_the_network_come_move_and_go() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        let mut agent = start(folder, "http: {listen: ['unix:@a.http']}").await;
        let parts = |agent: &Agent| -> Vec<String> {
            let parts = agent.board.parts().into_iter().map(|part| part.name);
            parts.filter(|name| name.starts_with("socket:") && name.matches(':').count() > 1).collect()
        };
        assert_eq!(parts(&agent), Vec::<String>::new());
        write(folder, "{ingest: {udp: {listen: ['127.0.0.1:0']}}, http: {listen: ['unix:@a.http']}}");
        agent.reload("a test").await.ok();
        let udp = parts(&agent);
        let address = udp[0].strip_prefix("socket:udp:").expect("a UDP socket").to_owned();
        // A reload closes the sockets first, so the address that it still has is not in its own way.
        write(folder, &format!("{{ingest: {{udp: {{listen: ['{address}'], dialect: dogstatsd}}}}, http: {{listen: ['unix:@a.http']}}}}"));
        agent.reload("a test").await.ok();
        assert_eq!((parts(&agent), detail(&agent)), (udp.clone(), String::new()));

        let other = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        let taken = other.local_addr().expect("an address");
        write(folder, &format!("{{ingest: {{tcp: {{listen: ['{taken}']}}}}, http: {{listen: ['unix:@a.http']}}}}"));
        agent.reload("a test").await.ok();
        assert!(detail(&agent).contains(&format!("another process listens on {taken} (TCP); stop it, or set ingest.tcp.listen")));
        assert_eq!(parts(&agent), udp, "the old sockets serve on");
        write(folder, "http: {listen: ['unix:@a.http']}");
        agent.reload("a test").await.ok();
        assert_eq!((parts(&agent), detail(&agent)), (vec![], String::new()));
        stop(agent).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_agent_check_comes_moves_and_goes() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        let mut agent = start(folder, "http: {listen: ['unix:@a.http']}").await;
        let told = |agent: &Agent| agent.board.parts().into_iter().find(|part| part.name == "agent-check").map(|part| part.detail);
        let check = |address: &str, http: &str| {
            format!("{{health: {{agent_check: {{listen: [{{address: '{address}'}}]}}}}, http: {{listen: ['unix:@{http}']}}}}")
        };
        assert_eq!(told(&agent), None);
        write(folder, &check("127.0.0.1:0", "a.http"));
        agent.reload("a test").await.ok();
        let part = || async {
            while told(&agent).is_none() {
                tokio::task::yield_now().await;
            }
            told(&agent).unwrap_or_default()
        };
        let address = tokio::time::timeout(Duration::from_secs(10), part()).await.expect("serving");
        assert!(std::net::TcpStream::connect(&address).is_ok(), "{address}");

        let other = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        write(folder, &check(&other.local_addr().expect("an address").to_string(), "b.http"));
        agent.reload("a test").await.ok();
        assert!(detail(&agent).contains("set health.agent_check.listen to another address"), "{}", detail(&agent));
        assert_eq!(answers(folder, &["a.http", "b.http"]), [true, false], "all or nothing");

        write(folder, "http: {listen: ['unix:@a.http']}");
        agent.reload("a test").await.ok();
        assert_eq!((told(&agent), detail(&agent)), (None, String::new()));
        assert!(std::net::TcpStream::connect(&address).is_err(), "{address}");
        stop(agent).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_cannot_be_put_in_force_whole_changes_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        let taken = UnixListener::bind(folder.join("taken")).expect("bound");
        let mut agent = start(folder, "http: {listen: ['unix:@a.http']}").await;
        let before = agent.loaded.clone();
        for (text, told) in [
            ("{ingest: {stream: {path: @new.sock}}, http: {listen: ['unix:@taken']}}", "taken; stop it, or set http.listen"),
            ("{ingest: {stream: {path: @taken}}, http: {listen: ['unix:@new.http']}}", "/taken"),
            ("{ingest: {stream: {path: @new.sock}}, httpp: 1}", "unknown key `httpp`"),
        ] {
            write(folder, text);
            agent.reload("a test").await.ok();
            assert!(detail(&agent).contains(told), "{}", detail(&agent));
            assert_eq!(answers(folder, &["events.sock", "a.http", "new.sock", "new.http"]), [true, true, false, false], "{text}");
            assert_eq!(agent.loaded, before);
        }
        assert_eq!(agent.reloads.successful.get(), 0);
        drop(taken);
        stop(agent).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_configuration_that_is_gone_or_empty_drops_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        let mut agent = start(folder, "{instance: a, http: {listen: []}}").await;
        let before = agent.loaded.clone();
        fs::rename(folder.join("sidewatch.yml"), folder.join("x")).expect("moved");
        for written in [None, Some("\n"), Some("# sidewatch\n---\n")] {
            if let Some(text) = written {
                write(folder, text);
            }
            let refused = agent.reload("a test").await.expect_err("refused");
            assert!(
                refused.contains("the running configuration stays: ") && refused.contains("sidewatch.yml is empty or gone"),
                "{refused}"
            );
            assert_eq!((&agent.loaded, agent.reloads.successful.get()), (&before, 0));
            assert_eq!(detail(&agent), refused);
        }
        write(folder, "{http: {listen: []}}");
        assert_eq!((agent.reload("a test").await, detail(&agent)), (Ok(vec![]), String::new()), "what is said is done");
        stop(agent).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn broken_rules_are_named_to_whoever_reloads() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        let mut agent = start(folder, "http: {listen: []}").await;
        fs::create_dir(folder.join("rules")).expect("made");
        let text = "groups: [{name: g, rules: [{alert: A, expr: 'sum('}, {alert: B, exprr: 1}]}]";
        for (text, count) in [("groups: [{name: g, rules: [{alert: A, expr: 'sum('}]}]", ""), (text, " problems, the first: ")] {
            fs::write(folder.join("rules/a.yml"), text).expect("written");
            let told = agent.reload("a test").await.expect_err("told");
            assert!(told.contains(&format!("{}/a.yml:1:", folder.join("rules").display())) && told.contains(count), "{told}");
        }
        stop(agent).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_lost_comes_back_with_a_reload() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        let text = "http: {listen: ['unix:@a.http']}";
        let mut agent = start(folder, text).await;
        // Where the old address is taken as soon as it is free, nothing is served.
        let thief = UnixListener::bind(folder.join("taken")).expect("bound");
        write(folder, "http: {listen: ['unix:@taken']}");
        fs::rename(folder.join("a.http"), folder.join("a.http.moved")).expect("moved");
        fs::write(folder.join("a.http"), "in the way").expect("written");
        agent.http_task.stop();
        agent.http_task.ended().await;
        agent.bound = Arc::default();
        fs::write(folder.join("a.http"), "in the way").expect("written");
        agent.reload("a test").await.ok();
        assert!(detail(&agent).contains("cannot be had again"), "{}", detail(&agent));
        drop(thief);
        fs::remove_file(folder.join("a.http")).expect("removed");
        write(folder, text);
        agent.reload("a test").await.ok();
        assert_eq!(answers(folder, &["events.sock", "a.http"]), [true, true], "{}", detail(&agent));
        stop(agent).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_limit_changes_without_closing_the_address() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        let mut agent = start(folder, "http: {listen: ['127.0.0.1:0']}").await;
        let address = agent.bound.addresses().next().cloned();
        write(folder, "http: {listen: ['127.0.0.1:0'], connections_max: 7}");
        agent.reload("a test").await.ok();
        assert_eq!((agent.bound.addresses().next().cloned(), detail(&agent)), (address, String::new()));
        stop(agent).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_said_of_the_configuration_follows_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        let mut agent = start(folder, "{instance: a, http: {listen: []}}").await;
        let told = |agent: &Agent| {
            let about = agent.about.borrow();
            let shown = about.configuration.lines().next().unwrap_or_default().to_owned();
            (shown, about.identity.instance.clone(), about.load_succeeded, about.retention.clone())
        };
        let expected = |name: &str, succeeded| (format!("instance: {name}"), name.to_owned(), succeeded, "6h or 64MiB".to_owned());
        assert_eq!(told(&agent), expected("a", true));
        let started = agent.about.borrow().loaded;
        write(folder, "{instance: b, htttp: 1}");
        agent.reload("a test").await.ok();
        assert_eq!((told(&agent), agent.about.borrow().loaded), (expected("a", false), started));
        // What is recorded, and how much is kept, changes at the next start; what answers do changes at once.
        let further = "history: {retention: 1h, resolution: 1s}, promql: {lookback: 1m}, registry: {expiry: 2h, journal: {enabled: false}}";
        write(folder, &format!("{{instance: b, http: {{listen: [], query_concurrency: 7}}, {further}}}"));
        agent.reload("a test").await.ok();
        assert_eq!(told(&agent), expected("b", true));
        let about = agent.about.borrow().clone();
        let shown: Config = serde_yaml::from_str(&about.configuration).expect("YAML");
        assert_eq!(shown, agent.loaded.config);
        assert_eq!((shown.history, shown.promql, shown.registry.journal), Default::default());
        assert_eq!((shown.registry.expiry.to_string().as_str(), shown.http.query_concurrency), ("2h", 7));
        let flag = |name: &str| about.flags.get(name).map(String::as_str);
        assert_eq!(
            (flag("query.max-concurrency"), flag("query.lookback-delta"), about.resolution.as_millis()),
            (Some("7"), Some("5m"), 5000)
        );
        assert!(agent.about.borrow().loaded >= started && agent.about.borrow().started <= started);
        stop(agent).await;
    }
}
