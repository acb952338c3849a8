//! `sidewatch check rules` accepts and rejects what `promtool check rules` (2.42, Debian's) does: rule files in the styles of the
//! community's collections, and thousands of variants of them, each broken, or not, in a place of its own.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a test may fail

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;

/// Variants of each file; `SIDEWATCH_VARIANTS` sets another number.
const VARIANTS: u64 = 120;

/// What stands in a variant for something else, or is put somewhere.
const PIECES: [&str; 46] = [
    "",
    "(",
    ")",
    "[5m]",
    "[5m:1m]",
    "[",
    "}",
    "{{",
    "}}",
    "\"",
    "'",
    "`",
    ":",
    "-",
    " ",
    "\n",
    "  ",
    "#",
    "by (job)",
    "on ()",
    "group_left",
    "rate",
    "sum",
    "and",
    "offset",
    "bool",
    "5m",
    "1.5.5",
    "1h30",
    "0",
    "alert",
    "record",
    "expr",
    "for",
    "labels",
    "annotations",
    "keep_firing_for",
    "limit",
    "name",
    "interval",
    "$labels",
    "$value",
    "humanize",
    "{{ end }}",
    "==",
    "!~",
];

/// What promtool 2.42 says of files that are accepted here, if nothing else is wrong with them; docs/rules.md says so.
const KNOWN: [&str; 1] = [
    // Label names may hold any characters since 3.0.
    "parse error: unexpected metric identifier \"[^\"]*\" in grouping opts",
];

/// A small generator (xorshift64*): the variants are the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).expect("it fits") % bound.max(1)
    }
}

fn files() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["tests/rule_corpus", "rules"] {
        let entries = std::fs::read_dir(root.join(folder)).expect("a folder").map(|entry| entry.expect("an entry").path());
        files.extend(entries.filter(|path| path.extension().is_some_and(|extension| extension == "yml")));
    }
    files.sort();
    files
}

/// A text with one or two things changed: a line gone, twice, or in another place, a word gone or replaced, a piece put in.
fn variant(text: &str, random: &mut Random) -> String {
    let mut text = text.to_owned();
    for _ in 0..=random.below(2) {
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let line = random.below(lines.len());
        text = match random.below(6) {
            0 => lines.iter().enumerate().filter(|(index, _)| *index != line).map(|(_, text)| *text).collect(),
            1 => lines.iter().enumerate().flat_map(|(index, text)| vec![*text; if index == line { 2 } else { 1 }]).collect(),
            2 => {
                let mut lines = lines.clone();
                let other = random.below(lines.len());
                lines.swap(line, other);
                lines.concat()
            }
            kind => {
                let ends: Vec<usize> = text
                    .char_indices()
                    .map(|(index, _)| index)
                    .filter(|index| {
                        let here = text[*index..].chars().next().is_some_and(char::is_alphanumeric);
                        let before = text[..*index].chars().next_back().is_some_and(char::is_alphanumeric);
                        here != before
                    })
                    .collect();
                let start = ends[random.below(ends.len())];
                let end = if kind == 3 { start } else { ends.iter().copied().find(|end| *end > start).unwrap_or(text.len()) };
                format!("{}{}{}", &text[..start], PIECES[random.below(PIECES.len())], &text[end..])
            }
        };
    }
    text
}

/// Whether each file is accepted: both print a line for each. There is no verdict on a file of which nothing is said but what is `forgiven`.
fn verdicts(program: &OsStr, arguments: &[&str], files: &[PathBuf], forgiven: &[Regex]) -> std::io::Result<BTreeMap<PathBuf, bool>> {
    let mut verdicts = BTreeMap::new();
    for files in files.chunks(500) {
        let output = Command::new(program).args(["check", "rules"]).args(arguments).args(files).output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut file = None;
        for line in said.lines() {
            if let Some(path) = line.strip_prefix("Checking ") {
                verdicts.insert(PathBuf::from(path), false);
                file = Some(PathBuf::from(path));
            } else if line.starts_with("  SUCCESS") {
                verdicts.extend(file.take().map(|file| (file, true)));
            }
        }
        assert_eq!(output.status.success(), files.iter().all(|file| verdicts[file]), "the exit code says whether all are accepted");
        let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
        for file in files.iter().filter(|_| !forgiven.is_empty()) {
            let name = format!("{}: ", file.display());
            let mut lines = complaints.lines().filter(|line| line.starts_with(&name)).peekable();
            if lines.peek().is_some() && lines.all(|line| forgiven.iter().any(|part| part.is_match(line))) {
                verdicts.remove(file);
            }
        }
    }
    Ok(verdicts)
}

