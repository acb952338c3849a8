//! Problems of the configuration without its secrets: a picture shows the line that a problem is on, and a message what was found there.

use serde_json::Value;

use super::Config;
use crate::diagnostic::{Diagnostic, nearest};

/// The sections in which there are secrets.
const GUARDED: [&str; 2] = ["notify", "heartbeat"];

/// Keys in them whose values are no secrets. What follows any other key, known or misspelt, is not shown.
const OPEN: [&str; 22] = [
    "ca_file",
    "cert_file",
    "credentials_file",
    "enabled",
    "every",
    "fallback",
    "fallback_after",
    "key_file",
    "method",
    "name",
    "password_file",
    "per_minute_max",
    "queue_max",
    "resend_delay",
    "server_name",
    "silences_max",
    "timeout",
    "type",
    "username",
    // Their values are maps and lists, whose keys are looked at in turn.
    "journal",
    "tls",
    "tls_config",
];

/// Keys in them behind which there are maps and lists, and a secret where somebody has forgotten that.
const ABOVE: [&str; 7] = ["notify", "heartbeat", "alertmanagers", "webhooks", "commands", "basic_auth", "authorization"];

/// Keys in them whose values are secrets.
const SECRET: [&str; 3] = ["credentials", "password", "url"];

/// What may stand around keys.
const PUNCTUATION: [char; 11] = [' ', '\t', '-', '{', '}', '[', ']', ',', '"', '\'', '\r'];

/// Hides what may be a secret in a problem of a configuration file with this text.
pub(super) fn hide_secrets(problem: &mut Diagnostic, text: &str) {
    let named = GUARDED.iter().any(|section| problem.message.starts_with(section));
    if named || is_guarded(text, problem.position.line) {
        hide(problem);
    }
}

/// Hides what may be a secret in a problem of a file that is about credentials and nothing else.
pub fn hide(problem: &mut Diagnostic) {
    if let Some((line, _)) = &mut problem.source {
        *line = hidden(line);
    }
    // A key that nobody knows may be a secret where one was forgotten; one that is nearly known is none.
    let is_misspelt = problem.hint.as_ref().is_some_and(|hint| hint.starts_with("did you mean"));
    if let Some(name) = problem.message.strip_prefix("unknown key `").and_then(|rest| rest.strip_suffix('`')).filter(|_| !is_misspelt) {
        let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '[' | ']');
        let above = name.get(..name.find(|c| !sound(c)).unwrap_or(name.len())).and_then(|name| name.rsplit_once('.'));
        problem.message = format!("unknown key in `{}`", above.map_or("", |(above, _)| above));
    }
    // What was found instead is told by its kind alone.
    if let Some((before, rest)) = problem.message.split_once("invalid type: ")
        && let Some((found, expected)) = rest.rsplit_once(", expected ")
    {
        let kind = found.split(' ').next().unwrap_or_default();
        problem.message = format!("{before}invalid type: {kind}, expected {expected}");
    }
}

/// Whether a line is in a section with secrets, or in one that might be meant for such a one.
fn is_guarded(text: &str, line: usize) -> bool {
    let sections = serde_json::to_value(Config::default()).unwrap_or_default();
    let sections = || sections.as_object().into_iter().flatten().map(|(name, _): (&String, &Value)| name.as_str());
    let above: Vec<_> = text.lines().take(line).collect();
    let section = above.iter().rev().find_map(|line| {
        let first = line.chars().next().filter(|c| !c.is_whitespace() && *c != '#')?;
        // A document that is one map in braces has no lines for its sections.
        Some(keys(line).first().filter(|_| first != '{').map(|key| key.name))
    });
    let meant = section.flatten().and_then(|name| nearest(name, sections()));
    meant.is_none_or(|section| GUARDED.contains(&section))
}

/// A key on a line.
struct Key<'l> {
    name: &'l str,
    /// The byte at which it begins, and the one behind its colon.
    bytes: (usize, usize),
}

