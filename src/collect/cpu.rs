//! Processor time by mode, and the counts of interrupts, context switches and processes that stand in the same file.
//! Source: proc_stat(5); node_exporter's collectors `cpu` and `stat`.

use crate::model::{Family, Labels, Timestamp};

use super::devices::Known;
use super::sheet::Sheet;
use super::{CollectError, Collector, Described, HostFs, Kind};

const FILE: &str = "stat";
const SECONDS: &str = "node_cpu_seconds_total";
const GUEST: &str = "node_cpu_guest_seconds_total";

/// `USER_HZ`: what user space sees is a hundred ticks a second on every platform that this runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// The columns of a processor's line. The kernel counts guests in `user` and `nice` too, and so does node_exporter.
const MODES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];
const GUEST_MODES: [&str; 2] = ["user", "nice"];
const COLUMNS: usize = MODES.len() + GUEST_MODES.len();
const IDLE: usize = 3;

/// The lines that are one number. For some, like `intr`, more numbers follow.
const COUNTS: [(&str, &str); 5] = [
    ("intr", "node_intr_total"),
    ("ctxt", "node_context_switches_total"),
    ("processes", "node_forks_total"),
    ("procs_running", "node_procs_running"),
    ("procs_blocked", "node_procs_blocked"),
];

/// The kernel may set idle time back a little (a processor that sleeps accounts for itself later), which must not
/// look like a reset of the counter. When it goes back by more seconds than this, the processor was unplugged and is new.
const JUMP_BACK_SECONDS: f64 = 3.0;

pub(super) const KIND: Kind = Kind { name: "cpu", families: &FAMILIES, make: |_| Ok(Box::new(Cpu::new())) };

const FAMILIES: [Described; 7] = [
    Described::counter(SECONDS, &["cpu", "mode"], "Time that a processor has spent in each mode."),
    Described::counter(
        GUEST,
        &["cpu", "mode"],
        "Time that a processor has spent running guests (virtual machines), which is counted in user and nice too.",
    ),
    Described::counter("node_intr_total", &[], "Interrupts that have been serviced."),
    Described::counter("node_context_switches_total", &[], "Switches from one task to another on a processor."),
    Described::counter("node_forks_total", &[], "Processes and threads that have been created."),
    Described::gauge("node_procs_running", &[], "Tasks that are running or ready to run."),
    Described::gauge("node_procs_blocked", &[], "Tasks that are blocked, waiting for I/O to complete."),
];

struct Cpu {
    text: String,
    sheet: Sheet,
    processors: Known<Processor>,
}

struct Processor {
    modes: [Labels; MODES.len()],
    guest_modes: [Labels; GUEST_MODES.len()],
    seconds: [f64; COLUMNS],
}

impl Cpu {
    fn new() -> Self {
        Self { text: String::new(), sheet: Sheet::new(&FAMILIES), processors: Known::new() }
    }
}

impl Collector for Cpu {
    fn collect(&mut self, host: &mut HostFs, _at: Timestamp) -> Result<Vec<Family>, CollectError> {
        host.proc(FILE, &mut self.text)?;
        self.sheet.begin();
        let empty = Labels::empty();
        for line in self.text.lines() {
            let (key, rest) = line.split_once(' ').unwrap_or((line, ""));
            if let Some(name) = key.strip_prefix("cpu") {
                // The line without a number is the sum of the others.
                if !name.is_empty() {
                    let processor = self.processors.get(name, || Processor::new(name));
                    processor.update(seconds(line, rest)?);
                    processor.write(&mut self.sheet);
                }
            } else if let Some((_, family)) = COUNTS.iter().find(|(name, _)| *name == key) {
                let count = rest.split_ascii_whitespace().next().and_then(|count| count.parse::<u64>().ok());
                let count = count.ok_or_else(|| CollectError::malformed(FILE, "a count", line))?;
                self.sheet.push(family, &empty, count as f64);
            }
        }
        self.processors.end_round();
        Ok(self.sheet.take())
    }
}

impl Processor {
    fn new(name: &str) -> Self {
        let labels = |mode| Labels::from_pairs([("cpu", name), ("mode", mode)]);
        Self { modes: MODES.map(labels), guest_modes: GUEST_MODES.map(labels), seconds: [0.0; COLUMNS] }
    }

    fn update(&mut self, now: [f64; COLUMNS]) {
        let idle = |seconds: &[f64; COLUMNS]| seconds.get(IDLE).copied().unwrap_or_default();
        if idle(&self.seconds) - idle(&now) >= JUMP_BACK_SECONDS {
            self.seconds = now;
        }
        for (before, now) in self.seconds.iter_mut().zip(now) {
            *before = before.max(now);
        }
    }

    fn write(&self, sheet: &mut Sheet) {
        let (modes, guest_modes) = self.seconds.split_at(MODES.len());
        for (labels, seconds) in self.modes.iter().zip(modes) {
            sheet.push(SECONDS, labels, *seconds);
        }
        for (labels, seconds) in self.guest_modes.iter().zip(guest_modes) {
            sheet.push(GUEST, labels, *seconds);
        }
    }
}

/// A processor's columns. Kernels before 2.6.33 have fewer; what is missing is 0.
fn seconds(line: &str, rest: &str) -> Result<[f64; COLUMNS], CollectError> {
    let mut seconds = [0.0; COLUMNS];
    let mut found = 0;
    for (place, ticks) in seconds.iter_mut().zip(rest.split_ascii_whitespace()) {
        let ticks: u64 = ticks.parse().map_err(|_| CollectError::malformed(FILE, "a number of ticks", line))?;
        *place = ticks as f64 / TICKS_PER_SECOND;
        found += 1;
    }
    if found <= IDLE { Err(CollectError::malformed(FILE, "the idle time", line)) } else { Ok(seconds) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(idle: f64, user: f64) -> [f64; COLUMNS] {
        let mut columns = [0.0; COLUMNS];
        columns[0] = user;
        columns[IDLE] = idle;
        columns
    }

    #[test]
    fn ticks_become_seconds() {
        let seconds = seconds("", "100 0 50 200 1 0 0 0 25 0").unwrap();
        assert_eq!(seconds, [1.0, 0.0, 0.5, 2.0, 0.01, 0.0, 0.0, 0.0, 0.25, 0.0]);
    }

    #[test]
    fn a_line_without_idle_time_is_malformed() {
        assert!(seconds("cpu0 1 2 3", "1 2 3").is_err());
        assert!(seconds("cpu0 1 2 3 x", "1 2 3 x").is_err());
    }

    #[test]
    fn a_small_step_back_is_held() {
        let mut processor = Processor::new("0");
        processor.update(columns(10.0, 5.0));
        processor.update(columns(9.0, 6.0));
        assert_eq!(processor.seconds, columns(10.0, 6.0));
    }

    #[test]
    fn a_processor_plugged_in_again_starts_anew() {
        let mut processor = Processor::new("0");
        processor.update(columns(10.0, 5.0));
        processor.update(columns(7.0, 1.0));
        assert_eq!(processor.seconds, columns(7.0, 1.0));
    }
}
