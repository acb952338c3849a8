//! The house keeps its order: which room may import which, and which files stay pure. `ARCHITECTURE.md` says why.

#![allow(clippy::expect_used, clippy::indexing_slicing)] // a test may fail

use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Lowest first. A room imports from lower layers only; rooms of one layer never see each other.
const LAYERS: &[&[&str]] = &[
    &["model"],
    &["clock", "diagnostic", "telemetry"],
    &["runtime"],
    &["exposition", "history", "registry"],
    &["collect", "ingest", "promql", "recorder"],
    &["health", "rules"],
    &["notify"],
    &["http"],
    &["config"],
    &["app"],
    &["cli"],
];

/// Rooms, and files of other rooms, that do I/O or wait. Everything else gets the time as an argument and opens nothing.
const IMPURE: &[&str] = &[
    "/task.rs",
    "app/",
    "cli/",
    "clock/",
    "collect/hostfs.rs",
    "collect/prober.rs",
    "config/source.rs",
    "health/listener.rs",
    "history/archive/folder.rs",
    "history/archive/keeper.rs",
    "http/control/peer.rs",
    "http/control/serve.rs",
    "http/listen.rs",
    "http/outbox.rs",
    "http/patient.rs",
    "http/serve.rs",
    "ingest/accept.rs",
    "ingest/datagram.rs",
    "ingest/guests.rs",
    "ingest/listener.rs",
    "ingest/peer/",
    "ingest/session.rs",
    "main.rs",
    "notify/client.rs",
    "notify/connect.rs",
    "notify/journald.rs",
    "notify/post.rs",
    "notify/process.rs",
    "notify/silence/keeper.rs",
    "notify/store.rs",
    "notify/tls.rs",
    "registry/journal/folder.rs",
    "registry/journal/keeper.rs",
    "registry/journal/progress.rs",
    "registry/journal/writer.rs",
    "rules/load.rs",
    "rules/pen.rs",
    "runtime/",
    "telemetry/",
];

/// What a pure file does not name.
const FORBIDDEN: &[&str] = &["tokio", "SystemTime", "Instant"];
const FORBIDDEN_IN_STD: &[&str] = &["fs", "net", "env", "process", "thread"];

const READ: &str = "read \"The layers\" in ARCHITECTURE.md";

