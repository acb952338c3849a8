//! The silences of a running agent, and the file that they are kept in: written anew as a whole at each change, one line a
//! silence, `CRC32 JSON`. What cannot be read there is never written over.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::rand::{GetRandomFlags, getrandom};
use tokio::sync::watch;

use super::book::{Book, Draft, Refusal, Silence};
use super::written::{Written, read_kept};
use crate::clock;
use crate::notify::Config;

/// Where it is in the state folder, beside the ledger.
const FOLDER: &str = "notify";
const FILE: &str = "silences";
const UNFINISHED: &str = "silences.new";

/// All silences; cloning it is cheap. What changes them waits for the disk, so it is for a thread that may.
#[derive(Clone, Debug)]
pub struct Silences(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    book: watch::Sender<Arc<Book>>,
    config: watch::Receiver<Arc<Config>>,
    /// `None` where nothing is kept.
    folder: Option<PathBuf>,
    /// Why nothing is kept, where it should be.
    unkept: Option<String>,
    /// Held while they are changed.
    fault: Mutex<Option<Fault>>,
}

/// What is wrong between the silences in force and those on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fault {
    /// There are some on disk that nobody could read: nothing may be written over them.
    Unread(String),
    /// There were some that make no sense: they are in another file now.
    SetAside(String),
    /// The disk has not taken the last change.
    Unwritten(String),
}

impl Silences {
    /// Brings back what the state folder holds; without one they last as long as the agent.
    #[must_use]
    pub fn open(state: Option<&Path>, config: watch::Receiver<Arc<Config>>) -> Self {
        let folder = state.map(|state| state.join(FOLDER));
        let (mut book, fault) = folder.as_deref().map(load).unwrap_or_default();
        book.forget(config.borrow().silences_max, clock::now());
        Self(Arc::new(Shared { book: watch::Sender::new(Arc::new(book)), config, folder, unkept: None, fault: Mutex::new(fault) }))
    }

    /// Those of an agent that has no state folder, and why it has none: each says so that is made.
    #[must_use]
    pub fn in_memory(why: &str, config: watch::Receiver<Arc<Config>>) -> Self {
        let book = watch::Sender::default();
        Self(Arc::new(Shared { book, config, folder: None, unkept: Some(why.to_owned()), fault: Mutex::new(None) }))
    }

    /// All of them, now.
    pub(crate) fn book(&self) -> Arc<Book> {
        Arc::clone(&self.0.book.borrow())
    }

    /// All that are remembered, by name.
    #[must_use]
    pub fn all(&self) -> Vec<Silence> {
        self.book().all().cloned().collect()
    }

    /// One by its name.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<Silence> {
        self.book().get(id).cloned()
    }

    /// Makes or changes one, and answers its name.
    ///
    /// # Errors
    /// When it makes no sense, or there are too many.
    pub fn set(&self, draft: Draft) -> Result<String, Refusal> {
        let most = self.0.config.borrow().silences_max;
        let id = random_id().map_err(|error| Refusal::Invalid(format!("the system has no random number for its name: {error}")))?;
        self.change(|book| book.set(draft, id, most, clock::now()))
    }

    /// Ends one.
    ///
    /// # Errors
    /// When it is not known, or over already.
    pub fn expire(&self, id: &str) -> Result<(), Refusal> {
        self.change(|book| book.expire(id, clock::now()))
    }

    /// Why they are not on disk as they are, or those on disk are not in force.
    pub(in crate::notify) fn fault(&self) -> Option<String> {
        let fault = self.0.fault.try_lock().ok().and_then(|fault| fault.clone());
        fault.map(|fault| match fault {
            Fault::Unread(why) => format!("those on disk cannot be read, and none can be made or changed: {why}"),
            Fault::SetAside(what) => what,
            Fault::Unwritten(why) => format!("in memory alone: {why}"),
        })
    }

    fn change<T>(&self, change: impl FnOnce(&mut Book) -> Result<T, Refusal>) -> Result<T, Refusal> {
        let mut fault = self.0.fault.lock().unwrap_or_else(PoisonError::into_inner);
        let mut book = Book::clone(&self.book());
        if let (Some(Fault::Unread(_)), Some(folder)) = (&*fault, &self.0.folder) {
            // Somebody may have put it right.
            (book, *fault) = load(folder);
        }
        if let Some(Fault::Unread(why)) = &*fault {
            return Err(Refusal::Unreadable(why.clone()));
        }
        let answer = change(&mut book)?;
        let unwritten = match &self.0.folder {
            Some(folder) => write(folder, &book).err().map(|error| error.to_string()),
            None => self.0.unkept.clone(),
        };
        *fault = unwritten.map(|reason| {
            // Whoever is woken at night is helped by one that is in force until the next start, too.
            tracing::error!(reason, "the silences cannot be written to disk; they are in force until the agent ends");
            Fault::Unwritten(reason)
        });
        self.0.book.send_replace(Arc::new(book));
        Ok(answer)
    }
}

