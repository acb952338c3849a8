//! How full the mounted filesystems are.
//! Source: statfs(2); node_exporter's collector `filesystem`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hashbrown::HashSet;

use crate::model::{Condition, Family, Labels, Timestamp};

use super::devices::Filter;
use super::mounts::{Mount, View};
use super::prober::{Reading, Target};
use super::sheet::Sheet;
use super::{Capacity, CollectError, Collector, Described, HostFs, Kind, Prober};

const HOST_MOUNTS: &str = "1/mountinfo";
const OWN_MOUNTS: &str = "self/mountinfo";
const LABELS: &[&str] = &["device", "fstype", "mountpoint"];
const STUCK: &str = "sidewatch_collect_filesystem_stuck";

pub(super) const KIND: Kind = Kind {
    name: "filesystem",
    families: &FAMILIES,
    make: |parts| {
        let config = &parts.config.filesystem;
        Ok(Box::new(Filesystem {
            mount_points: Filter::new("", &config.mount_points_exclude)?,
            fs_types: Filter::new("", &config.fs_types_exclude)?,
            root: parts.config.root.to_string_lossy().trim_end_matches('/').to_owned(),
            limit: config.mount_timeout.get(),
            prober: Arc::clone(parts.prober),
            text: String::new(),
            known: String::new(),
            shown: Vec::new(),
            targets: Vec::new(),
            stuck: Vec::new(),
            sheet: Sheet::new(&FAMILIES),
        }))
    },
};

const FAMILIES: [Described; 8] = [
    Described::gauge("node_filesystem_device_error", LABELS, "1 where the filesystem could not tell how full it is, else 0."),
    Described::gauge("node_filesystem_readonly", LABELS, "1 where the filesystem is mounted read-only, else 0."),
    Described::gauge("node_filesystem_size_bytes", LABELS, "The filesystem's size."),
    Described::gauge("node_filesystem_free_bytes", LABELS, "Free space, what is reserved for root included."),
    Described::gauge("node_filesystem_avail_bytes", LABELS, "Free space that an ordinary user can take."),
    Described::gauge("node_filesystem_files", LABELS, "How many inodes the filesystem has."),
    Described::gauge("node_filesystem_files_free", LABELS, "How many inodes are free."),
    Described::gauge(
        STUCK,
        &["mountpoint"],
        "1 where the filesystem has not answered for longer than the limit, else 0; it is not asked again until it answers.",
    ),
];

struct Filesystem {
    mount_points: Filter,
    fs_types: Filter,
    /// Without the slash at its end; empty for `/`.
    root: String,
    limit: Duration,
    prober: Arc<Mutex<Prober>>,
    text: String,
    /// The text that `shown` and `targets` were made of; mounts change seldom.
    known: String,
    shown: Vec<Shown>,
    targets: Vec<Target>,
    stuck: Vec<String>,
    sheet: Sheet,
}

/// A mount that is shown.
struct Shown {
    labels: Labels,
    /// The mount point alone, where no other mount has it.
    place: Option<Labels>,
    read_only: bool,
}

impl Collector for Filesystem {
    fn collect(&mut self, host: &mut HostFs, at: Timestamp) -> Result<Vec<Family>, CollectError> {
        // Only root may read those of process 1.
        let view = match host.proc(HOST_MOUNTS, &mut self.text) {
            Ok(()) => View::Host,
            Err(_) => host.proc(OWN_MOUNTS, &mut self.text).map(|()| View::Own)?,
        };
        if self.text != self.known {
            self.read_mounts(view)?;
        }
        let readings = self.prober.lock().unwrap_or_else(PoisonError::into_inner).probe(&self.targets, at, self.limit);
        self.sheet.begin();
        self.stuck.clear();
        for (mount, reading) in self.shown.iter().zip(&readings) {
            let stuck = *reading == Reading::Stuck;
            self.sheet.row(&mount.labels, row(mount.read_only, reading));
            if let Some(place) = &mount.place {
                self.sheet.push(STUCK, place, f64::from(u8::from(stuck)));
                self.stuck.extend(place.get("mountpoint").filter(|_| stuck).map(str::to_owned));
            }
        }
        Ok(self.sheet.take())
    }

