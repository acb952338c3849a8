//! The `notify` section of the configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::secret::Secret;
use super::url::{SecretUrl, url_fault};
use crate::model::{PromDuration, is_label_name};

/// The `notify` section of the configuration.
#[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Labels that every alert gets on its way out, where it has none of that name. Default: `instance`, with the value of
    /// the key `instance` above.
    pub external_labels: Option<BTreeMap<String, String>>,
    /// Where this agent is reached from outside, for the link in every notification (`generatorURL`). Without it there is no link.
    pub external_url: Option<String>,
    /// How often an Alertmanager is told again of an alert that goes on firing; for four times as long it takes it for
    /// firing without being told.
    pub resend_delay: PromDuration,
    /// The Alertmanagers. Every alert goes to each of them.
    pub alertmanagers: Vec<Alertmanager>,
    /// Webhooks that take what Alertmanager sends to webhooks.
    pub webhooks: Vec<Webhook>,
    /// Commands that are started with the same JSON on their standard input.
    pub commands: Vec<Command>,
    /// The systemd journal.
    pub journal: Journal,
    /// How long all Alertmanagers have to be unreachable before targets with `fallback: true` are told instead.
    pub fallback_after: PromDuration,
    /// How many notifications may wait for one target. Beyond it the oldest go first that are over already: an alert that
    /// fired and resolved and of which nothing was told.
    pub queue_max: usize,
    /// How many silences there may be that are not over, and how many of those that are over are remembered; at most 10,000. One with a
    /// certain value for some label (`alertname=A`, `instance=~"a|b"`) is looked up; one with patterns alone is compared with each alert
    /// whenever a silence begins, ends or is changed.
    pub silences_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            external_labels: None,
            external_url: None,
            resend_delay: PromDuration::from_secs(60),
            alertmanagers: Vec::new(),
            webhooks: Vec::new(),
            commands: Vec::new(),
            journal: Journal::default(),
            fallback_after: PromDuration::from_secs(300),
            queue_max: 10_000,
            silences_max: 1000,
        }
    }
}

/// An Alertmanager.
#[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Alertmanager {
    /// Where it is: `http://host:9093`, with its path prefix where it has one. In metrics and logs it is called by this URL.
    pub url: String,
    /// How long it may take to answer.
    pub timeout: PromDuration,
    /// User and password.
    pub basic_auth: Option<BasicAuth>,
    /// A token.
    pub authorization: Option<Authorization>,
    /// For `https`.
    pub tls: Tls,
}

impl Default for Alertmanager {
    fn default() -> Self {
        Self { url: String::new(), timeout: PromDuration::from_secs(10), basic_auth: None, authorization: None, tls: Tls::default() }
    }
}

impl Alertmanager {
    /// Where it takes alerts: its API, version 2.
    #[must_use]
    pub fn alerts_url(&self) -> String {
        format!("{}/api/v2/alerts", self.url.trim_end_matches('/'))
    }
}

/// A webhook.
#[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Webhook {
    /// What it is called here, in metrics and in the payload's `receiver`.
    pub name: String,
    /// Where it is. Only its host is shown anywhere: of many webhooks the path is as good as a password.
    pub url: SecretUrl,
    /// How long it may take to answer.
    pub timeout: PromDuration,
    /// User and password.
    pub basic_auth: Option<BasicAuth>,
    /// A token.
    pub authorization: Option<Authorization>,
    /// For `https`.
    pub tls: Tls,
    /// Told only while no Alertmanager can be reached.
    pub fallback: bool,
    /// How many requests it gets in a minute at most; alerts that wait go together.
    pub per_minute_max: usize,
}

impl Default for Webhook {
    fn default() -> Self {
        Self {
            name: String::new(),
            url: SecretUrl::default(),
            timeout: PromDuration::from_secs(10),
            basic_auth: None,
            authorization: None,
            tls: Tls::default(),
            fallback: false,
            per_minute_max: 60,
        }
    }
}

/// A command.
#[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Command {
    /// What it is called here, in metrics and in the payload's `receiver`.
    pub name: String,
    /// The program, by its absolute path, and its arguments. There is no shell.
    pub command: Vec<String>,
    /// How long it may run; then it is killed, with what it has started.
    pub timeout: PromDuration,
    /// Told only while no Alertmanager can be reached.
    pub fallback: bool,
    /// How many times it is started in a minute at most; alerts that wait go together.
    pub per_minute_max: usize,
}

impl Default for Command {
    fn default() -> Self {
        Self { name: String::new(), command: Vec::new(), timeout: PromDuration::from_secs(10), fallback: false, per_minute_max: 60 }
    }
}

