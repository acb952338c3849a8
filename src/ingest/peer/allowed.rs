//! Who may send: users and groups of the configuration, as the numbers that the kernel tells of a sender.

use std::collections::HashSet;

use nix::unistd::{Gid, Group, User};

use super::Credentials;
use crate::ingest::config::Allow;

/// The users and groups that may send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ingest) struct Allowed {
    everyone: bool,
    users: HashSet<u32>,
    groups: HashSet<u32>,
}

impl Allowed {
    /// Looks names up. Those that nobody has are told too; they allow nobody.
    pub(in crate::ingest) fn new(allow: &Allow) -> (Self, Vec<String>) {
        let mut unknown = Vec::new();
        let mut users = HashSet::new();
        let mut groups = HashSet::new();
        for name in &allow.users {
            let number = name.parse().ok();
            match number.or_else(|| User::from_name(name).ok().flatten().map(|user| user.uid.as_raw())) {
                Some(uid) => _ = users.insert(uid),
                None => unknown.push(format!("user {name:?}")),
            }
        }
        for name in &allow.groups {
            let number: Option<u32> = name.parse().ok();
            let found = match number {
                Some(gid) => Group::from_gid(Gid::from_raw(gid)).ok().flatten(),
                None => Group::from_name(name).ok().flatten(),
            };
            let Some(gid) = number.or_else(|| found.as_ref().map(|group| group.gid.as_raw())) else {
                unknown.push(format!("group {name:?}"));
                continue;
            };
            groups.insert(gid);
            // The kernel tells one group of a sender, the one that it sends as. Who belongs to others is in the database.
            let members = found.into_iter().flat_map(|group| group.mem);
            users.extend(members.filter_map(|member| Some(User::from_name(&member).ok()??.uid.as_raw())));
        }
        (Self { everyone: allow.is_empty(), users, groups }, unknown)
    }

    /// Whether a sender with these credentials may send. One of which nothing is known may where everyone may.
    pub(in crate::ingest) fn admits(&self, credentials: Option<Credentials>) -> bool {
        self.everyone || credentials.is_some_and(|sender| self.users.contains(&sender.uid) || self.groups.contains(&sender.gid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(users: &[&str], groups: &[&str]) -> (Allowed, Vec<String>) {
        let texts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Allowed::new(&Allow { users: texts(users), groups: texts(groups) })
    }

    fn sender(uid: u32, gid: u32) -> Option<Credentials> {
        Some(Credentials { pid: 1, uid, gid })
    }

    #[test]
    fn everyone_may_send_where_nobody_is_named() {
        let (allowed, unknown) = allowed(&[], &[]);
        assert!(allowed.admits(sender(7, 7)) && allowed.admits(None) && unknown.is_empty());
    }

    #[test]
    fn users_and_groups_are_named_by_name_or_number() {
        let (allowed, unknown) = allowed(&["root", "1234567"], &["daemon", "7654321"]);
        let daemon = Group::from_name("daemon").expect("a database").expect("a group").gid.as_raw();
        assert!(unknown.is_empty());
        for (uid, gid, admitted) in
            [(0, 99, true), (1_234_567, 99, true), (99, daemon, true), (99, 7_654_321, true), (99, 99, false), (7_654_321, 99, false)]
        {
            assert_eq!(allowed.admits(sender(uid, gid)), admitted, "{uid} {gid}");
        }
        assert!(!allowed.admits(None), "nobody knows who that is");
    }

    #[test]
    fn a_name_that_nobody_has_allows_nobody() {
        let (allowed, unknown) = allowed(&["no-such-user"], &["no-such-group"]);
        assert!(!allowed.admits(sender(0, 0)));
        assert_eq!(unknown, [r#"user "no-such-user""#, r#"group "no-such-group""#]);
    }
}