/// A random UUID. Source: RFC 9562, section 5.4.
fn random_id() -> io::Result<String> {
    let mut bytes = [0_u8; 16];
    let filled = getrandom(&mut bytes, GetRandomFlags::empty())?;
    if filled < bytes.len() {
        return Err(io::Error::other("too few bytes"));
    }
    let number = u128::from_be_bytes(bytes) & !(0xf << 76) & !(0x3 << 62) | 4 << 76 | 2 << 62;
    let mut id = format!("{number:032x}");
    for place in [20, 16, 12, 8] {
        id.insert(place, '-');
    }
    Ok(id)
}

/// What is on disk, and what of it could not be read.
fn load(folder: &Path) -> (Book, Option<Fault>) {
    let file = folder.join(FILE);
    let unread = |error: io::Error| {
        tracing::error!(file = %file.display(), %error, "the silences on disk cannot be read; none can be made or changed");
        Some(Fault::Unread(format!("{}: {error}", file.display())))
    };
    let bytes = match fs::read(&file) {
        Ok(bytes) => bytes,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Default::default(),
        Err(error) => return (Book::default(), unread(error)),
    };
    let lines: Vec<_> = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    let silences: Vec<_> = lines.iter().filter_map(|line| parse(line)).collect();
    let damaged = lines.len() - silences.len();
    let book = Book::of(silences);
    if damaged == 0 {
        return (book, None);
    }
    // One may be of a newer version, or can be mended by hand.
    let aside = folder.join(format!("{FILE}.damaged.{}", clock::now().as_millis()));
    match fs::hard_link(&file, &aside).and_then(|()| write(folder, &book)) {
        Ok(()) => {
            let what = format!("{damaged} could not be read and are not in force; they are kept in {}", aside.display());
            tracing::error!("of the silences on disk {what}");
            (book, Some(Fault::SetAside(what)))
        }
        Err(error) => {
            // There may be no such file, and none is to be left at each attempt.
            let _absent = fs::remove_file(&aside);
            (book, unread(error))
        }
    }
}

fn parse(line: &[u8]) -> Option<Silence> {
    let (sum, json) = line.split_at_checked(9)?;
    let sum = u32::from_str_radix(std::str::from_utf8(sum).ok()?.trim_end(), 16).ok()?;
    (sum == crc32fast::hash(json)).then(|| read_kept(json))?
}

