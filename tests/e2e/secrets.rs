//! Passwords, tokens and URLs that are as good as these: used, and shown nowhere, also where everything goes wrong.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::thread;

use crate::stage::{Agent, Setup, until};

/// Stands in all secrets of this test.
const SECRET: &str = "hidden645";

/// A server that has nothing, and says of what: the first line of each request is its answer.
fn parrot() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut first, mut line) = (String::new(), String::new());
            let _gone = reader.read_line(&mut first);
            while reader.read_line(&mut line).is_ok_and(|read| read > 2) {}
            let _gone = write!(stream, "HTTP/1.1 404 x\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{first}", first.len());
        }
    });
    address
}

#[test]
fn what_is_secret_is_shown_nowhere() {
    let parrot = parrot();
    let mut setup = Setup::new();
    setup.more = format!(
        "log: {{level: trace}}\nnotify:\n  alertmanagers:\n  - url: http://{parrot}\n    authorization: {{credentials: {SECRET}-token}}\n\
         \x20 webhooks:\n  - name: hook\n    url: http://{parrot}/hook/{SECRET}-hook?key={SECRET}-key\n\
         \x20   basic_auth: {{username: me, password: {SECRET}-password}}\n\
         heartbeat: {{url: 'http://{parrot}/ping/{SECRET}-beat', every: 1s}}\n"
    );
    let rule = "groups: [{name: g, interval: 1s, rules: [{alert: A, expr: vector(1)}]}]";
    fs::write(setup.path("rules/a.yml"), rule).unwrap();
    let agent = setup.start();
    let failing = |part: &str| agent.get("/readyz?verbose").body.lines().any(|line| line.contains(part) && line.contains("it answers 404"));
    until("all of them to be refused", || (failing("notify:hook") && failing("heartbeat") && failing("notify:http")).then_some(()));
    assert!(agent.log().contains("POST /hook/<secret>?key=<secret>"), "{}", agent.log());
    shows_nothing(&agent);
    let configuration = agent.get("/api/v1/status/config").body;
    for shown in
        [&format!("url: http://{parrot}/<secret>"), &format!("url: http://{parrot}\\n"), "password: <secret>", "credentials: <secret>"]
    {
        assert!(configuration.contains(shown), "{shown}: {configuration}");
    }

    let good = agent.setup.configuration();
    for (from, to) in
        [("password:", "pasword:"), ("name: hook", "name: ''"), ("every: 1s", "every: 1ms"), ("{credentials: ", "{credentials: [")]
    {
        let broken = good.replace(from, to);
        assert_ne!(broken, good);
        fs::write(agent.path("sidewatch.yml"), broken).unwrap();
        let checked = Command::new(Agent::program()).args(["check", "--config"]).arg(agent.path("sidewatch.yml")).output().unwrap();
        let said = String::from_utf8_lossy(&[checked.stdout, checked.stderr].concat()).into_owned();
        assert!(checked.status.code() == Some(1) && said.contains("sidewatch.yml:") && !said.contains(SECRET), "{said}");
        let before = agent.log().matches("the configuration was not reloaded").count();
        agent.signal(rustix::process::Signal::HUP);
        until("the reload to fail", || (agent.log().matches("the configuration was not reloaded").count() > before).then_some(()));
    }
    shows_nothing(&agent);
}

fn shows_nothing(agent: &Agent) {
    for path in ["/", "/metrics", "/health", "/readyz?verbose", "/api/v1/status/config", "/api/v1/status/flags", "/api/v1/alertmanagers"] {
        let body = agent.get(path).body;
        assert!(!body.contains(SECRET), "{path}: {body}");
    }
    assert!(!agent.log().contains(SECRET), "{}", agent.log());
}
