//! Notices when the configuration or a rule file changes.
//!
//! Folders are watched, not files: an editor renames, Kubernetes swaps a symbolic link, and both are events of the
//! folder. Any event only raises the question; the answer is a comparison of the files' contents. It is asked every
//! minute as well, for file systems that send no events.

use std::collections::BTreeSet;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Writers need a moment to finish.
const DEBOUNCE: Duration = Duration::from_millis(500);
const POLL: Duration = Duration::from_mins(1);

/// Watches one configuration file and one folder of rules.
pub(super) struct Files {
    config: PathBuf,
    rules: PathBuf,
    seen: u64,
    /// When to look next.
    due: Instant,
    events: mpsc::Receiver<()>,
    wake: mpsc::Sender<()>,
    /// Dropped to end the watch; `None` where the system gives none, and the poll alone has to do.
    watcher: Option<RecommendedWatcher>,
}

impl Files {
    /// What is there now counts as seen.
    pub(super) fn new(config: &Path, rules: &Path) -> Self {
        let (wake, events) = mpsc::channel(1);
        let due = Instant::now() + POLL;
        let mut files = Self { config: config.to_owned(), rules: rules.to_owned(), seen: 0, due, events, wake, watcher: None };
        files.watch(rules);
        files
    }

    /// Watches another folder of rules, and takes what is there now as seen.
    pub(super) fn watch(&mut self, rules: &Path) {
        rules.clone_into(&mut self.rules);
        self.seen = fingerprint(&self.config, &self.rules);
        self.watcher = self.watcher().inspect_err(|error| tracing::warn!(%error, "cannot watch for changes; looking every minute")).ok();
    }

    /// Waits until the contents have changed. Cancel safe: what is still to be done is in `due`, not in the future, which
    /// the caller drops every second.
    pub(super) async fn changed(&mut self) {
        loop {
            tokio::select! {
                // Cannot end: this holds a sender.
                _ = self.events.recv() => self.due = self.due.min(Instant::now() + DEBOUNCE),
                () = tokio::time::sleep_until(self.due) => {
                    self.due = Instant::now() + POLL;
                    let now = fingerprint(&self.config, &self.rules);
                    if now != self.seen {
                        self.seen = now;
                        return;
                    }
                }
            }
        }
    }

    fn watcher(&self) -> notify::Result<RecommendedWatcher> {
        let wake = self.wake.clone();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Looking at a file is an event as well, and this agent looks.
            if !event.is_ok_and(|event| event.kind.is_access()) {
                // A full queue says already what there is to say.
                let _full = wake.try_send(());
            }
        })?;
        let folders = [self.config.parent(), Some(self.rules.as_path()), self.rules.parent()];
        let folders: BTreeSet<&Path> = folders.into_iter().flatten().filter(|folder| folder.is_dir()).collect();
        for folder in folders {
            watcher.watch(folder, RecursiveMode::NonRecursive)?;
        }
        Ok(watcher)
    }
}

/// Changes when a file does, in content or in name; a file that cannot be read counts as empty.
fn fingerprint(config: &Path, rules: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut add = |path: &Path| (path, fs::read(path).unwrap_or_default()).hash(&mut hasher);
    add(config);
    let mut files: Vec<PathBuf> = fs::read_dir(rules).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml"));
    files.sort();
    files.iter().for_each(|path| add(path));
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn notices(change: impl FnOnce(&Path)) {
        let folder = tempfile::tempdir().expect("a folder");
        let rules = folder.path().join("rules");
        fs::create_dir(&rules).expect("made");
        fs::create_dir(folder.path().join("..data")).expect("made");
        fs::write(folder.path().join("..data/sidewatch.yml"), "a").expect("written");
        std::os::unix::fs::symlink("..data/sidewatch.yml", folder.path().join("sidewatch.yml")).expect("linked");
        let mut files = Files::new(&folder.path().join("sidewatch.yml"), &rules);
        change(folder.path());
        tokio::time::timeout(Duration::from_secs(20), files.changed()).await.expect("noticed");
    }

    #[tokio::test]
    async fn a_written_file_is_noticed() {
        notices(|folder| fs::write(folder.join("rules/new.yml"), "b").expect("written")).await;
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

    /// As the agent waits: for a change or for its next tick, whichever comes first.
    async fn in_bits(files: &mut Files, bit: Duration, bits: usize) -> bool {
        for _ in 0..bits {
            if tokio::time::timeout(bit, files.changed()).await.is_ok() {
                return true;
            }
        }
        false
    }

    #[tokio::test]
    async fn an_event_outlives_a_wait_that_is_cut_short() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("sidewatch.yml");
        let mut files = Files::new(&config, &folder.path().join("rules"));
        fs::write(config, "a").expect("written");
        assert!(in_bits(&mut files, DEBOUNCE / 5, 100).await);
    }

    #[tokio::test(start_paused = true)]
    async fn what_sends_no_event_is_noticed_within_a_minute() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("sidewatch.yml");
        let mut files = Files::new(&config, &folder.path().join("rules"));
        files.watcher = None;
        fs::write(config, "a").expect("written");
        assert!(in_bits(&mut files, Duration::from_secs(1), 61).await);
    }

    #[test]
    fn only_contents_and_names_count() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("sidewatch.yml");
        let before = fingerprint(&config, folder.path());
        fs::write(folder.path().join("notes.txt"), "x").expect("written");
        assert_eq!(fingerprint(&config, folder.path()), before);
        fs::write(&config, "x").expect("written");
        assert_ne!(fingerprint(&config, folder.path()), before);
    }
}
