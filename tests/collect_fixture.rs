//! A recorded host, sampled by every collector that reads kernel files, against one golden exposition.
//! `UPDATE_GOLDEN=1 cargo test --test collect_fixture` rewrites it.

#![allow(clippy::unwrap_used, clippy::panic)] // that is how a test fails

use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sidewatch::collect::{ALL, Capacity, Collector, Config, HostFs, Parts, Prober};
use sidewatch::exposition::{Format, write};
use sidewatch::model::Timestamp;

/// These ask `sysinfo`, which knows this machine only.
const BY_SYSINFO: [&str; 3] = ["loadavg", "process", "uptime"];

const HUNG: &str = "/mnt/gone";

/// What the fixture's filesystems answer; the one on a server that is gone hangs until the test is over.
fn statfs(path: &Path, gone: &Mutex<Receiver<()>>) -> std::io::Result<Capacity> {
    let gib: u64 = 1 << 18;
    let ext = |blocks: u64, blocks_free: u64, blocks_available: u64| Capacity {
        block_size: 4096,
        blocks: blocks * gib,
        blocks_free: blocks_free * gib,
        blocks_available: blocks_available * gib,
        files: blocks * 65_536,
        files_free: blocks_free * 65_536,
    };
    match path.to_str() {
        Some("/") => Ok(ext(200, 80, 70)),
        Some("/boot/efi") => {
            Ok(Capacity { block_size: 4096, blocks: 130_812, blocks_free: 129_000, blocks_available: 129_000, ..Default::default() })
        }
        Some("/srv/with space and\\backslash") => Ok(ext(1000, 10, 10)),
        Some("/var/lib/data") => Ok(Capacity { files: 0, files_free: 0, ..ext(500, 499, 499) }),
        Some("/home") => Ok(Capacity { block_size: 1 << 20, ..ext(4, 2, 2) }),
        Some(HUNG) => {
            let _ = gone.lock().unwrap().recv();
            Err(std::io::Error::other("the test is over"))
        }
        Some("/mnt/build") => Err(std::io::Error::from_raw_os_error(107)), // not connected
        Some("/export/share") => Ok(ext(200, 80, 70)),
        Some("/run" | "/run/user/1000") => Ok(ext(2, 1, 1)),
        _ => panic!("{} is excluded and must not be asked", path.display()),
    }
}

#[test]
fn the_fixture_host_looks_as_recorded() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/host");
    let config = Config { proc: fixtures.join("proc"), sys: fixtures.join("sys"), ..Config::default() };
    let mut host = HostFs::new(&config.proc, &config.sys);
    let (_over, gone) = sync_channel(1);
    let gone = Mutex::new(gone);
    let prober = Arc::new(Mutex::new(Prober::new(Arc::new(move |path| statfs(path, &gone)))));
    let parts = Parts { config: &config, prober: &prober };
    let kinds = ALL.iter().filter(|kind| !BY_SYSINFO.contains(&kind.name));
    let mut collectors: Vec<_> = kinds.map(|kind| (kind.make)(&parts).unwrap()).collect();

    sample(&mut collectors, &mut host, 1_000);
    // Long after the limit; how soon threads get to run is not under test.
    let until = sidewatch::clock::monotonic() + Duration::from_secs(30);
    let text = loop {
        let text = sample(&mut collectors, &mut host, 60_000);
        let count = |start: &str, end: &str| text.lines().filter(|line| line.starts_with(start) && line.ends_with(end)).count();
        let stuck = count("sidewatch_collect_filesystem_stuck{", " 1");
        let (asked, sized) = (count("node_filesystem_device_error{", ""), count("node_filesystem_size_bytes{", ""));
        if (stuck, asked, sized) == (1, 10, 8) {
            break text;
        }
        assert!(sidewatch::clock::monotonic() < until, "{stuck} stuck, {asked} have answered, {sized} with a size");
    };

    // The one thing that comes from this machine.
    let text = text.replace(&format!("machine=\"{}\"", sysinfo::System::cpu_arch()), "machine=\"this one's\"");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/host.prom");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&golden, &text).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap();
    for (line, (is, should)) in text.lines().zip(expected.lines()).enumerate() {
        assert_eq!(is, should, "line {} of {}", line + 1, golden.display());
    }
    assert_eq!(text.lines().count(), expected.lines().count());
}

fn sample(collectors: &mut [Box<dyn Collector>], host: &mut HostFs, millis: i64) -> String {
    let at = Timestamp::from_millis(millis);
    let mut families: Vec<_> = collectors.iter_mut().flat_map(|collector| collector.collect(host, at).unwrap()).collect();
    families.sort_by(|a, b| a.name.cmp(&b.name));
    for family in &mut families {
        family.series.sort_by(|a, b| a.labels.cmp(&b.labels));
    }
    let mut text = Vec::new();
    write(Format::Text004, &families, &mut text);
    String::from_utf8(text).unwrap()
}
