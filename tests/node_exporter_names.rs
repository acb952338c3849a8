//! The host's metrics beside those of the real node_exporter, on this machine: the same names, types and label names.
//! Skipped where Debian's `prometheus-node-exporter` is neither named in `SIDEWATCH_NODE_EXPORTER` nor installed.

#![allow(clippy::unwrap_used, clippy::panic)] // that is how a test fails

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sidewatch::clock;
use sidewatch::collect::{ALL, Config, HostFs, Parts, Prober, described};
use sidewatch::exposition::{Format, write};

const INSTALLED: &str = "/usr/bin/prometheus-node-exporter";

/// Its collectors that ours stand for.
const COLLECTORS: [&str; 11] =
    ["cpu", "diskstats", "filesystem", "loadavg", "meminfo", "netclass", "netdev", "pressure", "stat", "time", "uname"];

/// What it shows and we leave out on purpose.
const OMITTED: [&str; 26] = [
    // Facts about hardware that do not change, from udev's database and many files of /sys.
    "node_cpu_info",
    "node_cpu_isolated",
    "node_disk_ata_",
    "node_disk_device_mapper_info",
    "node_disk_filesystem_info",
    "node_disk_info",
    // Throttling needs a file for each core and each package.
    "node_cpu_core_throttles_total",
    "node_cpu_package_throttles_total",
    // A file of /sys each; what tells of trouble (up, carrier, its changes, speed, MTU) is there.
    "node_network_address_assign_type",
    "node_network_carrier_down_changes_total",
    "node_network_carrier_up_changes_total",
    "node_network_device_id",
    "node_network_dormant",
    "node_network_flags",
    "node_network_iface_",
    "node_network_info",
    "node_network_name_assign_type",
    "node_network_net_dev_group",
    "node_network_protocol_type",
    "node_network_transmit_queue_length",
    // Clock sources and time zones.
    "node_time_clocksource_",
    "node_time_zone_offset_seconds",
    // About node_exporter itself.
    "go_",
    "node_exporter_build_info",
    "process_virtual_memory_max_bytes",
    "promhttp_",
];

/// What we show and it does not, or not in Debian's version.
const ADDED: [&str; 3] = ["sidewatch_", "node_pressure_irq_stalled_seconds_total", "process_threads"];

/// What we describe and this machine may not have: an unknown speed is -125000 there and absent here; the last is made by
/// the sampling loop.
const DESCRIBED_ONLY: [&str; 2] = ["node_network_speed_bytes", "node_scrape_collector_"];

/// Type and label names of a family.
type Shape = (String, BTreeSet<String>);

#[test]
fn names_types_and_labels_are_node_exporters() {
    let given = std::env::var_os("SIDEWATCH_NODE_EXPORTER").map(PathBuf::from);
    if given.is_none() && !Path::new(INSTALLED).exists() {
        println!("skipped: {INSTALLED} is not installed");
        return;
    }
    let config = Config::default();
    let theirs = shapes(&scrape(&given.unwrap_or_else(|| INSTALLED.into()), &config));
    let ours_now = ours(&config);
    let mut ours = shapes(&ours_now);
    for (_, family) in described().filter(|(_, family)| named(&DESCRIBED_ONLY, family.name)) {
        let labels = family.labels.iter().map(|label| (*label).to_owned()).collect();
        ours.insert(family.name.to_owned(), (family.kind.as_str().to_owned(), labels));
    }

    let mut differences = Vec::new();
    for (name, shape) in theirs.iter().filter(|(name, _)| !named(&OMITTED, name)) {
        match ours.get(name) {
            None => differences.push(format!("{name} is missing")),
            Some(own) if own != shape => differences.push(format!("{name} is {own:?}, in node_exporter {shape:?}")),
            Some(_) => {}
        }
    }
    let unknown = ours.keys().filter(|name| !named(&ADDED, name) && !named(&DESCRIBED_ONLY, name) && !theirs.contains_key(*name));
    differences.extend(unknown.map(|name| format!("{name} is not in node_exporter")));
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(theirs.len() > 80, "too little to compare: {} families", theirs.len());
}

