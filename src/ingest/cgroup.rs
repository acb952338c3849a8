//! What a process's control group tells of it: the systemd unit, and the container.
//! Source: cgroups(7), systemd's "Control Group APIs and Delegation".

/// What the path of a control group says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// The unit, a `.service` or a `.scope`.
    pub(super) unit: Option<String>,
    /// The container's identifier, 64 hexadecimal digits with every runtime that is known.
    pub(super) container: Option<String>,
}

/// Reads `/proc/PID/cgroup`. Where both hierarchies are mounted, systemd may keep its units in the old one.
pub(super) fn parse(text: &str) -> Place {
    let path = |controllers: &'static str| text.lines().filter_map(move |line| line.split_once(':')?.1.strip_prefix(controllers));
    let paths = || path(":").chain(path("name=systemd:"));
    let container = paths().find_map(container).map(str::to_owned);
    Place { unit: paths().find_map(unit).map(str::to_owned), container }
}

/// The unit is what stands behind the slices, and nothing below it: there the process may make groups of its own, with any
/// name. Only a user's own manager keeps units inside its unit.
fn unit(path: &str) -> Option<&str> {
    let mut parts = path.split('/').filter(|part| !matches!(*part, "" | "..")).skip_while(|part| part.ends_with(".slice"));
    let first = parts.next().filter(|part| is_unit(part))?;
    let manager = first.strip_prefix("user@").is_some_and(|rest| rest.ends_with(".service"));
    if !manager {
        return Some(first);
    }
    Some(parts.find(|part| !part.ends_with(".slice")).filter(|part| is_unit(part)).unwrap_or(first))
}

fn is_unit(part: &str) -> bool {
    [".service", ".scope"].iter().any(|kind| part.len() > kind.len() && part.ends_with(kind))
}

/// The innermost one: `docker-ID.scope`, `cri-containerd-ID.scope`, or `ID` by itself.
fn container(path: &str) -> Option<&str> {
    path.rsplit('/').find_map(|part| {
        let part = part.strip_suffix(".scope").unwrap_or(part);
        let id = part.rsplit_once('-').map_or(part, |(_, id)| id);
        (id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn unit_of(text: &str) -> Option<String> {
        parse(text).unit
    }

    #[test]
    fn the_unit_stands_behind_the_slices() {
        for (path, unit) in [
            ("/system.slice/shop.service", Some("shop.service")),
            ("/system.slice/system-shop.slice/shop@1.service", Some("shop@1.service")),
            ("/user.slice/user-1000.slice/session-3.scope", Some("session-3.scope")),
            ("/user.slice/user-1000.slice/user@1000.service/app.slice/shop.service", Some("shop.service")),
            ("/user.slice/user-1000.slice/user@1000.service", Some("user@1000.service")),
            ("/../system.slice/shop.service", Some("shop.service")),
            ("/init.scope", Some("init.scope")),
            ("/", None),
            ("/.service", None),
            ("/kubepods/burstable", None),
        ] {
            assert_eq!(unit_of(&format!("0::{path}\n")).as_deref(), unit, "{path}");
        }
    }

    #[test]
    fn a_name_that_a_process_gives_itself_is_no_unit() {
        assert_eq!(unit_of("0::/system.slice/shop.service/bank.service").as_deref(), Some("shop.service"));
        assert_eq!(unit_of("0::/jail/bank.service"), None);
    }

    #[test]
    fn the_old_hierarchy_is_asked_where_the_new_one_is_empty() {
        let text = "9:name=systemd:/system.slice/shop.service\n4:memory:/bank.service\n0::/\n";
        assert_eq!(unit_of(text).as_deref(), Some("shop.service"));
        assert_eq!(unit_of("0::/system.slice/new.service\n1:name=systemd:/old.service").as_deref(), Some("new.service"));
    }

    #[test]
    fn containers_are_known_by_their_identifier() {
        for path in [
            format!("/system.slice/docker-{ID}.scope"),
            format!("/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope"),
            format!("/kubepods/burstable/pod1/{ID}"),
            format!("/docker/{ID}/init.scope"),
        ] {
            assert_eq!(parse(&format!("0::{path}\n")).container.as_deref(), Some(ID), "{path}");
        }
        assert_eq!(parse("0::/system.slice/docker-0123.scope").container, None);
    }

    #[test]
    fn nonsense_says_nothing() {
        for text in ["", "\n", "0", "0:", "0::", "::::/a.service", "x:y:z"] {
            assert_eq!(parse(text), Place::default(), "{text:?}");
        }
    }
}
