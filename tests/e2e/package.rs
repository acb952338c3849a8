//! The Debian package, installed, run and purged under a systemd that is booted for it, on a copy of this machine.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::stage::Exposition;

/// What one run on a copy of this machine left behind: the files that its script wrote.
struct Copy(TempDir);

impl Copy {
    /// Runs package.sh there, with or without a systemd; `None` where that is not permitted.
    fn run(mode: &str) -> Option<Self> {
        let Some(package) = std::env::var_os("SIDEWATCH_DEB") else {
            eprintln!("SKIPPED: SIDEWATCH_DEB is not set (`make e2e` sets it)");
            return None;
        };
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e");
        let folder = tempfile::Builder::new().prefix("sidewatch-copy-").tempdir().unwrap();
        fs::copy(package, folder.path().join("sidewatch.deb")).unwrap();
        fs::copy(here.join("package.sh"), folder.path().join("script.sh")).unwrap();
        let root = rustix::process::geteuid().is_root();
        if !root && !Command::new("sudo").args(["-n", "true"]).output().is_ok_and(|output| output.status.success()) {
            eprintln!("SKIPPED: neither root nor a sudo that asks for nothing");
            return None;
        }
        let mut command = Command::new(if root { "env" } else { "sudo" });
        command.args(["bash".as_ref(), here.join("booted.sh").as_os_str(), mode.as_ref(), folder.path().as_os_str()]);
        let status = command.status().unwrap();
        let copy = Self(folder);
        if status.code() == Some(77) {
            eprintln!("SKIPPED: namespaces or overlays are not permitted here");
            return None;
        }
        assert!(copy.read("done").contains("done"), "the script: {}\nthe console: {}", copy.read("said"), copy.read("console"));
        Some(copy)
    }

    /// A file that the script wrote, or nothing.
    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.path().join(name)).unwrap_or_default()
    }
}

#[test]
fn under_systemd_the_package_installs_runs_reloads_restarts_and_purges() {
    let Some(copy) = Copy::run("systemd") else { return };
    assert_eq!(copy.read("active"), "active\nactive\n");
    assert_eq!(copy.read("verify"), "verified\n", "systemd-analyze verify has something to say");
    let sockets: String =
        ["control", "events.dgram", "events"].map(|name| format!("srw-rw---- sidewatch sidewatch {name}.sock\n")).concat();
    assert_eq!(copy.read("sockets"), sockets);

    // The sandbox hides nothing of the host from the collectors.
    let metrics = Exposition::parse(&copy.read("metrics"));
    for name in [
        "node_cpu_seconds_total",
        "node_load1",
        "node_memory_MemTotal_bytes",
        "node_filesystem_size_bytes",
        "node_network_mtu_bytes",
        "node_boot_time_seconds",
        "process_resident_memory_bytes",
    ] {
        assert!(metrics.sum(name, &[]) > 0.0, "{name} is missing under the sandbox");
    }
    for name in ["node_disk_reads_completed_total", "node_network_receive_bytes_total", "node_pressure_cpu_waiting_seconds_total"] {
        assert!(copy.read("metrics").contains(&format!("\n{name}")), "{name} is missing under the sandbox");
    }
    // One was mounted before the agent started, and the sandbox makes its mounts read-only; one later.
    for mountpoint in ["mountpoint=\"/disk\"", "mountpoint=\"/late\""] {
        assert_eq!(metrics.sum("node_filesystem_size_bytes", &[mountpoint]), f64::from(16 << 20), "{mountpoint}");
        assert_eq!(metrics.sum("node_filesystem_readonly", &[mountpoint]), 0.0, "read-only is the sandbox, not {mountpoint}");
    }
    // There, /tmp is a filesystem of its own, below the sandbox's private one.
    let size = copy.read("size-of-tmp").trim().parse::<f64>().unwrap();
    assert_eq!(metrics.sum("node_filesystem_size_bytes", &["mountpoint=\"/tmp\""]), size, "/tmp is not as large as it is outside");
    for folder in ["/var/tmp", "/var/lib/sidewatch", "/run/sidewatch"] {
        assert!(!copy.read("metrics").contains(&format!("mountpoint=\"{folder}\"")), "{folder} is a mount of the sandbox's making");
    }
    assert_eq!(metrics.sum("by_datagram_total", &[]), 1.0);

    assert_eq!(copy.read("reloaded"), "active\n");
    let control = copy.read("control");
    let told: Vec<_> = control.lines().filter(|line| !line.starts_with("note: ")).collect();
    assert!(told[0] == "reloaded" && told[1].ends_with("Permission denied (os error 13)"), "{control}");
    assert!(told[2].contains("members of the group sidewatch may use it"), "{control}");
    assert!(told[3].contains("  active ") && told[3].contains("alertname=\"A\"  nobody: "), "{control}");
    let restarted = Exposition::parse(&copy.read("metrics-after-restart"));
    assert_eq!(restarted.sum("while_stopped_total", &[]), 1.0, "what was sent while the agent was down is lost");

    assert_eq!(copy.read("stopped"), "inactive\ninactive\n");
    let kept = copy.read("left-by-remove");
    assert!(kept.contains("/etc/sidewatch/sidewatch.yml\n") && !kept.contains("/usr/"), "{kept}");
    assert_eq!(copy.read("left-by-purge"), "", "purging leaves files behind");
}

#[test]
fn without_systemd_the_package_installs_and_purges_as_in_a_container() {
    let Some(copy) = Copy::run("plain") else { return };
    assert!(copy.read("version").starts_with("sidewatch "), "{}", copy.read("version"));
    assert!(copy.read("user").starts_with("sidewatch:"), "{}", copy.read("user"));
    let completions = copy.read("completions");
    for script in
        ["bash-completion/completions/sidewatch\n", "zsh/vendor-completions/_sidewatch\n", "fish/vendor_completions.d/sidewatch.fish\n"]
    {
        assert!(completions.contains(script), "{script:?}: {completions}");
    }
    assert_eq!(copy.read("left-by-purge"), "", "purging leaves files behind");
}
