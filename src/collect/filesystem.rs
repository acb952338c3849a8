//! How full the mounted filesystems are.
//! Source: proc_pid_mounts(5), statfs(2); node_exporter's collector `filesystem`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::model::{Condition, Family, Labels, Timestamp};

use super::devices::Filter;
use super::prober::{Reading, Target};
use super::sheet::Sheet;
use super::{Capacity, CollectError, Collector, Described, HostFs, Kind, Prober};

/// The mounts that the first process sees, else our own: in a sandbox they differ.
const FILE: &str = "1/mounts";
const OWN_FILE: &str = "self/mounts";
const LABELS: &[&str] = &["device", "fstype", "mountpoint"];
const STUCK: &str = "sidewatch_collect_filesystem_stuck";

/// Types that are served by another machine or by a program, and so may hang at any time.
const SUSPECT: [&str; 17] = [
    "9p",
    "acfs",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "coda",
    "davfs",
    "gfs2",
    "glusterfs",
    "gpfs",
    "lustre",
    "nfs",
    "nfs4",
    "ocfs2",
    "smb3",
    "virtiofs",
];

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
            mounts: Vec::new(),
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
    /// The text that `mounts` and `targets` were made of; mounts change seldom.
    known: String,
    mounts: Vec<Mount>,
    targets: Vec<Target>,
    stuck: Vec<String>,
    sheet: Sheet,
}

struct Mount {
    labels: Labels,
    /// The mount point alone, where no other mount has it.
    place: Option<Labels>,
    read_only: bool,
}

impl Collector for Filesystem {
    fn collect(&mut self, host: &mut HostFs, at: Timestamp) -> Result<Vec<Family>, CollectError> {
        // Only root may read the mounts of process 1.
        if host.proc(FILE, &mut self.text).is_err() {
            host.proc(OWN_FILE, &mut self.text)?;
        }
        if self.text != self.known {
            self.read_mounts()?;
        }
        let readings = self.prober.lock().unwrap_or_else(PoisonError::into_inner).probe(&self.targets, at, self.limit);
        self.sheet.begin();
        self.stuck.clear();
        for (mount, reading) in self.mounts.iter().zip(&readings) {
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
    fn read_mounts(&mut self) -> Result<(), CollectError> {
        self.known.clear();
        self.mounts.clear();
        self.targets.clear();
        let (mut seen, mut places) = (hashbrown::HashSet::new(), hashbrown::HashSet::new());
        for line in self.text.lines() {
            let entry = parse(line)?;
            let mountpoint = below(&entry.mountpoint, &self.root);
            if !self.mount_points.passes(mountpoint) || !self.fs_types.passes(entry.fs_type) {
                continue;
            }
            let labels = Labels::from_pairs([("device", &*entry.device), ("fstype", entry.fs_type), ("mountpoint", mountpoint)]);
            // Mounted twice at the same place: the same series.
            if !seen.insert(labels.clone()) {
                continue;
            }
            self.targets.push(Target { path: format!("{}{mountpoint}", self.root).into(), suspect: is_suspect(entry.fs_type) });
            // One filesystem may hide another at the same place; only the upper one can be asked.
            let place = Labels::from_pairs([("mountpoint", mountpoint)]);
            let place = places.insert(place.clone()).then_some(place);
            self.mounts.push(Mount { labels, place, read_only: entry.read_only });
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

struct Entry<'a> {
    device: String,
    mountpoint: String,
    fs_type: &'a str,
    read_only: bool,
}

/// `/dev/vda1 /mnt/with\040space ext4 rw,relatime 0 0`
fn parse(line: &str) -> Result<Entry<'_>, CollectError> {
    let mut fields = line.split(' ');
    match (fields.next(), fields.next(), fields.next(), fields.next()) {
        (Some(device), Some(mountpoint), Some(fs_type), Some(options)) => Ok(Entry {
            device: unescape(device),
            mountpoint: unescape(mountpoint),
            fs_type,
            read_only: options.split(',').any(|option| option == "ro"),
        }),
        _ => Err(CollectError::malformed(FILE, "a mount", line)),
    }
}

/// The kernel writes space, tab, newline, backslash and `#` as `\` and three octal digits.
fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        plain.push_str(before);
        let code = after.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(u8::is_ascii);
        plain.push(code.map_or('\\', char::from));
        rest = if code.is_some() { after.get(3..).unwrap_or_default() } else { after };
    }
    plain.push_str(rest);
    plain
}

/// A mount point as the host sees it: the host's own process 1 names it so already, we see it below the host's root.
fn below<'a>(mountpoint: &'a str, root: &str) -> &'a str {
    match mountpoint.strip_prefix(root) {
        Some("") => "/",
        Some(rest) if rest.starts_with('/') => rest,
        _ => mountpoint,
    }
}

fn is_suspect(fs_type: &str) -> bool {
    fs_type == "fuse" || fs_type.starts_with("fuse.") || SUSPECT.contains(&fs_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone() {
        assert_eq!(unescape(r"/mnt/with\040space\134and\011tab"), "/mnt/with space\\and\ttab");
        assert_eq!(unescape(r"/odd\9\04"), r"/odd\9\04");
        assert_eq!(unescape("/ünïcode\\0"), "/ünïcode\\0");
    }

    #[test]
    fn the_hosts_root_is_taken_off() {
        assert_eq!(below("/host/data", "/host"), "/data");
        assert_eq!(below("/host", "/host"), "/");
        assert_eq!(below("/hostile", "/host"), "/hostile");
        assert_eq!(below("/data", ""), "/data");
        assert_eq!(below("/", ""), "/");
    }

    #[test]
    fn read_only_is_an_option_of_its_own() {
        assert!(parse("a /b ext4 ro,relatime 0 0").unwrap().read_only);
        assert!(!parse("a /b ext4 rw,errors=remount-ro 0 0").unwrap().read_only);
        assert!(parse("a /b").is_err());
    }

    #[test]
    fn a_filesystem_that_fails_shows_no_size() {
        assert_eq!(row(true, &Reading::Stuck), [Some(1.0), Some(1.0), None, None, None, None, None]);
        let capacity = Capacity { block_size: 4096, blocks: 10, blocks_free: 5, blocks_available: 4, files: 3, files_free: 2 };
        let expected = [0.0, 0.0, 40_960.0, 20_480.0, 16_384.0, 3.0, 2.0].map(Some);
        assert_eq!(row(false, &Reading::Capacity(capacity)), expected);
    }

    #[test]
    fn programs_and_servers_are_suspect() {
        assert!(is_suspect("nfs4") && is_suspect("fuse.sshfs") && is_suspect("cifs"));
        assert!(!is_suspect("ext4") && !is_suspect("tmpfs") && !is_suspect("fuseblk"));
        assert!(SUSPECT.is_sorted());
    }
}