/// The systemd journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Journal {
    /// Whether every alert that fires or resolves is an entry there.
    pub enabled: bool,
    /// Told only while no Alertmanager can be reached.
    pub fallback: bool,
}

/// User and password.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BasicAuth {
    /// The user.
    pub username: String,
    /// The password.
    pub password: Option<Secret>,
    /// A file that holds the password; it is read each time.
    pub password_file: Option<PathBuf>,
}

/// A token.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Authorization {
    /// The scheme, the first word of the header.
    #[serde(rename = "type")]
    pub scheme: String,
    /// The token.
    pub credentials: Option<Secret>,
    /// A file that holds the token; it is read each time.
    pub credentials_file: Option<PathBuf>,
}

impl Default for Authorization {
    fn default() -> Self {
        Self { scheme: "Bearer".to_owned(), credentials: None, credentials_file: None }
    }
}

/// For `https`.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// The certificates that a server's has to descend from, in PEM. Default: those that the system trusts.
    pub ca_file: Option<PathBuf>,
    /// This client's own certificate and those it descends from, in PEM.
    pub cert_file: Option<PathBuf>,
    /// Its key, in PEM.
    pub key_file: Option<PathBuf>,
    /// The name that the server's certificate has to have. Default: the host of the URL.
    pub server_name: Option<String>,
}

/// A key of the section and what is wrong with its value. Steps are keys and, for elements of lists, numbers.
type Fault = (String, String);

impl Config {
    /// Whether there is anyone to tell.
    #[must_use]
    pub fn has_targets(&self) -> bool {
        !self.alertmanagers.is_empty() || !self.webhooks.is_empty() || !self.commands.is_empty() || self.journal.enabled
    }

    /// Everything that is wrong with it: where (`webhooks.0.url`), and what.
    #[must_use]
    pub fn check(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let least = |faults: &mut Vec<Fault>, path: String, value: PromDuration, millis: i64| {
            let least = PromDuration::from_millis(millis.unsigned_abs());
            if value < least {
                faults.push((path, format!("{value} is too short; it is at least {least}")));
            }
        };
        least(&mut faults, "resend_delay".into(), self.resend_delay, 1000);
        if self.queue_max == 0 {
            faults.push(("queue_max".into(), "0 is too little; it is at least 1".into()));
        }
        for name in self.external_labels.iter().flatten().map(|(name, _)| name).filter(|name| !is_label_name(name)) {
            faults.push(("external_labels".into(), format!("{name:?} is not the name of a label")));
        }
        if let Some(error) = self.external_url.as_deref().and_then(url_fault) {
            faults.push(("external_url".into(), error));
        }
        let mut names = BTreeSet::from(["journal"]);
        for (number, one) in self.alertmanagers.iter().enumerate() {
            let path = format!("alertmanagers.{number}");
            least(&mut faults, format!("{path}.timeout"), one.timeout, 10);
            faults.extend(http_faults(&path, &one.url, one.basic_auth.as_ref(), one.authorization.as_ref(), &one.tls));
            if one.url.contains('?') {
                faults.push((format!("{path}.url"), "the URL of an Alertmanager ends with its path; it has no query".to_owned()));
            }
            if !names.insert(&one.url) {
                faults.push((format!("{path}.url"), "it stands there twice".to_owned()));
            }
        }
        for (number, one) in self.webhooks.iter().enumerate() {
            let path = format!("webhooks.{number}");
            least(&mut faults, format!("{path}.timeout"), one.timeout, 10);
            faults.extend(http_faults(&path, one.url.reveal(), one.basic_auth.as_ref(), one.authorization.as_ref(), &one.tls));
            faults.extend(name_fault(&path, &one.name, &mut names));
            faults.extend(rate_fault(&path, one.per_minute_max));
        }
        for (number, one) in self.commands.iter().enumerate() {
            let path = format!("commands.{number}");
            least(&mut faults, format!("{path}.timeout"), one.timeout, 10);
            if !one.command.first().is_some_and(|program| program.starts_with('/')) {
                faults.push((format!("{path}.command"), "it begins with the absolute path of a program".into()));
            }
            faults.extend(name_fault(&path, &one.name, &mut names));
            faults.extend(rate_fault(&path, one.per_minute_max));
        }
        let fallback = self.webhooks.iter().map(|one| one.fallback).chain(self.commands.iter().map(|one| one.fallback));
        if self.alertmanagers.is_empty() && fallback.chain([self.journal.enabled && self.journal.fallback]).any(|fallback| fallback) {
            faults.push(("alertmanagers".into(), "there is none, so a target with `fallback: true` would never be told anything".into()));
        }
        faults
    }
}

