//! The rules folder: the only file of this room that reads from disk.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::config::{Config, Packs};
use super::file::UnknownKeys;
use super::set::{RuleSet, Source, assemble};
use crate::diagnostic::Diagnostic;
use crate::model::PromDuration;

/// A larger rule file is refused: it is no rule file.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Reads the rules folder and the packs, and checks all of it. A file is either whole in the set or not at all; what is
/// wrong with the others stands in its problems.
#[must_use]
pub fn load(config: &Config) -> RuleSet {
    let (mut files, mut problems) = (Vec::new(), Vec::new());
    if let Some(folder) = &config.folder {
        match rule_files(folder) {
            Ok(found) => files = found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => problems.push(Diagnostic::of_file(&folder.display().to_string(), format!("cannot be listed: {error}"))),
        }
    }
    let local = files.len();
    let mut warnings = Vec::new();
    for pattern in &config.files {
        let found = matching(pattern);
        if found.is_empty() {
            warnings.push(Diagnostic::of_setting("rules.files", format!("{pattern}: there is no such file")));
        }
        // Whatever several patterns match counts once.
        let new: Vec<_> = found.into_iter().filter(|file| !files.contains(file)).collect();
        files.extend(new);
    }
    let mut set = load_with(config, (&files, local), problems, UnknownKeys::Refused);
    set.warnings.extend(warnings);
    set
}

/// The files that a pattern of `rules.files` matches, in order of their names.
#[must_use]
pub fn matching(pattern: &str) -> Vec<PathBuf> {
    matched(pattern).filter(|path| !path.is_dir()).collect()
}

/// Whatever is there that a pattern matches.
fn matched(pattern: &str) -> impl Iterator<Item = PathBuf> + use<> {
    // As in Prometheus `*` does not reach over `/`, and what cannot be listed holds no files.
    let options = glob::MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };
    glob::glob_with(pattern, options).into_iter().flatten().flatten()
}

/// The folders in which something has to change before a pattern matches other files, at most `max`. Of those that the pattern names without
/// wildcards the last one is among them, also where it is not there, and the one above it.
#[must_use]
pub fn matching_folders(pattern: &str, max: usize) -> Vec<PathBuf> {
    let Some(parent) = Path::new(pattern).parent() else { return Vec::new() };
    let is_literal = |folder: &Path| !folder.to_string_lossy().contains(['*', '?', '[']);
    let above: Vec<&Path> = parent.ancestors().filter(|folder| !folder.as_os_str().is_empty()).collect();
    let named = above.iter().filter(|folder| is_literal(folder)).take(2).map(|folder| folder.to_path_buf());
    // From above, so that the deepest ones are left out where there are too many.
    let wild = above.iter().rev().filter(|folder| !is_literal(folder));
    let found = wild.flat_map(|folder| matched(&folder.to_string_lossy())).filter(|path| path.is_dir());
    named.chain(found).take(max).collect()
}

/// Reads these files instead of those in the rules folder, and the packs.
#[must_use]
pub fn load_files(config: &Config, files: &[PathBuf]) -> RuleSet {
    load_with(config, (files, 0), Vec::new(), UnknownKeys::Refused)
}

/// The first so many of the files are those of the rules folder.
fn load_with(config: &Config, (files, local): (&[PathBuf], usize), mut problems: Vec<Diagnostic>, unknown: UnknownKeys) -> RuleSet {
    let mut sources = Vec::new();
    for (index, file) in files.iter().enumerate() {
        let name = file.display().to_string();
        match read_file(file) {
            Ok(text) => sources.push(Source { name, text, is_local: index < local }),
            Err(error) => problems.push(Diagnostic::of_file(&name, format!("cannot be read: {error}"))),
        }
    }
    assemble(config, sources, problems, unknown)
}

/// Reads these files alone, without the packs.
#[must_use]
pub fn load_only(files: &[PathBuf]) -> RuleSet {
    load_at(files, Config::default().interval)
}

/// As [`load_only`], but keys that nobody knows are ignored: other programs have a use for them.
#[must_use]
pub fn load_ignoring_unknown(files: &[PathBuf]) -> RuleSet {
    let config = Config { packs: Packs::all(false), ..Config::default() };
    load_with(&config, (files, 0), Vec::new(), UnknownKeys::Ignored)
}

/// As [`load_only`], with the interval of groups that name none.
#[must_use]
pub fn load_at(files: &[PathBuf], interval: PromDuration) -> RuleSet {
    load_files(&Config { packs: Packs::all(false), interval, ..Config::default() }, files)
}

