//! Silences and the control socket: a silenced alert reaches nobody, with a real Alertmanager and the real amtool, and only those who
//! may change the agent.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

use jiff::Timestamp;
use rustix::process::Signal;

use crate::stage::{Agent, Alertmanager, QUEUES, Receiver, Setup, await_told, fire, firing_since, resolve, until};

fn agent(notify: &str) -> Agent {
    let mut setup = Setup::new();
    writeln!(setup.more, "history: {{resolution: 1s}}\nnotify:\n  resend_delay: 1s\n{notify}").unwrap();
    fs::write(setup.path("rules/queues.yml"), QUEUES).unwrap();
    setup.start()
}

/// Runs `sidewatch` on this agent's control socket.
fn sidewatch(agent: &Agent, arguments: &[&str]) -> Output {
    let mut command = Command::new(Agent::program());
    command.args(arguments).arg("--socket").arg(agent.path("control.sock")).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned() + String::from_utf8_lossy(&output.stderr).trim_end()
}

/// Makes a silence, and answers its id.
fn silence(agent: &Agent, matchers: &[&str]) -> String {
    let output = sidewatch(agent, &[&["silence", "add", "--duration", "1h", "--comment", "a test"], matchers].concat());
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

fn expire(agent: &Agent, id: &str) {
    let output = sidewatch(agent, &["silence", "expire", id]);
    assert!(output.status.success() && output.stdout.is_empty(), "{}", said(&output));
}

#[test]
fn nobody_is_told_of_what_begins_under_a_silence_until_it_ends() {
    let (behind, direct) = (Receiver::start(), Receiver::start());
    let alertmanager = Alertmanager::start(behind.address);
    let mut agent = agent(&format!(
        "  alertmanagers: [{{url: 'http://{}'}}]\n  webhooks: [{{name: hook, url: 'http://{}/'}}]",
        alertmanager.address, direct.address
    ));
    let quiet = silence(&agent, &["Deep", "queue=~a|d", "instance=e2e"]);
    let since = fire(&agent, "a");
    // What fires later and is not silenced arrives, so the other would have.
    fire(&agent, "b");
    for receiver in [&direct, &behind] {
        await_told(receiver, "b", true);
        assert_eq!(receiver.told("a"), []);
    }
    assert_eq!(alertmanager.alert("a"), None);
    let metric = |agent: &Agent, name: &str| agent.metrics().value(name);
    until("the silence to be measured", || (metric(&agent, "sidewatch_notify_silenced_alerts") == Some(1.0)).then_some(()));
    assert_eq!(metric(&agent, "sidewatch_notify_silences{state=\"active\"}"), Some(1.0));
    let health = Command::new(Agent::program()).args(["health", "--url", &format!("http://{}", agent.setup.http)]).output().unwrap();
    assert!(said(&health).contains("silences: 1 active, 0 pending; 1 alerts that fire are silenced"), "{}", said(&health));

    agent.restart(Signal::KILL);
    assert!(said(&sidewatch(&agent, &["silence", "list", "queue=~a.d"])).contains(&quiet));
    until("it to fire again", || firing_since(&agent, "a"));
    fire(&agent, "c");
    for receiver in [&direct, &behind] {
        await_told(receiver, "c", true);
        assert_eq!(receiver.told("a"), []);
    }
    // One that ends meanwhile is never told of.
    fire(&agent, "d");
    resolve(&agent, "d");

    expire(&agent, &quiet);
    for receiver in [&direct, &behind] {
        assert_eq!(await_told(receiver, "a", true).starts, since);
    }
    assert_eq!(alertmanager.alert("a").unwrap()["startsAt"].as_str().unwrap().parse::<Timestamp>().unwrap(), since);
    assert_eq!(said(&sidewatch(&agent, &["silence", "list"])), "");
    assert!(said(&sidewatch(&agent, &["silence", "list", "--expired"])).contains("expired"));

    // What was told of goes on under a silence, and ends.
    silence(&agent, &["severity=page"]);
    let ends = || alertmanager.alert("a").unwrap()["endsAt"].as_str().unwrap().parse::<Timestamp>().unwrap();
    let before = ends();
    until("Alertmanager to be told again", || (ends() > before).then_some(()));
    resolve(&agent, "a");
    for receiver in [&direct, &behind] {
        assert_eq!(await_told(receiver, "a", false).starts, since);
        assert_eq!(receiver.told("d"), []);
    }
    let again = said(&sidewatch(&agent, &["silence", "expire", &quiet]));
    assert!(again.contains("is over already"), "{again}");
}

#[test]
fn amtool_makes_lists_and_ends_silences() {
    let agent = agent("  journal: {enabled: false}");
    let url = format!("--alertmanager.url=http://{}", forward(agent.path("control.sock")));
    let amtool = |arguments: &[&str]| {
        let program = std::env::var("SIDEWATCH_ALERTMANAGER").ok().map(|path| Path::new(&path).with_file_name("amtool"));
        let program = program.filter(|path| path.exists()).unwrap_or_else(|| PathBuf::from("amtool"));
        let output = Command::new(program).arg(&url).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        said(&output)
    };
    let id = amtool(&["silence", "add", "Deep", "queue=~a|b", "--duration=2h", "--comment=amtool was here", "--author=me"]);
    let list = sidewatch(&agent, &["silence", "list", "--json"]);
    let list: serde_json::Value = serde_json::from_slice(&list.stdout).unwrap();
    let one = &list[0];
    assert_eq!((&one["id"], &one["createdBy"], &one["comment"]), (&id.as_str().into(), &"me".into(), &"amtool was here".into()));
    assert_eq!(one["matchers"][0], serde_json::json!({"name": "alertname", "value": "Deep", "isRegex": false, "isEqual": true}));
    let own = silence(&agent, &["queue!=c", "alertname=Deep"]);
    let seen = amtool(&["silence", "query", "--quiet"]);
    assert!(seen.contains(&id) && seen.contains(&own), "{seen}");
    assert_eq!(amtool(&["silence", "query", "--quiet", "queue=c"]), own);
    amtool(&["silence", "update", &id, "--duration=3h"]);
    amtool(&["silence", "expire", &id]);
    assert_eq!(amtool(&["silence", "query", "--quiet"]), own);
}

/// A TCP port that leads to a Unix socket.
fn forward(socket: PathBuf) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = UnixStream::connect(&socket) else { continue };
            let (mut from_client, mut to_server) = (TcpStream::try_clone(&client).unwrap(), server.try_clone().unwrap());
            thread::spawn(move || {
                let _ended = io::copy(&mut from_client, &mut to_server);
                let _closed = to_server.shutdown(std::net::Shutdown::Write);
            });
            thread::spawn(move || {
                let (mut client, mut server) = (client, server);
                let _ended = io::copy(&mut server, &mut client);
                let _closed = client.shutdown(std::net::Shutdown::Both);
            });
        }
    });
    address
}

