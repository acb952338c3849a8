//! Notices when the configuration or a rule file changes.
//!
//! Folders are watched, not files: an editor renames, Kubernetes swaps a symbolic link, and both are events of the
//! folder. Any event only raises the question; the answer is a comparison of the files' contents. It is asked every
//! minute as well, for file systems that send no events.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use crate::rules;
use crate::runtime::{Panicked, blocking};

/// Writers need a moment to finish.
const DEBOUNCE: Duration = Duration::from_millis(500);
const POLL: Duration = Duration::from_mins(1);
/// Nobody waits longer for a look: a file system may hang.
const PATIENCE: Duration = Duration::from_secs(10);
/// More of a file is not compared: no file that is loaded is larger.
const BYTES_MAX: u64 = 4 << 20;
/// Of a pattern no more folders are watched; in others it takes the minute.
const FOLDERS_MAX: usize = 100;

/// A folder with what the system knows it by: another one may have taken its name.
type Folder = (PathBuf, u64, u64);

/// Where to look: one configuration file, one folder of rules, and patterns of further rule files.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Places {
    config: PathBuf,
    rules: PathBuf,
    patterns: Vec<String>,
}

/// What was found there.
struct Look {
    fingerprint: u64,
    folders: BTreeSet<Folder>,
    /// Watches these folders; `None` where they are watched already.
    watcher: Option<notify::Result<RecommendedWatcher>>,
}

/// Watches these places.
pub(super) struct Files {
    places: Places,
    /// 0: nobody has looked yet.
    seen: u64,
    /// When the contents are compared next.
    due: Instant,
    /// A look that has not ended. There are no two, for each has a thread that hangs where a file system does.
    looking: Option<BoxFuture<'static, Result<Look, Panicked>>>,
    events: mpsc::Receiver<()>,
    wake: mpsc::Sender<()>,
    watched: BTreeSet<Folder>,
    /// Dropped to end the watch; `None` where the system gives none, and the poll alone has to do.
    watcher: Option<RecommendedWatcher>,
}

impl Files {
    /// Nobody has looked yet.
    pub(super) fn new(config: &Path, rules: &Path, patterns: &[String]) -> Self {
        let (wake, events) = mpsc::channel(1);
        Self {
            places: Places::new(config, rules, patterns),
            seen: 0,
            due: Instant::now(),
            looking: None,
            events,
            wake,
            watched: BTreeSet::new(),
            watcher: None,
        }
    }

    /// Takes what is there now as seen. To be called before the files are read: what is written from then on counts as
    /// a change. Where a file system hangs it is not waited for long.
    pub(super) async fn mark(&mut self) {
        if let Ok(fingerprint) = timeout(PATIENCE, self.look()).await {
            self.seen = fingerprint;
        }
    }

    /// Watches this folder of rules and these patterns from now on, and takes what is there now as seen if it is another one than before.
    pub(super) async fn watch(&mut self, rules: &Path, patterns: &[String]) {
        let places = Places::new(&self.places.config, rules, patterns);
        // Whatever is there is watched anew.
        self.watched.clear();
        self.due = Instant::now();
        if self.places != places {
            (self.places, self.looking, self.seen) = (places, None, 0);
            self.mark().await;
        }
    }

    /// Waits until the contents have changed. Cancel safe: what it has heard, when it looks next and a look that has begun are kept.
    pub(super) async fn changed(&mut self) {
        loop {
            if self.looking.is_none() {
                tokio::select! {
                    // Cannot end: this holds a sender. The first event counts, so that many cannot put the look off.
                    _ = self.events.recv() => {
                        self.due = self.due.min(Instant::now() + DEBOUNCE);
                        continue;
                    }
                    () = sleep_until(self.due) => {}
                }
            }
            let now = self.look().await;
            let seen = std::mem::replace(&mut self.seen, now);
            if ![0, now].contains(&seen) {
                return;
            }
        }
    }

