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
const KNOWN: [&str; 2] = [
    // An explicit empty duration is none.
    "empty duration string",
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
    let named = std::env::var_os("SIDEWATCH_PROMTOOL");
    let theirs = match verdicts(
        named.as_deref().unwrap_or(OsStr::new("promtool")),
        &["--lint=none"],
        &written,
        &KNOWN.map(|said| Regex::new(said).expect("valid")),
    ) {
        Ok(theirs) => theirs,
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("skipped: promtool is not installed");
            return;
        }
        Err(error) => panic!("promtool: {error}"),
    };
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