fn write(folder: &Path, book: &Book) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o750).create(folder)?;
    let mut lines = Vec::new();
    for silence in book.all() {
        let json = serde_json::to_vec(&Written::of(silence, None))?;
        lines.extend_from_slice(format!("{:08x} ", crc32fast::hash(&json)).as_bytes());
        lines.extend_from_slice(&json);
        lines.push(b'\n');
    }
    let unfinished = folder.join(UNFINISHED);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o640).open(&unfinished)?;
    file.write_all(&lines)?;
    file.sync_all()?;
    fs::rename(unfinished, folder.join(FILE))?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::notify::silence::parse_matcher;

    fn open(state: &Path) -> Silences {
        let (sender, receiver) = watch::channel(Arc::new(Config::default()));
        drop(sender);
        Silences::open(Some(state), receiver)
    }

    fn draft() -> Draft {
        let now = clock::now();
        let matchers = vec![parse_matcher("a=~\"x\ny|ü\"").expect("a matcher")];
        let (created_by, comment) = ("me".to_owned(), "a \"reason\"\n".to_owned());
        Draft { id: None, matchers, starts_at: now, ends_at: now + Duration::from_hours(1), created_by, comment }
    }

    #[test]
    fn what_is_set_is_on_disk_when_it_is_answered() {
        let state = tempfile::tempdir().expect("a folder");
        let silences = open(state.path());
        let (one, other) = (silences.set(draft()).expect("valid"), silences.set(draft()).expect("valid"));
        silences.expire(&one).expect("known");
        assert_eq!(open(state.path()).all(), silences.all());
        assert!(silences.get(&other).is_some() && silences.fault().is_none());
        let file = state.path().join("notify/silences");
        let mut bytes = fs::read(&file).expect("readable");
        bytes[20] ^= 1;
        let damaged = bytes.clone();
        fs::write(&file, bytes).expect("written");
        let silences = open(state.path());
        assert_eq!(silences.all().len(), 1, "one is damaged");
        let told = silences.fault().expect("told");
        let aside = told.rsplit(' ').next().expect("a file");
        assert!(told.starts_with("1 could not be read"), "{told}");
        silences.set(draft()).expect("valid");
        assert_eq!(fs::read(aside).expect("kept"), damaged);
        let again = open(state.path());
        assert!(again.fault().is_none() && again.all() == silences.all(), "it is told once");
    }

    #[test]
    fn without_a_state_folder_a_silence_says_that_it_will_not_last() {
        let (_config, receiver) = watch::channel(Arc::new(Config::default()));
        let silences = Silences::in_memory("cannot use the state folder /a", receiver);
        assert_eq!(silences.fault(), None, "there is none to lose");
        silences.set(draft()).expect("in force");
        assert_eq!((silences.all().len(), silences.fault().as_deref()), (1, Some("in memory alone: cannot use the state folder /a")));
    }

    #[test]
    fn what_can_be_read_holds_also_where_the_rest_cannot_be_set_aside() {
        let state = tempfile::tempdir().expect("a folder");
        let folder = state.path().join("notify");
        open(state.path()).set(draft()).expect("valid");
        let mut bytes = fs::read(folder.join(FILE)).expect("readable");
        bytes.extend_from_slice(b"00000000 damaged\n");
        fs::write(folder.join(FILE), &bytes).expect("written");
        fs::create_dir(folder.join(UNFINISHED)).expect("in the way");
        let silences = open(state.path());
        assert_eq!(silences.all().len(), 1);
        assert!(silences.set(draft()).is_err() && silences.fault().is_some());
        let left = fs::read_dir(&folder).expect("a folder").filter_map(Result::ok).map(|entry| entry.file_name());
        assert_eq!(left.filter(|name| name.to_string_lossy().contains("damaged")).count(), 0, "one at each attempt");
        assert_eq!(fs::read(folder.join(FILE)).expect("readable"), bytes);
    }

    #[test]
    fn what_nobody_can_read_is_not_written_over() {
        let state = tempfile::tempdir().expect("a folder");
        let file = state.path().join("notify/silences");
        let before = open(state.path());
        before.set(draft()).expect("valid");
        let elsewhere = state.path().join("elsewhere");
        fs::rename(&file, &elsewhere).expect("moved");
        // Root may read every file, but no folder as one.
        fs::create_dir(&file).expect("made");
        let silences = open(state.path());
        let refused = silences.set(draft()).expect_err("refused").to_string();
        assert!(refused.contains("cannot be read") && refused.contains("notify/silences: "), "{refused}");
        assert!(silences.fault().is_some_and(|why| why.contains("none can be made")) && silences.all().is_empty());
        fs::remove_dir(&file).expect("removed");
        fs::rename(&elsewhere, &file).expect("moved");
        silences.set(draft()).expect("it was put right");
        assert!(silences.fault().is_none());
        assert!(before.all().iter().all(|one| silences.get(&one.id).as_ref() == Some(one)) && silences.all().len() == 2);
    }

    #[test]
    fn one_that_cannot_be_written_is_in_force_all_the_same() {
        let state = tempfile::tempdir().expect("a folder");
        fs::write(state.path().join("notify"), "in the way").expect("written");
        let silences = open(state.path());
        silences.set(draft()).expect("in force");
        assert!(silences.fault().is_some() && silences.all().len() == 1);
    }

    #[test]
    fn names_are_random_uuids() {
        let (one, other) = (random_id().expect("random"), random_id().expect("random"));
        assert_ne!(one, other);
        let lengths: Vec<_> = one.split('-').map(str::len).collect();
        assert_eq!((lengths, one.as_bytes()[14]), (vec![8, 4, 4, 4, 12], b'4'));
        assert!(b"89ab".contains(&one.as_bytes()[19]), "{one}");
    }
}