/// The files that count, in order of their names. Links are followed: Kubernetes mounts a ConfigMap as links.
fn rule_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let named = path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml");
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if named && !hidden && !path.is_dir() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The text of a file that a person wrote.
///
/// # Errors
/// When it cannot be read, is no file, or is far too large for what it should be.
pub fn read_file(path: &Path) -> io::Result<String> {
    // Before it is opened: to open a pipe is to wait for its writer.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("it is larger than {FILE_BYTES_MAX} bytes")));
    }
    let utf16 = |unit: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes.as_chunks::<2>();
        let letters = char::decode_utf16(pairs.iter().skip(1).map(|pair| unit(*pair))).collect::<Result<String, _>>();
        letters.ok().filter(|_| rest.is_empty()).ok_or_else(|| io::Error::other("it begins as UTF-16 and is not"))
    };
    // As YAML has it, by the byte order mark.
    match bytes.as_slice() {
        [0xff, 0xfe, ..] => utf16(u16::from_le_bytes),
        [0xfe, 0xff, ..] => utf16(u16::from_be_bytes),
        _ => String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &[u8])]) -> (tempfile::TempDir, Config) {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            fs::write(folder.path().join(name), text).expect("written");
        }
        let config = Config { folder: Some(folder.path().to_owned()), packs: Packs::all(false), ..Config::default() };
        (folder, config)
    }

    fn group(name: &str) -> Vec<u8> {
        format!("groups: [{{name: {name}}}]").into_bytes()
    }

    #[test]
    fn rule_files_are_read_in_order_and_others_left_alone() {
        let (folder, config) = folder(&[
            ("b.yml", &group("b")),
            ("a.yaml", &group("a")),
            ("c.txt", b"no rules"),
            (".d.yml", b"no rules"),
            ("e.yml~", b"no rules"),
        ]);
        fs::create_dir(folder.path().join("tests.yml")).expect("made");
        let set = load(&config);
        assert_eq!(set.groups.iter().map(|group| group.name()).collect::<Vec<_>>(), ["a", "b"]);
        assert!(set.problems.is_empty(), "{:?}", set.problems);
    }

    #[test]
    fn what_cannot_be_read_is_said_and_the_rest_loads() {
        let (folder, config) = folder(&[("a.yml", &group("a")), ("b.yml", b"\xff"), ("c.yml", b"groups: 1")]);
        fs::File::create(folder.path().join("d.yml")).expect("made").set_len(FILE_BYTES_MAX + 1).expect("stretched");
        std::os::unix::fs::symlink("nowhere", folder.path().join("e.yml")).expect("linked");
        let pipe = folder.path().join("f.yml");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).expect("made");
        let set = load(&config);
        assert_eq!(set.groups.len(), 1);
        let lines: Vec<_> = set.problems.iter().map(ToString::to_string).collect();
        assert_eq!((lines.len(), set.broken), (5, 5), "{lines:?}");
        let all = lines.join("\n");
        for part in [
            "b.yml:1:1: cannot be read",
            "c.yml:1:9: groups",
            "larger than 4194304 bytes",
            "e.yml:1:1: cannot be read",
            "f.yml:1:1: cannot be read: it is not a regular file",
        ] {
            assert!(all.contains(part), "{part} in {all}");
        }
    }

    #[test]
    fn a_file_in_utf_16_is_read() {
        let bytes = |unit: fn(u16) -> [u8; 2]| "\u{feff}groups: [{name: 日𝄞}]".encode_utf16().flat_map(unit).collect::<Vec<_>>();
        let (little, big) = (bytes(u16::to_le_bytes), bytes(u16::to_be_bytes));
        let (_folder, config) =
            folder(&[("a.yml", &little), ("b.yml", &big), ("c.yml", &little[..little.len() - 1]), ("d.yml", b"\xff\xfe\x00\xd8")]);
        let set = load(&config);
        assert_eq!(set.groups.iter().map(|group| group.name()).collect::<Vec<_>>(), ["日𝄞", "日𝄞"]);
        assert_eq!(set.problems.len(), 2);
        assert!(
            set.problems.iter().all(|problem| problem.message == "cannot be read: it begins as UTF-16 and is not"),
            "{:?}",
            set.problems
        );
    }

    #[test]
    fn files_by_pattern_join_those_of_the_folder_once() {
        let (folder, mut config) = folder(&[("b.yml", &group("b"))]);
        let more = folder.path().join("more");
        for (name, text) in [("x/1.rules", "x"), ("x/2.rules", "y"), ("y/1.rules", "z")] {
            fs::create_dir_all(more.join(name).parent().expect("a folder")).expect("made");
            fs::write(more.join(name), group(text)).expect("written");
        }
        let pattern = |text: &str| folder.path().join(text).display().to_string();
        config.files = ["more/*/[1].rules", "more/x/?.rules", "*.yml", "more/*.rules"].map(pattern).to_vec();
        let set = load(&config);
        assert_eq!(set.groups.iter().map(|group| group.name()).collect::<Vec<_>>(), ["b", "x", "z", "y"]);
        assert!(set.problems.is_empty(), "{:?}", set.problems);
        assert_eq!(
            set.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [format!("rules.files: {}: there is no such file", config.files[3])]
        );
        assert_eq!(Config { files: vec!["a[".into()], ..Config::default() }.check().len(), 1);
    }

    #[test]
    fn a_folder_that_does_not_exist_holds_no_rules() {
        let config = Config { folder: Some("/does/not/exist".into()), ..Config::default() };
        assert!(load(&config).problems.is_empty());
    }
}