    fn condition(&self) -> (Condition, String) {
        match self.stuck.as_slice() {
            [] => (Condition::Ok, String::new()),
            stuck => (Condition::Degraded, format!("no answer from {}", stuck.join(", "))),
        }
    }
}

impl Filesystem {
    fn read_mounts(&mut self, view: View) -> Result<(), CollectError> {
        self.known.clear();
        self.shown.clear();
        self.targets.clear();
        let mut mounts: Vec<Mount<'_>> = Vec::new();
        let (mut seen, mut places) = (HashSet::new(), HashSet::new());
        for line in self.text.lines() {
            let mount = Mount::parse(line, view)?;
            let mountpoint = below(&mount.mountpoint, &self.root);
            if !self.mount_points.passes(mountpoint) || !self.fs_types.passes(mount.fs_type) {
                continue;
            }
            if view == View::Own && mounts.iter().any(|whole| mount.is_part_of(whole)) {
                continue;
            }
            let labels = Labels::from_pairs([("device", &*mount.device), ("fstype", mount.fs_type), ("mountpoint", mountpoint)]);
            // Mounted twice at the same place: the same series.
            if !seen.insert(labels.clone()) {
                continue;
            }
            self.targets.push(Target { path: format!("{}{mountpoint}", self.root).into(), suspect: mount.is_suspect() });
            // One filesystem may hide another at the same place; only the upper one can be asked.
            let place = Labels::from_pairs([("mountpoint", mountpoint)]);
            let place = places.insert(place.clone()).then_some(place);
            self.shown.push(Shown { labels, place, read_only: mount.read_only });
            mounts.push(mount);
        }
        self.known.clone_from(&self.text);
        Ok(())
    }
}

/// The values of a filesystem's families; nothing while it has never answered.
fn row(read_only: bool, reading: &Reading) -> [Option<f64>; 7] {
    let read_only = Some(f64::from(u8::from(read_only)));
    match reading {
        Reading::Capacity(capacity) => {
            let Capacity { block_size, blocks, blocks_free, blocks_available, files, files_free } = *capacity;
            let bytes = |blocks: u64| Some(blocks as f64 * block_size as f64);
            let files = [Some(files as f64), Some(files_free as f64)];
            let [all, free] = files;
            [Some(0.0), read_only, bytes(blocks), bytes(blocks_free), bytes(blocks_available), all, free]
        }
        Reading::Failed(_) | Reading::Stuck => [Some(1.0), read_only, None, None, None, None, None],
        Reading::Pending => [None; 7],
    }
}

/// A mount point as the host sees it: the host's own process 1 names it so already, we see it below the host's root.
fn below<'a>(mountpoint: &'a str, root: &str) -> &'a str {
    match mountpoint.strip_prefix(root) {
        Some("") => "/",
        Some(rest) if rest.starts_with('/') => rest,
        _ => mountpoint,
    }
}

#[cfg(test)]
mod tests {
    use crate::model::Value;

    use super::super::{Config, Parts};
    use super::*;

    #[test]
    fn the_hosts_root_is_taken_off() {
        assert_eq!(below("/host/data", "/host"), "/data");
        assert_eq!(below("/host", "/host"), "/");
        assert_eq!(below("/hostile", "/host"), "/hostile");
        assert_eq!(below("/data", ""), "/data");
        assert_eq!(below("/", ""), "/");
    }