/// Rule files that use YAML in every way, and the verdict of both.
fn yaml_shapes() -> Vec<(String, bool)> {
    let rule = |more: &str| format!("groups: [{{name: g, rules: [{{alert: A, expr: up, {more}}}]}}]\n");
    let labels = |labels: &str| rule(&format!("labels: {{{labels}}}"));
    let merged = |labels: &str| {
        format!(
            "groups:\n- name: g\n  rules:\n  - {{alert: A, expr: up, labels: &l {{v: 1.10}}}}\n  - {{alert: B, expr: up, labels: {labels}}}\n"
        )
    };
    let group = |more: &str| format!("groups: [{{name: g, {more}}}]\n");
    // A few bytes that stand for a billion values, and rules that are used again as often as people do.
    let bomb = |depth: usize, first: &str, last: &str| {
        let lists =
            (1..=depth).map(|level| format!("{first}a{level}: &a{level} [{}]{last}", vec![format!("*a{}", level - 1); 10].join(", ")));
        lists.collect::<String>()
    };
    let reused = |groups: usize| {
        let rules: String = (0..20).map(|rule| format!("  - {{alert: A{rule}, expr: up}}\n")).collect();
        let groups: String = (0..groups).map(|group| format!("- name: g{group}\n  rules: *r\n")).collect();
        format!("groups:\n- name: g\n  rules: &r\n{rules}{groups}")
    };
    let mut shapes = Vec::new();
    let mut add = |valid: bool, texts: Vec<String>| shapes.extend(texts.into_iter().map(|text| (text, valid)));
    // Durations: nothing is none, an empty text is no duration.
    add(true, ["for: ", "for: ~", "for: null", "for: 0", "for: 0s", "for: '5m'", "for: \"1h30m\""].map(rule).to_vec());
    add(
        false,
        ["for: ''", "for: \"\"", "for: ' '", "for: 5", "for: -5m", "for: 5M", "for: 1m1h", "for: [5m]", "for: {}"].map(rule).to_vec(),
    );
    add(true, ["interval: ", "interval: 0s", "interval: ~, limit: 5", "limit: 0x10", "limit: -5", "limit: "].map(group).to_vec());
    add(false, ["interval: ''", "interval: \"\"", "limit: '5'", "limit: [5]", "limit: x"].map(group).to_vec());
    let recording = |more: &str| format!("groups: [{{name: g, rules: [{{record: a, expr: up, {more}}}]}}]\n");
    add(true, ["for: 0s", "for: ", "annotations: ", "annotations: {}"].map(recording).to_vec());
    add(false, ["for: ''", "for: 5m", "annotations: {a: b}"].map(recording).to_vec());
    // Scalars of all kinds are texts.
    add(
        true,
        ["v: 1.10, w: 0x10, o: 010, b: yes, e: 1e3, n: ~, d: 2001-01-01, i: .inf, u: 1_000", "a: !!str 5", "a: ''", "yes: b"]
            .map(labels)
            .to_vec(),
    );
    add(false, ["v: [a]", "v: {a: b}", "1: b", "a-b: c", "__name__: x", "a: b, a: c", "[a]: b"].map(labels).to_vec());
    // Merge keys, and what they may not be.
    add(
        true,
        ["{<<: *l}", "{<<: *l, x: 1.20}", "{v: b, <<: *l}", "{<<: *l, v: b}", "{<<: [*l, {w: 1}]}", "{<<: {w: 1}}", "*l"]
            .map(merged)
            .to_vec(),
    );
    add(false, ["{<<: a}", "{<<: [a]}", "{<<: *l, <<: *l}", "{'<<': a}", "{<<: *m}", "{<<: {w-x: 1}}"].map(merged).to_vec());
    let rules = |second: &str| format!("groups:\n- name: g\n  rules:\n  - &r {{alert: A, expr: up, for: 5m}}\n  - {second}\n");
    add(
        true,
        ["{<<: *r, alert: B, for: 1m}", "{alert: C, <<: *r}", "*r", "{<<: [{alert: D}, *r]}", "{alert: &n E, expr: *n}"]
            .map(rules)
            .to_vec(),
    );
    add(false, ["{<<: *r, record: b}", "{<<: {x: 1}, alert: B, expr: up}", "{<<: *r, alert: B, alert: C}"].map(rules).to_vec());
    let whole = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    // Documents, marks and ends of lines.
    add(
        true,
        whole(&[
            "groups: []\n---\ngroups: [\n",
            "groups: []\n---\nfoo: 1\n",
            "groups: []\n...\n",
            "groups: []\n...\ngroups: [\n",
            "---\n---\ngroups: [\n",
            "# a\n---\n# b\n---\ngroups: [\n",
            "groups: []\n--- {groups: [\n",
            "\u{feff}groups: []\n",
            "groups:\r\n- name: g\r\n  rules: []\r\n",
            "~\n",
            "",
        ]),
    );
    // What is no rule file.
    add(
        false,
        whole(&[
            "- a\n",
            "a\n",
            "groups: {}\n",
            "groups: a\n",
            "groups: [{name: g, rules: {}}]\n",
            "groups: [{name: , rules: []}]\n",
            "groups: [{name: [a]}]\n",
            "groups: []\ngroups: []\n",
            "groups: [{name: g, name: h}]\n",
            "groups: [{name: g}, {name: g}]\n",
            "foo: 1\ngroups: []\n",
            "x: &x {}\ngroups: []\n",
            "groups: [{name: g, rules: [{alert: A, alert: B, expr: up}]}]\n",
            "groups:\n\t- name: g\n",
            "groups: []\n\0",
            "groups: []\n# \u{1}\n",
            "groups: *g\n",
            "groups: &g\n- name: g\n  rules: *g\n",
        ]),
    );
    add(true, vec![reused(200)]);
    add(
        false,
        vec![
            format!("a0: &a0 [x]\n{}groups: []\n", bomb(9, "", "\n")),
            labels(&format!("a: &a0 [x]{}", bomb(9, ", ", ""))),
            reused(8_000),
            format!("groups: {}{}\n", "[".repeat(5_000), "]".repeat(5_000)),
        ],
    );
    shapes
}