/// True for a name in the list, or one that begins with an entry that ends in `_`.
fn named(list: &[&str], name: &str) -> bool {
    list.iter().any(|entry| if entry.ends_with('_') { name.starts_with(entry) } else { name == *entry })
}

/// This host by all our collectors.
fn ours(config: &Config) -> String {
    let prober = Arc::new(Mutex::new(Prober::default()));
    let parts = Parts { config, prober: &prober };
    let mut host = HostFs::new(&config.proc, &config.sys);
    let mut families = Vec::new();
    for kind in ALL {
        let mut collector = (kind.make)(&parts).unwrap();
        let until = clock::monotonic() + Duration::from_secs(30);
        let made = loop {
            let made = collector.collect(&mut host, clock::now()).unwrap();
            let series = |name: &str| made.iter().find(|family| *family.name == *name).map_or(0, |family| family.series.len());
            // A filesystem that was slow to answer is there in a later round.
            if series("node_filesystem_device_error") >= series("sidewatch_collect_filesystem_stuck") {
                break made;
            }
            assert!(clock::monotonic() < until, "filesystems do not answer");
        };
        for family in &made {
            let described = kind.families.iter().find(|described| *described.name == *family.name);
            // Memory shows whatever fields the kernel has.
            assert!(described.is_some() || kind.name == "memory", "{} is not described", family.name);
            for series in &family.series {
                let labels: Vec<_> = series.labels.iter().map(|(name, _)| name).collect();
                assert_eq!(labels, described.map_or(&[][..], |described| described.labels), "{}", family.name);
            }
        }
        families.extend(made);
    }
    families.sort_by(|a, b| a.name.cmp(&b.name));
    let mut text = Vec::new();
    write(Format::Text004, &families, &mut text);
    String::from_utf8(text).unwrap()
}

/// Reads `# TYPE` lines and the label names of series.
fn shapes(text: &str) -> BTreeMap<String, Shape> {
    let mut shapes = BTreeMap::new();
    for line in text.lines() {
        if let Some(family) = line.strip_prefix("# TYPE ") {
            let (name, kind) = family.split_once(' ').unwrap();
            shapes.insert(name.to_owned(), (kind.to_owned(), BTreeSet::new()));
        } else if let Some((name, labels)) = line.split_once('{')
            && let Some((_, names)) = shapes.get_mut(name)
        {
            names.extend(label_names(labels));
        }
    }
    shapes
}

/// The names in `a="x",b="y\"}"} 1`.
fn label_names(labels: &str) -> Vec<String> {
    let (mut names, mut name) = (Vec::new(), String::new());
    let (mut quoted, mut escaped) = (false, false);
    for c in labels.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '=' => names.push(std::mem::take(&mut name)),
            ',' => {}
            '}' => break,
            _ => name.push(c),
        }
    }
    names
}

#[test]
fn label_names_are_told_from_values() {
    assert_eq!(label_names(r#"a="x,c=\"}",b="\\"} 1"#), ["a", "b"]);
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What node_exporter says of this host.
fn scrape(node_exporter: &Path, config: &Config) -> String {
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|free| free.local_addr()).unwrap();
    let mut command = Command::new(node_exporter);
    command.arg(format!("--web.listen-address={address}")).arg("--collector.disable-defaults");
    command.args(COLLECTORS.map(|collector| format!("--collector.{collector}")));
    // Debian's defaults differ from the project's, which ours are.
    command.arg(format!("--collector.filesystem.mount-points-exclude={}", config.filesystem.mount_points_exclude));
    command.arg(format!("--collector.filesystem.fs-types-exclude={}", config.filesystem.fs_types_exclude));
    command.arg(format!("--collector.diskstats.device-exclude={}", config.disk.device_exclude));
    command.arg("--collector.netdev.device-exclude=^$");
    let mut running = Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let until = clock::monotonic() + Duration::from_secs(30);
    loop {
        match get(address) {
            Ok(text) => return text,
            Err(error) => assert!(clock::monotonic() < until, "no answer from node_exporter: {error}"),
        }
        assert!(running.0.try_wait().unwrap().is_none(), "node_exporter has ended");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

fn get(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}
