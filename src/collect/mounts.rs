//! What is mounted where, from `mountinfo`.
//! Source: proc_pid_mountinfo(5).

use super::CollectError;

const FILE: &str = "mountinfo";

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

/// Whose view of the mounts it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// The first process's: the host as it is.
    Host,
    /// Our own. A sandbox (systemd's `ProtectSystem=`, `PrivateTmp=`) has made most mounts read-only for us and has
    /// mounted parts of filesystems a second time; neither is true of the host.
    Own,
}

/// A mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount<'a> {
    /// Major and minor number of the filesystem.
    number: &'a str,
    /// Which directory of the filesystem is mounted.
    root: String,
    /// Where.
    pub(super) mountpoint: String,
    /// The filesystem's type.
    pub(super) fs_type: &'a str,
    /// The device, share or name that it comes from.
    pub(super) device: String,
    /// Nothing can be written through this mount, as far as the view can tell.
    pub(super) read_only: bool,
}

impl<'a> Mount<'a> {
    /// `36 35 98:0 /root /mnt rw,noatime master:1 - ext4 /dev/sda1 rw,errors=continue`
    pub(super) fn parse(line: &'a str, view: View) -> Result<Self, CollectError> {
        let malformed = || CollectError::malformed(FILE, "a mount", line);
        let (mount, filesystem) = line.split_once(" - ").ok_or_else(malformed)?;
        let mut mount = mount.split(' ').skip(2);
        let mut filesystem = filesystem.split(' ');
        let mut first = || mount.next().ok_or_else(malformed);
        let (number, root, mountpoint, options) = (first()?, first()?, first()?, first()?);
        let mut second = || filesystem.next().ok_or_else(malformed);
        let (fs_type, device, fs_options) = (second()?, second()?, second()?);
        let read_only = |options: &str| options.split(',').any(|option| option == "ro");
        Ok(Self {
            number,
            root: unescape(root),
            mountpoint: unescape(mountpoint),
            fs_type,
            device: unescape(device),
            read_only: read_only(fs_options) || (view == View::Host && read_only(options)),
        })
    }

    /// True where all that this mount shows is shown by the other too.
    pub(super) fn is_part_of(&self, other: &Self) -> bool {
        let rest = self.root.strip_prefix(other.root.trim_end_matches('/'));
        self.number == other.number && self.root != other.root && rest.is_some_and(|rest| rest.starts_with('/'))
    }

    /// True where it may hang at any time.
    pub(super) fn is_suspect(&self) -> bool {
        self.fs_type == "fuse" || self.fs_type.starts_with("fuse.") || SUSPECT.contains(&self.fs_type)
    }
}

/// The kernel writes space, tab, newline and backslash as `\` and three octal digits.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(line: &str, view: View) -> Mount<'_> {
        Mount::parse(line, view).unwrap()
    }

    #[test]
    fn a_line_has_a_mount_and_a_filesystem() {
        let mount =
            mount(r"36 35 98:0 /a\040b /mnt/c\040d rw,noatime shared:1 master:2 - ext4 /dev/sda\0401 rw,errors=continue", View::Host);
        assert_eq!((mount.number, mount.root.as_str(), mount.mountpoint.as_str()), ("98:0", "/a b", "/mnt/c d"));
        assert_eq!((mount.fs_type, mount.device.as_str(), mount.read_only), ("ext4", "/dev/sda 1", false));
        assert!(Mount::parse("36 35 98:0 / /mnt", View::Host).is_err());
        assert!(Mount::parse("36 35 98:0 / - ext4 /dev/sda1 rw", View::Host).is_err());
        assert!(Mount::parse("36 35 98:0 / /mnt rw - ext4 /dev/sda1", View::Host).is_err());
    }

    #[test]
    fn escapes_are_undone() {
        assert_eq!(unescape(r"/mnt/with\040space\134and\011tab"), "/mnt/with space\\and\ttab");
        assert_eq!(unescape(r"/odd\9\04"), r"/odd\9\04");
        assert_eq!(unescape("/ünïcode\\0"), "/ünïcode\\0");
    }

    #[test]
    fn a_sandbox_makes_nothing_read_only_but_for_itself() {
        let sandboxed = "36 35 98:0 / / ro,relatime - ext4 /dev/sda1 rw,errors=remount-ro";
        assert!(!mount(sandboxed, View::Own).read_only);
        assert!(mount(sandboxed, View::Host).read_only);
        let broken = "36 35 98:0 / / ro,relatime - ext4 /dev/sda1 ro,errors=remount-ro";
        assert!(mount(broken, View::Own).read_only && mount(broken, View::Host).read_only);
    }

    #[test]
    fn a_part_is_of_the_same_filesystem_and_below() {
        let at = |root: &str, number: &str| format!("36 35 {number} {root} /mnt rw - ext4 /dev/sda1 rw");
        let part = |root: &str, of: &str| mount(&at(root, "8:1"), View::Own).is_part_of(&mount(&at(of, "8:1"), View::Own));
        assert!(part("/var/lib", "/") && part("/@/var", "/@"));
        assert!(!part("/", "/") && !part("/@home", "/@") && !part("/", "/var"));
        assert!(!mount(&at("/a", "8:2"), View::Own).is_part_of(&mount(&at("/", "8:1"), View::Own)));
    }

    #[test]
    fn programs_and_servers_are_suspect() {
        let suspect = |kind: &str| mount(&format!("36 35 0:9 / /mnt rw - {kind} x rw"), View::Host).is_suspect();
        assert!(suspect("nfs4") && suspect("fuse.sshfs") && suspect("cifs"));
        assert!(!suspect("ext4") && !suspect("tmpfs") && !suspect("fuseblk"));
        assert!(SUSPECT.is_sorted());
    }
}