/// Whatever is a key on a line, or might be one.
fn keys(line: &str) -> Vec<Key<'_>> {
    let key = |(colon, _): (usize, &str)| {
        let (before, after) = line.split_at_checked(colon)?;
        let is_plain = before.ends_with(['"', '\'']) || after.chars().nth(1).is_none_or(char::is_whitespace);
        let before = before.trim_end_matches([' ', '"', '\'']);
        let start = before.rfind(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '-'));
        let start = start.map_or(0, |byte| byte + before.get(byte..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8));
        let name = before.get(start..)?;
        // One that is known counts without the space behind it, too, which may be what is wrong.
        let is_known = || OPEN.contains(&name) || ABOVE.contains(&name) || SECRET.contains(&name);
        (is_plain || is_known()).then_some(Key { name, bytes: (start, colon + 1) })
    };
    line.match_indices(':').filter_map(key).collect()
}

/// The line with a mark for each letter from the first one on that may be part of a secret, so that columns stay what they are.
fn hidden(line: &str) -> String {
    let (shown, rest) = line.split_at_checked(harmless(line)).unwrap_or(("", line));
    shown.chars().chain(rest.chars().map(|_| '*')).collect()
}

/// How many bytes of a line are harmless.
fn harmless(line: &str) -> usize {
    let (mut from, mut what) = (0, What::Above);
    let end = Key { name: "", bytes: (line.len(), line.len()) };
    for key in keys(line).into_iter().chain([end]) {
        let part = line.get(from..key.bytes.0).unwrap_or_default();
        let secret = match what {
            // A comment, though, may hold anything.
            What::Open => part.find(" #").or_else(|| part.find("://")),
            What::Above => part.find(|c| !PUNCTUATION.contains(&c)),
            // Also where another key seems to follow: a secret may look like one.
            What::Secret => line.get(from..).unwrap_or_default().find(|c: char| !c.is_whitespace()),
        };
        if let Some(secret) = secret {
            return from + secret;
        }
        (from, what) = (key.bytes.1, What::stands_behind(key.name));
    }
    line.len()
}

/// What stands behind a key.
enum What {
    Open,
    Above,
    Secret,
}