    #[test]
    fn a_filesystem_that_fails_shows_no_size() {
        assert_eq!(row(true, &Reading::Stuck), [Some(1.0), Some(1.0), None, None, None, None, None]);
        let capacity = Capacity { block_size: 4096, blocks: 10, blocks_free: 5, blocks_available: 4, files: 3, files_free: 2 };
        let expected = [0.0, 0.0, 40_960.0, 20_480.0, 16_384.0, 3.0, 2.0].map(Some);
        assert_eq!(row(false, &Reading::Capacity(capacity)), expected);
    }

    /// The mount points shown, in order, with whether they are read-only.
    fn shown(filesystem: &mut dyn Collector, host: &mut HostFs) -> Vec<(String, bool)> {
        let until = crate::clock::monotonic() + Duration::from_secs(30);
        loop {
            let families = filesystem.collect(host, Timestamp::default()).unwrap();
            let series = |name: &str| families.iter().find(|family| *family.name == *name).map_or(&[][..], |family| &family.series);
            let read_only = series("node_filesystem_readonly");
            if read_only.len() == series(STUCK).len() {
                let text = |labels: &Labels| labels.get("mountpoint").unwrap_or_default().to_owned();
                return read_only.iter().map(|series| (text(&series.labels), series.value == Value::Number(1.0))).collect();
            }
            assert!(crate::clock::monotonic() < until, "no answer");
        }
    }

    #[test]
    fn mounts_that_change_are_read_anew_and_our_own_view_is_cleared_of_the_sandbox() {
        let root = tempfile::tempdir().unwrap();
        for process in ["1", "self"] {
            std::fs::create_dir(root.path().join(process)).unwrap();
        }
        let config = Config::default();
        let prober = Arc::new(Mutex::new(Prober::new(Arc::new(|_| Ok(Capacity::default())))));
        let mut filesystem = (KIND.make)(&Parts { config: &config, prober: &prober }).unwrap();
        let mut host = HostFs::new(root.path(), root.path());
        let sandbox = "1 0 8:1 / / ro - ext4 /dev/sda1 rw\n2 1 8:1 /tmp/private /tmp rw - ext4 /dev/sda1 rw\n";
        std::fs::write(root.path().join("self/mountinfo"), sandbox).unwrap();
        assert_eq!(shown(&mut *filesystem, &mut host), [("/".to_owned(), false)]);
        let more = format!("{sandbox}3 1 8:2 / /data rw - ext4 /dev/sdb1 ro\n");
        std::fs::write(root.path().join("self/mountinfo"), more).unwrap();
        assert_eq!(shown(&mut *filesystem, &mut host), [("/".to_owned(), false), ("/data".to_owned(), true)]);
        // What process 1 sees counts as it stands.
        std::fs::write(root.path().join("1/mountinfo"), sandbox).unwrap();
        assert_eq!(shown(&mut *filesystem, &mut host), [("/".to_owned(), true), ("/tmp".to_owned(), false)]);
    }

    #[test]
    fn a_stuck_filesystem_is_named() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("1")).unwrap();
        std::fs::write(root.path().join("1/mountinfo"), "1 0 0:9 / /mnt/gone rw - nfs4 server:/ rw\n").unwrap();
        let (_over, gone) = std::sync::mpsc::sync_channel::<()>(1);
        let gone = Mutex::new(gone);
        let hang = move |_: &std::path::Path| {
            let _ = gone.lock().unwrap().recv();
            Ok(Capacity::default())
        };
        let prober = Arc::new(Mutex::new(Prober::new(Arc::new(hang))));
        let config = Config::default();
        let mut filesystem = (KIND.make)(&Parts { config: &config, prober: &prober }).unwrap();
        let mut host = HostFs::new(root.path(), root.path());
        filesystem.collect(&mut host, Timestamp::from_seconds(1.0)).unwrap();
        assert_eq!(filesystem.condition(), (Condition::Ok, String::new()));
        filesystem.collect(&mut host, Timestamp::from_seconds(6.0)).unwrap();
        assert_eq!(filesystem.condition(), (Condition::Degraded, "no answer from /mnt/gone".to_owned()));
    }
}
