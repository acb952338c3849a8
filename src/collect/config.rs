//! The `collect` section of the configuration, with node_exporter's defaults.

use std::path::PathBuf;

use crate::model::PromDuration;

use super::{ALL, devices};

/// How the host is sampled.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How often every collector samples; samples are taken at whole multiples of it. At least `100ms`.
    pub interval: PromDuration,
    /// Collectors that are switched off, by name: `cpu`, `disk`, `filesystem`, `loadavg`, `memory`, `network`,
    /// `pressure`, `process`, `uname`, `uptime`.
    pub disabled: Vec<String>,
    /// Where the host's `/proc` is; elsewhere in a container that measures the host it runs on.
    pub proc: PathBuf,
    /// Where the host's `/sys` is.
    pub sys: PathBuf,
    /// Where the host's root is. It is taken off the front of mount points before they are shown and compared.
    pub root: PathBuf,
    /// Filesystems.
    pub filesystem: FilesystemConfig,
    /// Disks.
    pub disk: DiskConfig,
    /// Network interfaces.
    pub network: NetworkConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            interval: PromDuration::from_secs(1),
            disabled: Vec::new(),
            proc: "/proc".into(),
            sys: "/sys".into(),
            root: "/".into(),
            filesystem: FilesystemConfig::default(),
            disk: DiskConfig::default(),
            network: NetworkConfig::default(),
        }
    }
}

/// Which filesystems are shown. Patterns are regular expressions that may match anywhere, as node_exporter's.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FilesystemConfig {
    /// Mount points that are not shown.
    pub mount_points_exclude: String,
    /// Filesystem types that are not shown.
    pub fs_types_exclude: String,
    /// How long a filesystem may take to answer before it counts as stuck: it is then shown by
    /// `node_filesystem_device_error` alone until it answers. Others are never delayed by it.
    pub mount_timeout: PromDuration,
}

impl Default for FilesystemConfig {
    fn default() -> Self {
        Self {
            mount_points_exclude: r"^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)".to_owned(),
            fs_types_exclude: "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|nsfs|\
                               overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|tracefs)$"
                .to_owned(),
            mount_timeout: PromDuration::from_secs(5),
        }
    }
}

/// Which disks are shown. Patterns are regular expressions that may match anywhere, as node_exporter's.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DiskConfig {
    /// Devices that are shown; empty is all. What is excluded stays excluded.
    pub device_include: String,
    /// Devices that are not shown; by default memory and loop devices, and partitions.
    pub device_exclude: String,
}

impl Default for DiskConfig {
    fn default() -> Self {
        Self { device_include: String::new(), device_exclude: r"^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$".to_owned() }
    }
}

/// Which network interfaces are shown. Patterns are regular expressions that may match anywhere, as node_exporter's.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkConfig {
    /// Interfaces that are shown; empty is all. What is excluded stays excluded.
    pub device_include: String,
    /// Interfaces that are not shown; empty is none.
    pub device_exclude: String,
}

impl Config {
    /// Everything that is wrong with it, a line each, beginning with the key below `collect`; empty when it can be used.
    #[must_use]
    pub fn check(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.interval < PromDuration::from_millis(100) {
            problems.push(format!("interval: {} is too short, the shortest is 100ms", self.interval));
        }
        if self.filesystem.mount_timeout.is_zero() {
            problems.push("filesystem.mount_timeout: has to be longer than 0s".to_owned());
        }
        for name in self.disabled.iter().filter(|name| !ALL.iter().any(|kind| kind.name == name.as_str())) {
            let known: Vec<_> = ALL.iter().map(|kind| kind.name).collect();
            problems.push(format!("disabled: there is no collector {name:?} (there are {})", known.join(", ")));
        }
        for (key, path) in [("proc", &self.proc), ("sys", &self.sys), ("root", &self.root)] {
            if !path.is_absolute() {
                problems.push(format!("{key}: {} is not an absolute path", path.display()));
            }
        }
        let patterns = [
            ("filesystem.mount_points_exclude", &self.filesystem.mount_points_exclude),
            ("filesystem.fs_types_exclude", &self.filesystem.fs_types_exclude),
            ("disk.device_include", &self.disk.device_include),
            ("disk.device_exclude", &self.disk.device_exclude),
            ("network.device_include", &self.network.device_include),
            ("network.device_exclude", &self.network.device_exclude),
        ];
        for (key, pattern) in patterns {
            problems.extend(devices::compile(pattern).err().map(|error| format!("{key}: {error}")));
        }
        problems
    }

    /// Whether the collector of this name samples.
    #[must_use]
    pub fn enables(&self, name: &str) -> bool {
        !self.disabled.iter().any(|disabled| disabled == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_have_no_problem() {
        assert_eq!(Config::default().check(), Vec::<String>::new());
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let config = Config {
            interval: PromDuration::from_millis(50),
            disabled: vec!["disks".into()],
            sys: "sys".into(),
            filesystem: FilesystemConfig { fs_types_exclude: "(".into(), mount_timeout: PromDuration::default(), ..Default::default() },
            network: NetworkConfig { device_include: "[".into(), ..Default::default() },
            ..Default::default()
        };
        let problems = config.check();
        let keys: Vec<_> = problems.iter().filter_map(|line| line.split_once(": ")).map(|(key, _)| key).collect();
        assert_eq!(
            keys,
            ["interval", "filesystem.mount_timeout", "disabled", "sys", "filesystem.fs_types_exclude", "network.device_include"]
        );
    }

    #[test]
    fn the_documented_names_are_the_collectors() {
        let schema = serde_json::to_string(&schemars::schema_for!(Config)).unwrap();
        assert!(ALL.iter().all(|kind| schema.contains(&format!("`{}`", kind.name))));
    }

    #[test]
    fn a_configuration_reads_back_as_written() {
        let text = serde_yaml::to_string(&Config::default()).unwrap();
        assert_eq!(serde_yaml::from_str::<Config>(&text).unwrap(), Config::default());
        assert!(serde_yaml::from_str::<Config>("disks: {}").is_err());
    }
}