    /// Looks, where that may take for ever, or waits for the look that has begun. What the contents are is the answer.
    async fn look(&mut self) -> u64 {
        let looking = self.looking.get_or_insert_with(|| {
            self.due = Instant::now() + POLL;
            let (places, wake, watched) = (self.places.clone(), self.wake.clone(), self.watched.clone());
            blocking(move || places.look(&wake, &watched)).boxed()
        });
        let look = looking.await;
        self.looking = None;
        match look {
            Ok(Look { fingerprint, folders, watcher }) => {
                self.watched = folders;
                if let Some(watcher) = watcher {
                    let told = |error: &_| tracing::warn!(%error, "cannot watch for changes; looking every minute");
                    self.watcher = watcher.inspect_err(told).ok();
                }
                fingerprint
            }
            Err(panicked) => {
                tracing::error!(%panicked, "cannot look for changes");
                self.seen
            }
        }
    }
}

impl Places {
    /// A name alone is one in the folder where the agent runs, which then has to be found above it.
    fn new(config: &Path, rules: &Path, patterns: &[String]) -> Self {
        let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let patterns = patterns.iter().map(|pattern| whole(Path::new(pattern)).to_string_lossy().into_owned());
        Self { config: whole(config), rules: whole(rules), patterns: patterns.collect() }
    }

    /// Watches the folders that are there where they are other ones than before, if only by their names.
    fn look(&self, wake: &mpsc::Sender<()>, watched: &BTreeSet<Folder>) -> Look {
        // In place of a folder that does not exist the nearest one above it, in which it would be made.
        let nearest = |folder: &Path| {
            let found = folder.ancestors().find(|folder| folder.is_dir())?;
            fs::metadata(found).ok().map(|now| (found.to_owned(), now.dev(), now.ino()))
        };
        let folders = [self.config.parent(), Some(self.rules.as_path()), self.rules.parent()];
        let of_patterns: Vec<PathBuf> = self.patterns.iter().flat_map(|pattern| rules::matching_folders(pattern, FOLDERS_MAX)).collect();
        let folders: BTreeSet<Folder> =
            folders.into_iter().flatten().chain(of_patterns.iter().map(PathBuf::as_path)).filter_map(nearest).collect();
        // Watched before it is looked at, so that nothing is missed in between.
        let watcher = (folders != *watched).then(|| watcher(&folders, wake.clone()));
        Look { fingerprint: fingerprint(&self.config, &self.rules, &self.patterns), folders, watcher }
    }
}

fn watcher(folders: &BTreeSet<Folder>, wake: mpsc::Sender<()>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Looking at a file is an event as well, and this agent looks.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            // A full queue says already what there is to say.
            let _full = wake.try_send(());
        }
    })?;
    for (folder, ..) in folders {
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
    }
    Ok(watcher)
}

/// Changes when a file does, in content or in name; a file that cannot be read counts as empty. Never zero.
fn fingerprint(config: &Path, folder: &Path, patterns: &[String]) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut add = |path: &Path| (path, content(path)).hash(&mut hasher);
    add(config);
    let mut files: Vec<PathBuf> = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml"));
    files.sort();
    files.extend(patterns.iter().flat_map(|pattern| rules::matching(pattern)));
    files.iter().for_each(|path| add(path));
    hasher.finish() | 1
}

