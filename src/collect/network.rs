//! What network interfaces have carried, and what state they are in.
//! Source: proc_pid_net(5), the kernel's `Documentation/ABI/testing/sysfs-class-net`; node_exporter's collectors `netdev`
//! and `netclass`.

use crate::model::{Family, Labels, Timestamp};

use super::devices::{Filter, Known};
use super::sheet::Sheet;
use super::{CollectError, Collector, Described, HostFs, Kind};

const FILE: &str = "net/dev";
const DEVICE: &[&str] = &["device"];

pub(super) const KIND: Kind = Kind {
    name: "network",
    families: &FAMILIES,
    make: |parts| {
        let filter = Filter::new(&parts.config.network.device_include, &parts.config.network.device_exclude)?;
        Ok(Box::new(Network { filter, text: String::new(), attribute: String::new(), sheet: Sheet::new(&FAMILIES), known: Known::new() }))
    },
};

/// In the order of the file's columns, then of [`Attributes::row`].
const FAMILIES: [Described; COLUMNS + ATTRIBUTES] = [
    Described::counter("node_network_receive_bytes_total", DEVICE, "Bytes received."),
    Described::counter("node_network_receive_packets_total", DEVICE, "Packets received."),
    Described::counter("node_network_receive_errs_total", DEVICE, "Packets received with an error."),
    Described::counter(
        "node_network_receive_drop_total",
        DEVICE,
        "Packets received and dropped, for want of buffers or because nobody wanted them.",
    ),
    Described::counter("node_network_receive_fifo_total", DEVICE, "Packets lost because the receive queue was full."),
    Described::counter("node_network_receive_frame_total", DEVICE, "Packets received with a broken frame."),
    Described::counter("node_network_receive_compressed_total", DEVICE, "Compressed packets received."),
    Described::counter("node_network_receive_multicast_total", DEVICE, "Multicast packets received."),
    Described::counter("node_network_transmit_bytes_total", DEVICE, "Bytes sent."),
    Described::counter("node_network_transmit_packets_total", DEVICE, "Packets sent."),
    Described::counter("node_network_transmit_errs_total", DEVICE, "Packets that could not be sent because of an error."),
    Described::counter("node_network_transmit_drop_total", DEVICE, "Packets dropped before they were sent."),
    Described::counter("node_network_transmit_fifo_total", DEVICE, "Packets lost because the send queue was full."),
    Described::counter("node_network_transmit_colls_total", DEVICE, "Collisions while sending."),
    Described::counter("node_network_transmit_carrier_total", DEVICE, "Packets lost while sending because the carrier was lost."),
    Described::counter("node_network_transmit_compressed_total", DEVICE, "Compressed packets sent."),
    Described::gauge("node_network_up", DEVICE, "1 where the interface's operational state is up, else 0."),
    Described::gauge(
        "node_network_carrier",
        DEVICE,
        "1 where there is a carrier (a cable with a peer), else 0; absent while the interface is down.",
    ),
    Described::counter("node_network_carrier_changes_total", DEVICE, "How often the carrier has come or gone."),
    Described::gauge("node_network_mtu_bytes", DEVICE, "The largest packet that the interface carries."),
    Described::gauge("node_network_speed_bytes", DEVICE, "What the interface can carry in a second; absent where it does not know."),
    Described::counter("node_network_receive_nohandler_total", DEVICE, "Packets received and dropped because no protocol handles them."),
];

const COLUMNS: usize = 16;
const ATTRIBUTES: usize = 6;

/// Attributes are a file each and change seldom, and a host may have hundreds of interfaces.
const ATTRIBUTES_EVERY: std::time::Duration = std::time::Duration::from_secs(5);

struct Network {
    filter: Filter,
    text: String,
    attribute: String,
    sheet: Sheet,
    /// Each interface that is shown, `None` for one that is not.
    known: Known<Option<Interface>>,
}

struct Interface {
    labels: Labels,
    attributes: [Option<f64>; ATTRIBUTES],
    read: Option<Timestamp>,
}

