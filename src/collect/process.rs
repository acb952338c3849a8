//! The agent's own process, by `sysinfo`, under the names that Prometheus's client libraries use.
//! Source: Prometheus documentation "Writing client libraries", process metrics.

use std::collections::HashSet;

use sysinfo::{Pid, Process, ProcessRefreshKind, ProcessesToUpdate, System};

use crate::model::{Family, Labels, Timestamp};

use super::sheet::Sheet;
use super::{CollectError, Collector, Described, HostFs, Kind};

pub(super) const KIND: Kind = Kind {
    name: "process",
    families: &FAMILIES,
    make: |_| {
        let cannot = |what| move |source| CollectError::Sysinfo { what, source: Some(source) };
        let pid = sysinfo::get_current_pid().map_err(cannot("the agent's own process number"))?;
        let system = System::new().map_err(cannot("anything"))?;
        Ok(Box::new(Own { pid, system, sheet: Sheet::new(&FAMILIES) }))
    },
};

const FAMILIES: [Described; 7] = [
    Described::counter("process_cpu_seconds_total", &[], "Processor time that the agent has used, in user and system mode together."),
    Described::gauge("process_resident_memory_bytes", &[], "Memory that the agent has resident."),
    Described::gauge("process_virtual_memory_bytes", &[], "Address space that the agent has reserved."),
    Described::gauge("process_open_fds", &[], "File descriptors that the agent has open."),
    Described::gauge("process_max_fds", &[], "File descriptors that the agent may have open."),
    Described::gauge("process_start_time_seconds", &[], "When the agent was started, in seconds since 1970."),
    Described::gauge("process_threads", &[], "Threads that the agent has."),
];

struct Own {
    pid: Pid,
    system: System,
    sheet: Sheet,
}

impl Collector for Own {
    fn collect(&mut self, _host: &mut HostFs, _at: Timestamp) -> Result<Vec<Family>, CollectError> {
        let what = ProcessRefreshKind::nothing().with_cpu().with_memory().with_tasks();
        self.system.refresh_processes_specifics(ProcessesToUpdate::Some(&[self.pid]), true, what);
        let process =
            self.system.process(self.pid).ok_or(CollectError::Sysinfo { what: "the state of the agent's own process", source: None })?;
        self.sheet.begin();
        self.sheet.row(&Labels::empty(), row(process));
        Ok(self.sheet.take())
    }
}

fn row(process: &Process) -> [Option<f64>; FAMILIES.len()] {
    [
        Some(process.accumulated_cpu_time() as f64 / 1e3),
        Some(process.memory() as f64),
        Some(process.virtual_memory() as f64),
        process.open_files().map(|count| count as f64),
        process.open_files_limit().map(|count| count as f64),
        Some(process.start_time() as f64),
        // The main thread is not among the tasks.
        process.tasks().map(HashSet::len).map(|others| others as f64 + 1.0),
    ]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::clock;
    use crate::model::Value;

    use super::super::{Config, Parts};
    use super::*;

    #[test]
    fn the_agent_sees_itself() {
        let (config, prober) = (Config::default(), Default::default());
        let mut own = (KIND.make)(&Parts { config: &config, prober: &prober }).unwrap();
        let mut host = HostFs::new("/none".as_ref(), "/none".as_ref());
        let until = clock::monotonic() + Duration::from_secs(30);
        loop {
            let families = own.collect(&mut host, Timestamp::default()).unwrap();
            assert!(families.iter().all(|family| family.origin == crate::model::Origin::Agent));
            let value = |name: &str| match families.iter().find(|family| &*family.name == name).map(|family| &family.series[0].value) {
                Some(Value::Number(number)) => *number,
                other => panic!("{name} is {other:?}"),
            };
            assert!(value("process_virtual_memory_bytes") > value("process_resident_memory_bytes"));
            assert!(value("process_resident_memory_bytes") > 1e5 && value("process_cpu_seconds_total") < 1e5);
            assert!(value("process_open_fds") >= 3.0 && value("process_max_fds") > value("process_open_fds"));
            let age = clock::now().as_seconds() - value("process_start_time_seconds");
            assert!((-2.0..86_400.0).contains(&age), "started {age} s ago");
            // Other tests start and end threads meanwhile.
            let threads = std::fs::read_dir("/proc/self/task").unwrap().count();
            if value("process_threads") == threads as f64 {
                return;
            }
            assert!(clock::monotonic() < until, "{threads} threads, but {}", value("process_threads"));
        }
    }
}
