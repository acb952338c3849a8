//! The units as `make install` puts them into a folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::stage::run;

/// The folder that `make e2e` installed into.
fn root() -> Option<PathBuf> {
    let root = std::env::var_os("SIDEWATCH_ROOT").map(PathBuf::from);
    if root.is_none() {
        eprintln!("SKIPPED: SIDEWATCH_ROOT is not set (`make e2e` sets it)");
    }
    root
}

#[test]
fn systemd_finds_nothing_to_say_about_the_units() {
    let Some(installed) = root() else { return };
    // What the units refer to on a real machine, beside them.
    let root = tempfile::tempdir().unwrap();
    let copy = |from: &Path, to: &str| {
        let status = Command::new("cp").arg("--archive").arg("--dereference").arg(from).arg(root.path().join(to)).status();
        assert!(status.unwrap().success(), "{}", from.display());
    };
    copy(&installed.join("usr"), "usr");
    for unit in ["sysinit", "basic", "shutdown", "sockets", "network", "local-fs"] {
        let name = format!("usr/lib/systemd/system/{unit}.target");
        // Whatever else the target wants is not under test.
        fs::write(root.path().join(&name), "[Unit]\nDescription=A target\n").unwrap();
    }
    for slice in ["system.slice", "-.slice"] {
        fs::write(root.path().join("usr/lib/systemd/system").join(slice), "[Unit]\nDescription=A slice\n").unwrap();
    }
    fs::create_dir(root.path().join("bin")).unwrap();
    copy(Path::new("/bin/kill"), "bin/kill");

    let root_option = format!("--root={}", root.path().display());
    for unit in ["sidewatch.service", "sidewatch.socket"] {
        let output =
            run(Command::new("systemd-analyze").args(["verify", "--man=no", &root_option]).arg(format!("/usr/lib/systemd/system/{unit}")));
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success() && said.trim().is_empty(), "{unit}: {said}");
    }
}

#[test]
fn the_sandbox_leaves_an_exposure_of_at_most_two() {
    let Some(root) = root() else { return };
    let mut command = Command::new("systemd-analyze");
    command.args(["security", "--offline=true", "--no-pager"]).arg(format!("--root={}", root.display())).arg("sidewatch.service");
    let output = run(&mut command);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let exposure = said.split("sidewatch.service: ").nth(1).and_then(|rest| rest.split(' ').next()?.parse::<f64>().ok());
    let exposure = exposure.unwrap_or_else(|| panic!("no figure: {said} {}", String::from_utf8_lossy(&output.stderr)));
    eprintln!("exposure: {exposure}");
    assert!(exposure <= 2.0, "{said}");
}

#[test]
fn what_the_alerts_of_the_packs_link_to_is_installed() {
    let Some(root) = root() else { return };
    let mut links = 0;
    for file in fs::read_dir(root.join("usr/share/sidewatch/rules")).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        for link in text.lines().filter_map(|line| line.trim().strip_prefix("runbook_url: file:///")) {
            let (page, _) = link.split_once('#').unwrap();
            assert!(root.join(page).is_file(), "{link}");
            links += 1;
        }
    }
    assert!(links >= 64, "{links}");
}