fn content(path: &Path) -> Vec<u8> {
    let mut content = Vec::new();
    // Opening anything but a file might wait for ever. What could not be read in full is compared as far as it goes.
    if path.is_file()
        && let Ok(file) = File::open(path)
    {
        let _partial = file.take(BYTES_MAX).read_to_end(&mut content);
    }
    content
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is there now is seen.
    async fn files(config: &Path, rules: &Path, patterns: &[String]) -> Files {
        let mut files = Files::new(config, rules, patterns);
        files.mark().await;
        files
    }

    async fn notices(change: impl FnOnce(&Path)) {
        let folder = tempfile::tempdir().expect("a folder");
        let rules = folder.path().join("rules");
        fs::create_dir(&rules).expect("made");
        fs::create_dir(folder.path().join("..data")).expect("made");
        fs::write(folder.path().join("..data/sidewatch.yml"), "a").expect("written");
        std::os::unix::fs::symlink("..data/sidewatch.yml", folder.path().join("sidewatch.yml")).expect("linked");
        let mut files = files(&folder.path().join("sidewatch.yml"), &rules, &[]).await;
        change(folder.path());
        tokio::time::timeout(Duration::from_secs(20), files.changed()).await.expect("noticed");
    }

    #[tokio::test]
    async fn of_names_alone_the_folder_is_watched_where_the_agent_runs() {
        let files = files(Path::new("sidewatch.yml"), Path::new("rules"), &["more/*.yml".to_owned(), "*.rules".to_owned()]).await;
        let here = std::env::current_dir().expect("there");
        let watched: Vec<_> = files.watched.iter().map(|(folder, ..)| folder.clone()).collect();
        assert!(watched.contains(&here) && watched.iter().all(|folder| folder.is_absolute()), "{watched:?}");
        assert_eq!(files.places.patterns, [here.join("more/*.yml"), here.join("*.rules")].map(|pattern| pattern.display().to_string()));
    }

    #[tokio::test]
    async fn a_written_file_is_noticed() {
        notices(|folder| fs::write(folder.join("rules/new.yml"), "b").expect("written")).await;
    }

    #[test]
    fn a_file_that_a_pattern_matches_counts() {
        let folder = tempfile::tempdir().expect("a folder");
        let pattern = [folder.path().join("*.rules").display().to_string()];
        let now = || fingerprint(Path::new("none"), Path::new("none"), &pattern);
        let before = now();
        fs::write(folder.path().join("a.rules"), "a").expect("written");
        assert_ne!(now(), before);
    }

    /// Waits for a change in what `conf.d/*/rules/*.rules` matches, and then for another one.
    async fn notices_behind_a_pattern(prepare: impl FnOnce(&Path), change: impl FnOnce(&Path), more: impl FnOnce(&Path)) {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        prepare(root);
        let pattern = [root.join("conf.d/*/rules/*.rules").display().to_string()];
        let mut files = files(&root.join("config/sidewatch.yml"), &root.join("config/rules"), &pattern).await;
        change(root);
        tokio::time::timeout(POLL / 3, files.changed()).await.expect("noticed");
        more(root);
        tokio::time::timeout(POLL / 3, files.changed()).await.expect("noticed the second time");
    }

    fn put(folder: &Path, name: &str, text: &str) {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    }

    #[tokio::test]
    async fn a_new_file_is_noticed_in_a_folder_that_a_pattern_matches() {
        let made = |root: &Path| fs::create_dir_all(root.join("conf.d/a/rules")).expect("made");
        let new = |root: &Path| put(root, "conf.d/a/rules/new.rules", "a");
        let saved = |root: &Path| {
            put(root, "conf.d/a/rules/.new.rules.swp", "b");
            fs::rename(root.join("conf.d/a/rules/.new.rules.swp"), root.join("conf.d/a/rules/new.rules")).expect("renamed");
        };
        notices_behind_a_pattern(made, new, saved).await;
    }

    #[tokio::test]
    async fn a_folder_that_comes_to_match_is_watched() {
        let new = |root: &Path| put(root, "conf.d/b/rules/b.rules", "a");
        let gone = |root: &Path| fs::remove_dir_all(root.join("conf.d/b")).expect("removed");
        notices_behind_a_pattern(|_| (), new, gone).await;
    }

    #[tokio::test]
    async fn a_folder_that_takes_anothers_name_is_watched() {
        let link = |root: &Path, to: &str| {
            put(root, &format!("{to}/rules/a.rules"), to);
            std::os::unix::fs::symlink(root.join(to), root.join("conf.d/..a")).expect("linked");
            fs::rename(root.join("conf.d/..a"), root.join("conf.d/a")).expect("swapped");
        };
        let first = |root: &Path| {
            fs::create_dir_all(root.join("conf.d")).expect("made");
            link(root, "v1");
        };
        notices_behind_a_pattern(first, |root| link(root, "v2"), |root| put(root, "v2/rules/a.rules", "edited")).await;
    }

    #[tokio::test]
    async fn a_rename_over_the_file_is_noticed() {
        notices(|folder| {
            fs::write(folder.join("sidewatch.yml.tmp"), "b").expect("written");
            fs::rename(folder.join("sidewatch.yml.tmp"), folder.join("sidewatch.yml")).expect("renamed");
        })
        .await;
    }

    #[tokio::test]
    async fn a_swapped_link_is_noticed() {
        notices(|folder| {
            fs::rename(folder.join("..data"), folder.join("..old")).expect("renamed");
            fs::create_dir(folder.join("..new")).expect("made");
            fs::write(folder.join("..new/sidewatch.yml"), "b").expect("written");
            fs::rename(folder.join("..new"), folder.join("..data")).expect("renamed");
        })
        .await;
    }

    #[tokio::test]
    async fn a_change_is_noticed_however_often_the_wait_is_interrupted() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("sidewatch.yml");
        let mut files = files(&config, &folder.path().join("rules"), &[]).await;
        fs::write(&config, "a").expect("written");
        let noticed = async { while tokio::time::timeout(DEBOUNCE / 5, files.changed()).await.is_err() {} };
        tokio::time::timeout(POLL / 3, noticed).await.expect("noticed");
    }

    #[tokio::test(start_paused = true)]
    async fn without_events_a_change_is_noticed_within_a_minute_however_often_the_wait_is_interrupted() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("sidewatch.yml");
        let mut files = files(&config, &folder.path().join("rules"), &[]).await;
        files.watcher = None;
        fs::write(&config, "a").expect("written");
        let noticed = async { while tokio::time::timeout(POLL / 60, files.changed()).await.is_err() {} };
        tokio::time::timeout(POLL * 2, noticed).await.expect("noticed");
    }

    #[tokio::test]
    async fn folders_that_are_made_later_are_watched() {
        let folder = tempfile::tempdir().expect("a folder");
        let rules = folder.path().join("config/sidewatch/rules");
        let mut files = files(&folder.path().join("config/sidewatch/sidewatch.yml"), &rules, &[]).await;
        fs::create_dir_all(&rules).expect("made");
        let while_empty = tokio::time::timeout(DEBOUNCE * 3, files.changed()).await;
        assert!(while_empty.is_err(), "an empty folder is no change");
        fs::write(rules.join("a.yml"), "a").expect("written");
        tokio::time::timeout(POLL / 3, files.changed()).await.expect("noticed");
    }

    #[tokio::test]
    async fn what_is_written_after_the_mark_is_a_change_even_when_the_folder_is_watched_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("sidewatch.yml");
        let mut files = files(&config, folder.path(), &[]).await;
        files.mark().await;
        fs::write(&config, "a").expect("written");
        files.watch(folder.path(), &[]).await;
        tokio::time::timeout(POLL / 3, files.changed()).await.expect("noticed");
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_hangs_is_not_waited_for_long_and_is_left_with_its_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("sidewatch.yml");
        let mut files = files(&config, &folder.path().join("rules"), &[]).await;
        let seen = files.seen;
        files.looking = Some(std::future::pending().boxed());
        tokio::time::timeout(PATIENCE * 2, files.mark()).await.expect("not waited for");
        assert_eq!((files.seen, files.looking.is_some()), (seen, true), "it goes on");
        files.watch(folder.path(), &[]).await;
        fs::write(&config, "a").expect("written");
        tokio::time::timeout(POLL * 2, files.changed()).await.expect("noticed in the other folder");
    }

    #[test]
    fn a_pipe_among_the_files_is_not_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let pipe = folder.path().join("a.yml");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).expect("made");
        assert_eq!(content(&pipe), b"");
    }

    #[test]
    fn only_contents_and_names_count() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("sidewatch.yml");
        let before = fingerprint(&config, folder.path(), &[]);
        fs::write(folder.path().join("notes.txt"), "x").expect("written");
        assert_eq!(fingerprint(&config, folder.path(), &[]), before);
        fs::write(&config, "x").expect("written");
        assert_ne!(fingerprint(&config, folder.path(), &[]), before);
    }
}