impl Collector for Network {
    fn collect(&mut self, host: &mut HostFs, at: Timestamp) -> Result<Vec<Family>, CollectError> {
        host.proc(FILE, &mut self.text)?;
        self.sheet.begin();
        // Two lines of heading.
        for line in self.text.lines().skip(2) {
            let (device, columns) = parse(line)?;
            let interface = self.known.get(device, || self.filter.passes(device).then(|| Interface::new(device)));
            if let Some(interface) = interface {
                if interface.read.is_none_or(|read| read > at || at.since(read) >= ATTRIBUTES_EVERY) {
                    interface.attributes = attributes(device, host, &mut self.attribute);
                    interface.read = Some(at);
                }
                self.sheet.row(&interface.labels, columns.into_iter().map(Some).chain(interface.attributes));
            }
        }
        self.known.end_round();
        Ok(self.sheet.take())
    }
}

impl Interface {
    fn new(device: &str) -> Self {
        Self { labels: Labels::from_pairs([("device", device)]), attributes: [None; ATTRIBUTES], read: None }
    }
}

/// `  eth0: 154497077    7587 …`, sixteen columns.
fn parse(line: &str) -> Result<(&str, [f64; COLUMNS]), CollectError> {
    let malformed = || CollectError::malformed(FILE, "sixteen counts", line);
    let (device, rest) = line.rsplit_once(':').ok_or_else(malformed)?;
    let mut fields = rest.split_ascii_whitespace();
    let mut columns = [0.0; COLUMNS];
    for column in &mut columns {
        let count: u64 = fields.next().and_then(|field| field.parse().ok()).ok_or_else(malformed)?;
        *column = count as f64;
    }
    Ok((device.trim(), columns))
}

/// What `/sys/class/net` says of an interface. An attribute that cannot be read is absent: not every interface has each,
/// `carrier` is refused while it is down, and it may be gone by now.
fn attributes(device: &str, host: &mut HostFs, text: &mut String) -> [Option<f64>; ATTRIBUTES] {
    let mut read = |attribute: &str| {
        host.sys(&format!("class/net/{device}/{attribute}"), text).ok()?;
        Some(text.trim().to_owned())
    };
    let up = read("operstate").map(|state| if state == "up" { 1.0 } else { 0.0 });
    let mut number = |attribute| read(attribute)?.parse::<f64>().ok();
    // In Mbit/s; -1 is not known.
    let (carrier, changes, mtu, speed) = (number("carrier"), number("carrier_changes"), number("mtu"), number("speed"));
    let speed = speed.filter(|mbits| *mbits >= 0.0).map(|mbits| mbits * 1e6 / 8.0);
    [up, carrier, changes, mtu, speed, number("statistics/rx_nohandler")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_name_and_sixteen_counts() {
        let (device, columns) = parse("  eth0:154497077 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16").unwrap();
        assert_eq!(device, "eth0");
        assert_eq!((columns[0], columns[15]), (154_497_077.0, 16.0));
        assert!(parse("eth0: 1 2 3").is_err());
        assert!(parse("no interface").is_err());
    }

    fn values(network: &mut dyn Collector, host: &mut HostFs, at: f64, name: &str) -> Vec<crate::model::Value> {
        let families = network.collect(host, Timestamp::from_seconds(at)).unwrap();
        families.iter().filter(|f| *f.name == *name).flat_map(|f| f.series.iter().map(|s| s.value.clone())).collect()
    }

    #[test]
    fn attributes_are_read_again_after_a_while() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("net/dev", "heading\nheading\n eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n");
        write("class/net/eth0/operstate", "up\n");
        write("class/net/eth0/speed", "-1\n");
        let mut host = HostFs::new(root.path(), root.path());
        let config = super::super::Config::default();
        let prober = Default::default();
        let mut network = (KIND.make)(&super::super::Parts { config: &config, prober: &prober }).unwrap();
        let number = |value| vec![crate::model::Value::Number(value)];
        assert_eq!(values(&mut *network, &mut host, 10.0, "node_network_up"), number(1.0));
        write("class/net/eth0/operstate", "down\n");
        assert_eq!(values(&mut *network, &mut host, 14.0, "node_network_up"), number(1.0));
        assert_eq!(values(&mut *network, &mut host, 15.0, "node_network_up"), number(0.0));
        assert!(values(&mut *network, &mut host, 16.0, "node_network_speed_bytes").is_empty());
    }
}