fn name_fault<'a>(path: &str, name: &'a str, names: &mut BTreeSet<&'a str>) -> Option<Fault> {
    let fault = match name {
        "" => "it is empty; give it one".to_owned(),
        name if !names.insert(name) => format!("{name:?} is the name of another target"),
        _ => return None,
    };
    Some((format!("{path}.name"), fault))
}

fn rate_fault(path: &str, per_minute_max: usize) -> Option<Fault> {
    (per_minute_max == 0).then(|| (format!("{path}.per_minute_max"), "0 is too little; it is at least 1".to_owned()))
}

/// What is wrong with what is known of a server; `path` is where it stands, empty for the section itself.
pub(super) fn http_faults(path: &str, url: &str, basic: Option<&BasicAuth>, token: Option<&Authorization>, tls: &Tls) -> Vec<Fault> {
    let place = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    let mut faults: Vec<Fault> = url_fault(url).map(|fault| (place("url"), fault)).into_iter().collect();
    let mut fault = |key: &str, text: &str| faults.push((place(key), text.to_owned()));
    if basic.is_some() && token.is_some() {
        fault("authorization", "there is basic_auth as well; only one of them can be sent");
    }
    if let Some(basic) = basic {
        if basic.username.is_empty() {
            fault("basic_auth.username", "it is empty");
        }
        match (&basic.password, &basic.password_file) {
            (Some(_), Some(_)) => fault("basic_auth", "it has password and password_file; only one of them can be meant"),
            (None, None) => fault("basic_auth", "it has neither password nor password_file"),
            _ => {}
        }
    }
    if let Some(token) = token {
        match (&token.credentials, &token.credentials_file) {
            (Some(_), Some(_)) => fault("authorization", "it has credentials and credentials_file; only one of them can be meant"),
            (None, None) => fault("authorization", "it has neither credentials nor credentials_file"),
            _ => {}
        }
        if token.scheme.is_empty() || !token.scheme.bytes().all(|byte| byte.is_ascii_graphic()) {
            fault("authorization.type", "it is not one word");
        }
    }
    if tls.cert_file.is_some() != tls.key_file.is_some() {
        fault("tls", "cert_file and key_file go together");
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let config: Config = serde_yaml::from_str(text).expect("readable");
        config.check().into_iter().map(|(path, fault)| format!("{path}: {fault}")).collect()
    }

    #[test]
    fn what_cannot_work_is_named_with_its_place() {
        assert_eq!(faults("{}"), Vec::<String>::new());
        assert_eq!(
            faults("{alertmanagers: [{url: 'http://a:9093'}], webhooks: [{name: w, url: 'https://b/x?y=1'}]}"),
            Vec::<String>::new()
        );
        for (text, fault) in [
            ("alertmanagers: [{url: 'http://a'}, {url: 'ftp://b'}]", "alertmanagers.1.url: it is not a URL with http or https and a host"),
            ("alertmanagers: [{url: 'http://a'}, {url: 'http://a'}]", "alertmanagers.1.url: it stands there twice"),
            (
                "alertmanagers: [{url: 'http://u:hidden@a'}]",
                "alertmanagers.0.url: user and password do not belong in a URL, but under basic_auth",
            ),
            (
                "alertmanagers: [{url: 'http://a?token=hidden'}]",
                "alertmanagers.0.url: the URL of an Alertmanager ends with its path; it has no query",
            ),
            ("webhooks: [{url: 'http://a'}]", "webhooks.0.name: it is empty; give it one"),
            ("webhooks: [{name: journal, url: 'http://a'}]", "webhooks.0.name: \"journal\" is the name of another target"),
            ("commands: [{name: c, command: [echo]}]", "commands.0.command: it begins with the absolute path of a program"),
            (
                "alertmanagers: [{url: 'http://a', basic_auth: {username: u, password: p, password_file: f}}]",
                "alertmanagers.0.basic_auth: it has password and password_file; only one of them can be meant",
            ),
            ("alertmanagers: [{url: 'https://a', tls: {cert_file: a}}]", "alertmanagers.0.tls: cert_file and key_file go together"),
            (
                "journal: {enabled: true, fallback: true}",
                "alertmanagers: there is none, so a target with `fallback: true` would never be told anything",
            ),
            ("external_labels: {a-b: c}", "external_labels: \"a-b\" is not the name of a label"),
            ("resend_delay: 1ms", "resend_delay: 1ms is too short; it is at least 1s"),
        ] {
            assert_eq!(faults(text), [fault], "{text}");
        }
    }
}