#[test]
fn who_asks_is_told_what_is_wrong() {
    let agent = agent("  silences_max: 1");
    let long = "x".repeat(70_000);
    for (arguments, told) in [
        (&["silence", "add", "a~b", "--duration", "1h"][..], "1:2: one of = != =~ !~ is expected after the label's name\na~b\n ^"),
        (&["silence", "add", "a=~.*", "--duration", "1h"], "at least one matcher must not match the empty value"),
        (&["silence", "add", "a=b", "--duration", "1h", "--start", "0"], "it would be over already"),
        (&["silence", "add", "a=b", "--duration", "1h", "--comment", &long[..2000]], "have at most 1024 bytes each, not 2000"),
        (&["silence", "add", "a=b", "--duration", "1h", "--comment", &long], "(413): the body is larger than 65536 bytes"),
        (&["silence", "expire", "none"], "there is no silence none"),
    ] {
        let output = sidewatch(&agent, arguments);
        assert!(output.status.code() == Some(1) && said(&output).contains(told), "{arguments:?}: {}", said(&output));
    }
    silence(&agent, &["a=b"]);
    let output = sidewatch(&agent, &["silence", "add", "a=c", "--duration", "1h"]);
    assert!(said(&output).contains("there are 1 silences already"), "{}", said(&output));

    assert_eq!(said(&sidewatch(&agent, &["reload"])), "reloaded");
    let configuration = agent.path("sidewatch.yml");
    let good = fs::read_to_string(&configuration).unwrap();
    fs::write(&configuration, format!("{good}promql: {{lookback: 4m}}\n")).unwrap();
    let output = sidewatch(&agent, &["reload"]);
    assert_eq!(said(&output), "reloaded\nthe change of `promql` takes effect at the next start");
    fs::write(&configuration, format!("{good}htttp: 1\n")).unwrap();
    let output = sidewatch(&agent, &["reload"]);
    assert!(output.status.code() == Some(1) && said(&output).contains("unknown key `htttp`"), "{}", said(&output));
    fs::write(&configuration, &good).unwrap();
    fs::write(agent.path("rules/broken.yml"), "groups: [{name: x, rules: [{alert: A, expr: 'up =='}]}]").unwrap();
    let output = sidewatch(&agent, &["reload"]);
    assert!(output.status.code() == Some(1) && said(&output).contains("the rules stay as they were"), "{}", said(&output));
    // A page cannot do what the control socket does.
    assert_eq!(agent.get("/api/v2/silences").status, 404);
}

#[test]
fn only_root_the_agents_user_and_the_sockets_group_may_change_it() {
    if !rustix::process::geteuid().is_root() || Command::new("setpriv").arg("--version").output().is_err() {
        println!("SKIPPED: other users are tried as root, with setpriv");
        return;
    }
    let agent = agent("  journal: {enabled: false}");
    let (folder, socket) = (agent.path("."), agent.path("control.sock"));
    let program = agent.path("a-copy");
    fs::copy(Agent::program(), &program).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    let list_as = |groups: &str| {
        let user = ["--reuid=65534", "--regid=65534", groups];
        let output = Command::new("setpriv").args(user).arg(&program).args(["silence", "list", "--socket"]).arg(&socket).output().unwrap();
        (output.status.success(), said(&output))
    };
    let (done, told) = list_as("--clear-groups");
    assert!(!done && told.contains("Permission denied") && told.contains("members of the group root may use it"), "{told}");
    // Whatever somebody has made of the file's mode.
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).unwrap();
    let (done, told) = list_as("--clear-groups");
    assert!(!done && told.contains("only root, the agent's own user and members of the socket's group may change the agent"), "{told}");
    assert_eq!(agent.metrics().value("sidewatch_http_refused_total{reason=\"peer\"}"), Some(1.0));
    assert_eq!(list_as("--groups=0"), (true, String::new()), "a member of its group");
}