#[test]
fn yaml_means_what_it_means_to_promtool() {
    let folder = tempfile::tempdir().expect("a folder");
    let shapes = yaml_shapes();
    let write = |(number, (text, _)): (usize, &(String, bool))| {
        let path = folder.path().join(format!("{number:03}.yml"));
        std::fs::write(&path, text).expect("written");
        path
    };
    let files: Vec<PathBuf> = shapes.iter().enumerate().map(write).collect();
    let ours = verdicts(OsStr::new(env!("CARGO_BIN_EXE_sidewatch")), &["--lint", "none"], &files, &[]).expect("it is there");
    let theirs = promtool(&files, &[]);
    let shown = |file: &PathBuf, text: &str| format!("{}: {:?}", file.display(), text.chars().take(300).collect::<String>());
    let wrong: Vec<_> =
        files.iter().zip(&shapes).filter(|(file, (_, valid))| ours[*file] != *valid).map(|(file, (text, _))| shown(file, text)).collect();
    assert!(wrong.is_empty(), "another verdict than expected here:\n{}", wrong.join("\n"));
    let theirs = theirs.unwrap_or(ours);
    let differ: Vec<_> =
        files.iter().zip(&shapes).filter(|(file, (_, valid))| theirs[*file] != *valid).map(|(file, (text, _))| shown(file, text)).collect();
    assert!(differ.is_empty(), "another verdict there:\n{}", differ.join("\n"));
}

/// What promtool says, or nothing where it is not installed.
fn promtool(files: &[PathBuf], forgiven: &[Regex]) -> Option<BTreeMap<PathBuf, bool>> {
    let named = std::env::var_os("SIDEWATCH_PROMTOOL");
    match verdicts(named.as_deref().unwrap_or(OsStr::new("promtool")), &["--lint=none"], files, forgiven) {
        Ok(theirs) => Some(theirs),
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("SKIPPED: the comparison with promtool, which is not installed");
            None
        }
        Err(error) => panic!("promtool: {error}"),
    }
}

#[test]
fn what_promtool_accepts_is_accepted_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let variants = std::env::var("SIDEWATCH_VARIANTS").map_or(VARIANTS, |number| number.parse().expect("a number"));
    // 2.42 reads these three as nodes of YAML, and takes a map in their place for an empty text.
    let nodes = Regex::new(r"(?m)\b(record|alert|expr): *([*&].*)?$").expect("valid");
    let mut written = files();
    for (seed, file) in (1..).zip(files()) {
        let text = std::fs::read_to_string(&file).expect("readable");
        let mut random = Random(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        let name = file.file_stem().expect("a name").to_string_lossy().into_owned();
        for number in 0..variants {
            let variant = variant(&text, &mut random);
            if nodes.find_iter(&variant).count() > nodes.find_iter(&text).count() {
                continue;
            }
            let path = folder.path().join(format!("{name}-{number:05}.yml"));
            std::fs::write(&path, variant).expect("written");
            written.push(path);
        }
    }
    let ours = verdicts(OsStr::new(env!("CARGO_BIN_EXE_sidewatch")), &["--lint", "none"], &written, &[]).expect("it is there");
    for file in files() {
        assert!(ours[&file], "{} is valid", file.display());
    }
    let Some(theirs) = promtool(&written, &KNOWN.map(|said| Regex::new(said).expect("valid"))) else { return };
    let differ: Vec<_> = written.iter().filter(|file| theirs.get(*file).is_some_and(|accepted| *accepted != ours[*file])).collect();
    let accepted = written.iter().filter(|file| theirs.get(*file) == Some(&true)).count();
    eprintln!("{} files, {accepted} accepted by promtool", written.len());
    if !differ.is_empty() {
        let kept = folder.keep();
        let shown: Vec<_> =
            differ.iter().map(|file| format!("{}: here {}, there {}", file.display(), ours[*file], theirs[*file])).collect();
        panic!("{} of {} files (in {}):\n{}", differ.len(), written.len(), kept.display(), shown.join("\n"));
    }
}
