//! The documentation says what the code does: its tables are made from the code, its links lead somewhere, and the
//! metrics that it names exist. `UPDATE_DOCS=1 cargo test --test docs` writes the tables anew.

#![allow(clippy::expect_used, clippy::panic)] // a test may fail

#[path = "docs/tables.rs"]
mod tables;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use sidewatch::{app, collect, config, health, registry, rules};
use tables::{BLOCKS, LIMITS};

const BEGIN: &str = "<!-- generated: ";
const END: &str = "<!-- end -->";

#[test]
fn the_tables_are_those_of_the_code() {
    let update = std::env::var_os("UPDATE_DOCS").is_some();
    let mut used = BTreeSet::new();
    for file in pages() {
        let text = fs::read_to_string(&file).expect("readable");
        let made = fill(&file, &text, &mut used);
        if update {
            fs::write(&file, made).expect("writable");
        } else if let Some((line, (is, should))) = text.lines().zip(made.lines()).enumerate().find(|(_, (is, should))| is != should) {
            panic!("{}:{}: run `UPDATE_DOCS=1 cargo test --test docs`\n says   {is}\n should {should}", file.display(), line + 1);
        } else {
            assert_eq!(text.len(), made.len(), "{}: run `UPDATE_DOCS=1 cargo test --test docs`", file.display());
        }
    }
    let known: BTreeSet<_> = BLOCKS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(used, known, "blocks in docs/ and in tests/docs/tables.rs differ");
}

#[test]
fn every_limit_of_the_configuration_is_in_the_table() {
    let limit = |key: &str| ["_max", "timeout", "_concurrency", "deadline", "flush_series"].iter().any(|end| key.ends_with(end));
    let table = config::options_table();
    let keys: BTreeSet<&str> = table.lines().filter_map(|row| row.split('`').nth(1)).filter(|key| limit(key)).collect();
    let listed: BTreeSet<&str> = LIMITS.iter().map(|(key, ..)| *key).collect();
    assert_eq!(listed, keys, "LIMITS in tests/docs/tables.rs and the configuration differ");
}

#[test]
fn the_alerts_that_built_in_signals_name_are_in_the_packs() {
    let set = rules::load(&rules::Config::default());
    let alerts: BTreeSet<_> = set.groups.iter().flat_map(|group| group.rules()).map(|rule| rule.name).collect();
    let signals = health::Config::default().signals.into_values().flatten();
    let unknown: Vec<_> = signals.flat_map(|signal| signal.alerts).filter(|name| !alerts.contains(name.as_str())).collect();
    assert!(unknown.is_empty(), "src/health/signal.rs names alerts that no pack has: {unknown:?}");
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut broken = Vec::new();
    for file in pages() {
        let text = prose(&fs::read_to_string(&file).expect("readable"));
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.contains("://") {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = if path.is_empty() { file.clone() } else { file.parent().expect("a folder").join(path) };
            let there = match (path.exists(), anchor) {
                (there, "") => there,
                (false, _) => false,
                (true, anchor) => {
                    fs::read_to_string(&path).expect("readable").lines().any(|line| heading_anchor(line).as_deref() == Some(anchor))
                }
            };
            if !there {
                broken.push(format!("{}: {target}", file.display()));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn every_metric_of_ours_that_is_named_exists() {
    let mut known: BTreeSet<String> = app::metrics().expect("built").into_iter().map(|doc| doc.name).collect();
    known.extend(collect::described().map(|(_, family)| family.name.to_owned()));
    known.extend(registry::described().map(|(name, _)| name.to_owned()));
    let mut unknown = Vec::new();
    for file in pages() {
        let text = fs::read_to_string(&file).expect("readable");
        for word in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| word.starts_with("sidewatch_")) {
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| word.strip_suffix(suffix)).unwrap_or(word);
            if !known.contains(word) && !known.contains(base) && !word.ends_with('_') {
                unknown.push(format!("{}: {word}", file.display()));
            }
        }
    }
    assert!(unknown.is_empty(), "\n{}\n", unknown.join("\n"));
}

/// README and its like, and everything in `docs/`.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages: Vec<PathBuf> = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| root.join(name)).into();
    let folders = ["docs", "docs/runbooks"].map(|folder| fs::read_dir(root.join(folder)).expect("a folder"));
    let docs = folders.into_iter().flatten().map(|entry| entry.expect("readable").path());
    pages.extend(docs.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    pages.sort();
    pages
}

/// A page with what stands between the markers made anew.
fn fill(file: &Path, text: &str, used: &mut BTreeSet<String>) -> String {
    let mut made = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(BEGIN) {
        let (name, after) = after.split_once(" -->\n").unwrap_or_else(|| panic!("{}: a marker without an end", file.display()));
        let (_, after) = after.split_once(END).unwrap_or_else(|| panic!("{}: no {END} after {name:?}", file.display()));
        let Some((_, make)) = BLOCKS.iter().find(|(known, _)| *known == name) else { panic!("{}: what is {name:?}?", file.display()) };
        made.push_str(&format!("{before}{BEGIN}{name} -->\n{}\n{END}", make().trim_end()));
        used.insert(name.to_owned());
        rest = after;
    }
    made + rest
}

/// Without code blocks.
fn prose(text: &str) -> String {
    text.split("```").step_by(2).collect()
}

/// As GitHub makes it.
fn heading_anchor(line: &str) -> Option<String> {
    let title = line.strip_prefix('#')?.trim_start_matches('#').trim().to_lowercase();
    Some(title.chars().filter(|c| c.is_alphanumeric() || "-_ ".contains(*c)).map(|c| if c == ' ' { '-' } else { c }).collect())
}
