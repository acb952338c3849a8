//! Who may change the agent: root, the agent's own user, and the members of the socket's group. The socket's mode says the same; it is
//! looked at here as well, since a mode is changed easily, and a socket handed on.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use tokio::net::unix::UCred;

/// Whether whoever is at the other end may change the agent.
pub(super) fn admits(peer: Option<UCred>, socket: &Path) -> bool {
    let Some(peer) = peer else { return false };
    if peer.uid() == 0 || peer.uid() == rustix::process::geteuid().as_raw() {
        return true;
    }
    let Ok(group) = fs::metadata(socket).map(|metadata| metadata.gid()) else { return false };
    peer.gid() == group || peer.pid().is_some_and(|pid| belongs(&format!("/proc/{pid}/status"), peer.uid(), group))
}

/// Whether a process that is still this user's has a group beside its own. Source: proc_pid_status(5).
fn belongs(status: &str, user: u32, group: u32) -> bool {
    let text = fs::read_to_string(status).unwrap_or_default();
    let numbers = |key: &str| -> Vec<u32> {
        let line = text.lines().find_map(|line| line.strip_prefix(key));
        line.unwrap_or_default().split_ascii_whitespace().filter_map(|number| number.parse().ok()).collect()
    };
    // Real, effective, saved, of the file system.
    numbers("Uid:").get(1) == Some(&user) && numbers("Groups:").contains(&group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_the_group_beside_its_own_is_a_member() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let path = file.path().to_str().expect("a text");
        fs::write(path, "Name:\tx\nUid:\t7\t8\t8\t8\nGid:\t9\t9\t9\t9\nGroups:\t4 50 600 \n").expect("written");
        assert!(belongs(path, 8, 50) && belongs(path, 8, 600));
        assert!(!belongs(path, 8, 5), "not a part of a number");
        assert!(!belongs(path, 7, 50), "another process has that number by now");
        assert!(!belongs("/nonexistent", 8, 50));
    }

    #[test]
    fn nobody_knows_who_that_is() {
        assert!(!admits(None, Path::new("/")));
    }
}