impl What {
    fn stands_behind(key: &str) -> Self {
        match key {
            key if OPEN.contains(&key) => Self::Open,
            key if ABOVE.contains(&key) => Self::Above,
            _ => Self::Secret,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::source::tests::problems_of;

    #[test]
    fn a_line_is_shown_up_to_what_may_be_a_secret() {
        for (line, shown) in [
            ("  - {name: w, timeout: 1s, url: http://a, x: y}", "  - {name: w, timeout: 1s, url: ***************"),
            ("      password: hunter2", "      password: *******"),
            ("      pasword: 'a, name: b'", "      pasword: ************"),
            ("      \"password\":\"é\"}", "      \"password\":****"),
            ("    basic_auth: me:hunter2", "    basic_auth: **********"),
            ("    basic_auth: {username: me, password: x", "    basic_auth: {username: me, password: *"),
            ("  webhooks: [http://a/b]", "  webhooks: [***********"),
            ("  - http://a/b", "  - **********"),
            ("    url:http://a/b", "    url:**********"),
            ("  - {name: w, url:https://a/b}", "  - {name: w, url:************"),
            ("    every: 'https://a/b'", "    every: 'https*******"),
            ("    name: w # http://a/b", "    name: w*************"),
            ("    hunter2, name: b}", "    *****************"),
            ("    password: >-", "    password: **"),
            ("    timeout: 1d1", "    timeout: 1d1"),
            ("  - name: w", "  - name: w"),
            ("  alertmanagers:", "  alertmanagers:"),
            ("", ""),
        ] {
            assert_eq!(hidden(line), shown);
        }
    }

    /// Every key of the sections has to be looked at when it is made: is its value a secret?
    #[test]
    fn all_keys_of_the_sections_are_known_here() {
        let not_secret = ["command", "external_labels", "external_url"]; // not shown all the same: they may hold some
        let schema = crate::config::json_schema();
        let mut names = Vec::new();
        let of = |name: &str| schema["properties"][name]["$ref"].as_str().unwrap_or_default().trim_start_matches("#/$defs/").to_owned();
        let mut waiting: Vec<String> = GUARDED.map(of).to_vec();
        while let Some(name) = waiting.pop() {
            for (key, property) in schema["$defs"][&name]["properties"].as_object().into_iter().flatten() {
                names.push(key.clone());
                let text = property.to_string();
                let references = text.split("#/$defs/").skip(1).filter_map(|rest| rest.split('"').next());
                waiting.extend(references.map(str::to_owned));
            }
        }
        assert!(names.len() > 30, "{names:?}");
        names.retain(|name| ![&OPEN[..], &ABOVE, &SECRET, &not_secret].concat().contains(&name.as_str()));
        assert_eq!(names, Vec::<String>::new(), "is it a secret?");
    }

    #[test]
    fn no_problem_shows_a_secret() {
        for text in [
            "notify: {alertmanagers: [{url: 'http://a', basic_auth: {username: u, password: 918273645}}]}",
            "notify:\n  alertmanagers:\n  - basic_auth: me:hidden645\n",
            "notify:\n  alertmanagers:\n  - url: http://me:hidden645@a\n",
            "notify:\n  alertmanagers:\n  - url: http://a/hidden645\n  - url: http://a/hidden645\n",
            "notify:\n  alertmanagers:\n  - url: http://a\n    basic_auth: {username: u, pasword: hidden645}\n",
            "notify:\n  alertmanagers:\n  - url: http://a\n    basic_auth:\n      username: u\n      pasword: hidden645\n",
            "notify:\n  alertmanagers:\n  - url: http://a\n    authorization: Bearer hidden645\n",
            "notify:\n  alertmanagers:\n  - url: http://a\n    authorization:\n      credentials: [hidden645]\n",
            "notify:\n  alertmanagers:\n  - url: http://a\n    authorization:\n      credentials: *hidden645\n",
            "notify:\n  alertmanagers:\n  - url: http://a\n    authorization: {credentials: 'hidden645}\n",
            "notify:\n  webhooks: [\"http://a/hidden645\"]\n",
            "notify:\n  webhooks:\n  - url: hidden645/a\n",
            "notify:\n  webhooks:\n  - url: http://a/hidden645 645\n",
            "notfy:\n  webhooks: http://a/hidden645\n",
            "noti: {webhooks: [{url: http://a/hidden645}]}\n",
            "heartbeat: http://a/hidden645\n",
            "heartbeat: {url: [http://a/hidden645]}\n",
            "heartbeat: {url: http://a/hidden645, evry: 1}\n",
            "heartbeat: {every: 1m, url:https://a/hidden645}\n",
            "notify:\n  webhooks:\n  - {name: w, url:https://hooks.example/hidden645}\n",
            "notify:\n  alertmanagers:\n  - {url: 'http://a', basic_auth: {username: u, password:hidden645}}\n",
            "notify:\n  alertmanagers:\n  - {url: 'http://a', authorization: {Bearer hidden645}}\n",
            "notify:\n  alertmanagers:\n  - {url: 'http://a', authorization: {hidden645}}\n",
            "{\n\"heartbeat\":\n{\"url\":\"http://a/hidden645\",\n\"evry\":\"hidden645\"}}\n",
        ] {
            let problems = problems_of(text);
            assert!(!problems.is_empty(), "{text}");
            for problem in problems {
                let told = format!("{problem}\n{}\n{problem:?}", problem.render(false));
                assert!(!told.contains("645"), "{text}\n{told}");
            }
        }
    }

    #[test]
    fn what_is_no_secret_is_shown_and_the_caret_stands_where_it_did() {
        let problems = problems_of(
            "http:\n  listn: [a]\nnotify:\n  resend_delay: 1ms\n  webhooks:\n  - {name: '', url: http://a/b, per_minute_max: 0}\n",
        );
        let pictures: Vec<_> = problems.iter().map(|problem| problem.render(false)).collect();
        let shown = |number: usize, what: &str| assert!(pictures[number].contains(what), "{}", pictures[number]);
        shown(0, "  listn: [a]");
        shown(1, "  resend_delay: 1ms");
        shown(2, "  - {name: '', url: ********");
        shown(3, "a.yml:6:49");
        assert_eq!(pictures.len(), 4);
    }
}