#[test]
fn the_house_is_in_order() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut faults = Vec::new();
    for file in rust_files(&source) {
        let name = file.strip_prefix(&source).expect("inside src").to_string_lossy().into_owned();
        faults.extend(faults_in(&name, &fs::read_to_string(&file).expect("readable")));
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn the_list_of_layers_is_the_order_in_lib_rs() {
    let lib = include_str!("../src/lib.rs");
    let declared: Vec<_> = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert_eq!(declared, LAYERS.concat(), "src/lib.rs and LAYERS in tests/architecture.rs differ; {READ}");
}

#[test]
fn this_test_notices_what_it_is_there_for() {
    let doc = "//! Words.\n";
    let fault = |name: &str, code: &str| faults_in(name, &format!("{doc}{code}")).join("\n");
    assert_eq!(fault("registry/a.rs", "use crate::model::Labels;\nuse crate::registry::b;"), "");
    assert!(
        fault("registry/a.rs", "\nuse crate::http::State;")
            .starts_with("src/registry/a.rs:3: registry imports http, which is not below it")
    );
    assert!(fault("registry/a.rs", "fn f() { crate::history::g() }").contains("registry imports history"));
    assert!(fault("registry/a.rs", "use crate::attic::X;").contains("no room is called attic"));
    assert!(fault("http/a.rs", "use crate::{model, registry};").contains("one path"));
    assert!(fault("http/a.rs", "use crate::*;").contains("one path"));
    assert!(fault("http/a.rs", "pub mod b;").contains("entered by its door"));
    assert!(fault("lib.rs", "pub use model::Labels;").contains("re-exports nothing"));
    assert!(fault("rules/alert.rs", "use std::time::Instant;").contains("names Instant"));
    assert!(fault("rules/alert.rs", "use std::{fmt, fs};").contains("names std::fs"));
    assert!(fault("rules/alert.rs", "fn f() { std::env::var(\"X\"); }").contains("names std::env"));
    assert_eq!(fault("rules/task.rs", "use tokio::sync::watch;"), "");
    assert_eq!(fault("rules/alert.rs", "#[cfg(test)]\nmod tests { use std::fs; use crate::http::X; }\nfn f() {}"), "");
    assert!(fault("rules/alert.rs", "#[cfg(test)]\nmod tests { }\nuse std::fs;").contains("names std::fs"));
    assert!(faults_in("rules/alert.rs", "fn f() {}").join("").contains("say what this file is"));
}

fn faults_in(name: &str, code: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut fault = |line: usize, what: String| faults.push(format!("src/{name}:{line}: {what}; {READ}"));
    if !code.starts_with("//!") {
        fault(1, "open with `//!` and say what this file is".into());
    }
    if name.ends_with("/tests.rs") || name.contains("/tests/") {
        return faults;
    }
    let room = name.split('/').next().unwrap_or(name);
    let pure = !IMPURE.iter().any(|part| name.starts_with(part) || part.starts_with('/') && name.ends_with(part) || *part == name);
    let mut tokens = Vec::new();
    flatten(code.parse().expect("the compiler reads it too"), &mut tokens);
    for (index, (token, line)) in tokens.iter().enumerate() {
        let path = |steps: usize| tokens.get(index + steps).map_or("", |(token, _)| token.as_str());
        match token.as_str() {
            "crate" if path(1) == "::" => match (layer(room), layer(path(2))) {
                _ if matches!(path(2), "{" | "*") => fault(*line, "write one path a `use`".into()),
                _ if path(2) == room => {}
                (_, None) => fault(*line, format!("no room is called {}", path(2))),
                (Some(own), Some(other)) if other >= own => fault(*line, format!("{room} imports {}, which is not below it", path(2))),
                _ => {}
            },
            "pub" if path(1) == "mod" && name != "lib.rs" => {
                fault(*line, "a room is entered by its door: `mod`, and `pub use` in mod.rs".into())
            }
            "pub" if path(1) == "use" && name == "lib.rs" => fault(*line, "lib.rs re-exports nothing".into()),
            word if pure && FORBIDDEN.contains(&word) => fault(*line, format!("a pure file names {word}")),
            "std" if pure && path(1) == "::" => {
                let named: Vec<&str> = match path(2) {
                    "{" => tokens[index + 3..].iter().map(|(token, _)| token.as_str()).take_while(|token| *token != "}").collect(),
                    one => vec![one],
                };
                for bad in named.iter().filter(|one| FORBIDDEN_IN_STD.contains(one)) {
                    fault(*line, format!("a pure file names std::{bad}"));
                }
            }
            _ => {}
        }
    }
    faults
}

fn layer(room: &str) -> Option<usize> {
    LAYERS.iter().position(|rooms| rooms.contains(&room)).or((room == "main.rs" || room == "lib.rs").then_some(LAYERS.len()))
}

/// Tokens in a row with their lines, `::` as one, without items under `#[cfg(test)]`.
fn flatten(stream: TokenStream, out: &mut Vec<(String, usize)>) {
    let mut skipping = false;
    for tree in stream {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Group(group)
                if group.delimiter() == Delimiter::Bracket && group.stream().to_string().replace(' ', "") == "cfg(test)" =>
            {
                skipping = true
            }
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Bracket | Delimiter::None => ("[", "]"),
                };
                if !skipping {
                    out.push((open.into(), line));
                    flatten(group.stream(), out);
                    out.push((close.into(), line));
                }
                skipping &= open != "{";
            }
            TokenTree::Punct(punct) if skipping => skipping = punct.as_char() != ';',
            TokenTree::Punct(punct) if punct.as_char() == ':' && out.last().is_some_and(|(last, _)| last == ":") => {
                out.last_mut().expect("just seen").0.push(':');
            }
            tree if !skipping => out.push((tree.to_string(), line)),
            _ => {}
        }
    }
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}
