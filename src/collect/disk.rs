//! What block devices have done.
//! Source: the kernel's `Documentation/admin-guide/iostats.rst`; node_exporter's collector `diskstats`.

use crate::model::{Family, Labels, Timestamp};

use super::devices::{Filter, Known};
use super::sheet::Sheet;
use super::{CollectError, Collector, Described, HostFs, Kind};

const FILE: &str = "diskstats";
const DEVICE: &[&str] = &["device"];

/// The kernel counts sectors of 512 bytes, whatever the device's own are.
const SECTOR_BYTES: f64 = 512.0;

pub(super) const KIND: Kind = Kind {
    name: "disk",
    families: &FAMILIES,
    make: |parts| {
        let filter = Filter::new(&parts.config.disk.device_include, &parts.config.disk.device_exclude)?;
        Ok(Box::new(Disk { filter, text: String::new(), sheet: Sheet::new(&FAMILIES), known: Known::new() }))
    },
};

/// In the order of the file's columns.
const FAMILIES: [Described; 17] = [
    Described::counter("node_disk_reads_completed_total", DEVICE, "Reads that have completed."),
    Described::counter("node_disk_reads_merged_total", DEVICE, "Reads that were joined with a neighbouring one before they were queued."),
    Described::counter("node_disk_read_bytes_total", DEVICE, "Bytes that have been read."),
    Described::counter("node_disk_read_time_seconds_total", DEVICE, "Time that all reads have taken together."),
    Described::counter("node_disk_writes_completed_total", DEVICE, "Writes that have completed."),
    Described::counter("node_disk_writes_merged_total", DEVICE, "Writes that were joined with a neighbouring one before they were queued."),
    Described::counter("node_disk_written_bytes_total", DEVICE, "Bytes that have been written."),
    Described::counter("node_disk_write_time_seconds_total", DEVICE, "Time that all writes have taken together."),
    Described::gauge("node_disk_io_now", DEVICE, "Operations that are in progress."),
    Described::counter("node_disk_io_time_seconds_total", DEVICE, "Time in which at least one operation was in progress."),
    Described::counter(
        "node_disk_io_time_weighted_seconds_total",
        DEVICE,
        "Time in which operations were in progress, times how many they were.",
    ),
    Described::counter("node_disk_discards_completed_total", DEVICE, "Discards that have completed."),
    Described::counter(
        "node_disk_discards_merged_total",
        DEVICE,
        "Discards that were joined with a neighbouring one before they were queued.",
    ),
    Described::counter("node_disk_discarded_sectors_total", DEVICE, "Sectors of 512 bytes that have been discarded."),
    Described::counter("node_disk_discard_time_seconds_total", DEVICE, "Time that all discards have taken together."),
    Described::counter("node_disk_flush_requests_total", DEVICE, "Flushes that have completed."),
    Described::counter("node_disk_flush_requests_time_seconds_total", DEVICE, "Time that all flushes have taken together."),
];

/// What one unit of each column is. The operations in progress are a count; times are milliseconds.
const UNITS: [f64; FAMILIES.len()] = {
    const COUNT: f64 = 1.0;
    const MILLIS: f64 = 1e-3;
    [
        COUNT,
        COUNT,
        SECTOR_BYTES,
        MILLIS,
        COUNT,
        COUNT,
        SECTOR_BYTES,
        MILLIS,
        COUNT,
        MILLIS,
        MILLIS,
        COUNT,
        COUNT,
        COUNT,
        MILLIS,
        COUNT,
        MILLIS,
    ]
};

/// Columns that every kernel since 2.6.25 has; discards came with 4.18, flushes with 5.5.
const COLUMNS_MIN: usize = 11;

struct Disk {
    filter: Filter,
    text: String,
    sheet: Sheet,
    /// The labels of each device that is shown, `None` for one that is not.
    known: Known<Option<Labels>>,
}

impl Collector for Disk {
    fn collect(&mut self, host: &mut HostFs, _at: Timestamp) -> Result<Vec<Family>, CollectError> {
        host.proc(FILE, &mut self.text)?;
        self.sheet.begin();
        for line in self.text.lines() {
            // Major and minor number, name, columns.
            let mut fields = line.split_ascii_whitespace().skip(2);
            let Some(device) = fields.next() else { return Err(CollectError::malformed(FILE, "a device", line)) };
            let labels = self.known.get(device, || self.filter.passes(device).then(|| Labels::from_pairs([("device", device)])));
            if let Some(labels) = labels {
                self.sheet.row(labels, columns(fields, line)?);
            }
        }
        self.known.end_round();
        Ok(self.sheet.take())
    }
}

/// A device's columns in base units; `None` for those that this kernel does not have.
fn columns<'a>(mut fields: impl Iterator<Item = &'a str>, line: &str) -> Result<[Option<f64>; FAMILIES.len()], CollectError> {
    let mut columns = [None; FAMILIES.len()];
    for (index, (column, unit)) in columns.iter_mut().zip(UNITS).enumerate() {
        match fields.next().map(str::parse::<u64>) {
            Some(Ok(count)) => *column = Some(in_unit(count as f64, unit)),
            None if index >= COLUMNS_MIN => break,
            _ => return Err(CollectError::malformed(FILE, "a count", line)),
        }
    }
    Ok(columns)
}

/// Divides where the unit is a fraction: `86588 / 1000` is 86.588, `86588 * 0.001` is 86.58800000000001.
fn in_unit(count: f64, unit: f64) -> f64 {
    if unit < 1.0 { count / unit.recip().round() } else { count * unit }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<[Option<f64>; FAMILIES.len()], CollectError> {
        columns(line.split_ascii_whitespace(), line)
    }

    #[test]
    fn columns_become_base_units() {
        let row = parse("72177 12045 7296202 86588 28686 56999 12789408 48824 3 23116 136772 10192 64 684160 1194 3351 161").unwrap();
        let value = |name: &str| row[FAMILIES.iter().position(|family| family.name == name).unwrap()].unwrap();
        assert_eq!(value("node_disk_reads_completed_total"), 72177.0);
        assert_eq!(value("node_disk_read_bytes_total"), 7_296_202.0 * 512.0);
        assert_eq!(value("node_disk_read_time_seconds_total"), 86.588);
        assert_eq!(value("node_disk_written_bytes_total"), 12_789_408.0 * 512.0);
        assert_eq!(value("node_disk_io_now"), 3.0);
        assert_eq!(value("node_disk_io_time_weighted_seconds_total"), 136.772);
        assert_eq!(value("node_disk_discarded_sectors_total"), 684_160.0);
        assert_eq!(value("node_disk_flush_requests_time_seconds_total"), 0.161);
    }

    #[test]
    fn an_older_kernel_has_fewer_columns() {
        let row = parse("1 2 3 4 5 6 7 8 9 10 11").unwrap();
        assert_eq!(row.iter().flatten().count(), 11);
    }

    #[test]
    fn too_few_columns_or_text_are_malformed() {
        assert!(parse("1 2 3 4 5 6 7 8 9 10").is_err());
        assert!(parse("1 2 3 4 5 6 7 8 9 10 11 x").is_err());
    }
}
