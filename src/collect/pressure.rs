//! Pressure stall information: how long tasks have waited for processor, memory and I/O.
//! Source: the kernel's `Documentation/accounting/psi.rst`; node_exporter's collector `pressure`.

use crate::model::{Condition, Family, Labels, Timestamp};

use super::sheet::Sheet;
use super::{CollectError, Collector, Described, HostFs, Kind};

const DIRECTORY: &str = "pressure";

pub(super) const KIND: Kind = Kind { name: "pressure", families: &FAMILIES, make: |_| Ok(Box::new(Pressure::new())) };

const FAMILIES: [Described; 6] = [
    Described::counter("node_pressure_cpu_waiting_seconds_total", &[], "Time in which at least one task waited for a processor."),
    Described::counter("node_pressure_io_waiting_seconds_total", &[], "Time in which at least one task waited for I/O."),
    Described::counter("node_pressure_io_stalled_seconds_total", &[], "Time in which all tasks waited for I/O and nothing went on."),
    Described::counter("node_pressure_memory_waiting_seconds_total", &[], "Time in which at least one task waited for memory."),
    Described::counter("node_pressure_memory_stalled_seconds_total", &[], "Time in which all tasks waited for memory and nothing went on."),
    Described::counter("node_pressure_irq_stalled_seconds_total", &[], "Time in which interrupts kept all tasks from going on."),
];

/// What is read: a file, one of its lines, and the family that it becomes. That all tasks wait for a processor is not
/// defined for a whole machine, so node_exporter does not show it; interrupts have that line only.
const READ: [(&str, &str, &str); 6] = [
    ("pressure/cpu", "some", "node_pressure_cpu_waiting_seconds_total"),
    ("pressure/io", "some", "node_pressure_io_waiting_seconds_total"),
    ("pressure/io", "full", "node_pressure_io_stalled_seconds_total"),
    ("pressure/memory", "some", "node_pressure_memory_waiting_seconds_total"),
    ("pressure/memory", "full", "node_pressure_memory_stalled_seconds_total"),
    ("pressure/irq", "full", "node_pressure_irq_stalled_seconds_total"),
];

struct Pressure {
    text: String,
    sheet: Sheet,
    absent: bool,
}

impl Pressure {
    fn new() -> Self {
        Self { text: String::new(), sheet: Sheet::new(&FAMILIES), absent: false }
    }
}

impl Collector for Pressure {
    fn collect(&mut self, host: &mut HostFs, _at: Timestamp) -> Result<Vec<Family>, CollectError> {
        self.sheet.begin();
        self.absent = true;
        let mut last = "";
        for (file, line, family) in READ {
            if file != last {
                last = file;
                self.text.clear();
                match host.proc(file, &mut self.text) {
                    Ok(()) => self.absent = false,
                    // A kernel without PSI, or one that does not account for interrupts.
                    Err(error) if error.is_absent() => {}
                    Err(error) => return Err(error),
                }
            }
            if let Some(seconds) = seconds(&self.text, line)? {
                self.sheet.push(family, &Labels::empty(), seconds);
            }
        }
        Ok(self.sheet.take())
    }

    fn condition(&self) -> (Condition, String) {
        (Condition::Ok, if self.absent { "this kernel has no pressure information".to_owned() } else { String::new() })
    }
}

/// The total of the line that begins with `kind`; `None` where there is no such line.
fn seconds(text: &str, kind: &str) -> Result<Option<f64>, CollectError> {
    let Some(line) = text.lines().find(|line| line.split(' ').next() == Some(kind)) else { return Ok(None) };
    let micros = line.split(' ').find_map(|field| field.strip_prefix("total=")).and_then(|total| total.parse::<u64>().ok());
    let micros = micros.ok_or_else(|| CollectError::malformed(DIRECTORY, "a total", line))?;
    Ok(Some(micros as f64 / 1e6))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "some avg10=1.50 avg60=1.85 avg300=1.45 total=21448862\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=5\n";

    #[test]
    fn totals_are_microseconds() {
        assert_eq!(seconds(TEXT, "some").unwrap(), Some(21.448_862));
        assert_eq!(seconds(TEXT, "full").unwrap(), Some(5e-6));
    }

    #[test]
    fn a_missing_line_is_a_value_and_a_missing_total_is_not() {
        assert_eq!(seconds("", "some").unwrap(), None);
        assert!(seconds("some avg10=1.50", "some").is_err());
    }

    #[test]
    fn a_kernel_without_pressure_information_is_no_failure() {
        let root = tempfile::tempdir().unwrap();
        let mut pressure = Pressure::new();
        let families = pressure.collect(&mut HostFs::new(root.path(), root.path()), Timestamp::default()).unwrap();
        assert!(families.is_empty());
        assert_eq!(pressure.condition(), (Condition::Ok, "this kernel has no pressure information".to_owned()));
    }
}
