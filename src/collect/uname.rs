//! Which kernel this is and what the machine is called.
//! Source: uname(2), proc_sys_kernel(5); node_exporter's collector `uname`.

use crate::model::{Family, Labels, Timestamp};

use super::sheet::Sheet;
use super::{CollectError, Collector, Described, HostFs, Kind};

const NAME: &str = "node_uname_info";

pub(super) const KIND: Kind = Kind { name: "uname", families: &FAMILIES, make: |_| Ok(Box::new(Uname::new())) };

const FAMILIES: [Described; 1] = [Described::gauge(
    NAME,
    &["domainname", "machine", "nodename", "release", "sysname", "version"],
    "The kernel and the machine's names, as uname(2) tells them, in labels; always 1.",
)];

/// The files that hold what uname(2) tells.
const READ: [(&str, &str); 5] = [
    ("domainname", "sys/kernel/domainname"),
    ("nodename", "sys/kernel/hostname"),
    ("release", "sys/kernel/osrelease"),
    ("sysname", "sys/kernel/ostype"),
    ("version", "sys/kernel/version"),
];

struct Uname {
    text: String,
    sheet: Sheet,
    machine: String,
    /// The files as last read, and the labels made of them.
    known: (String, Labels),
}

impl Uname {
    fn new() -> Self {
        Self { text: String::new(), sheet: Sheet::new(&FAMILIES), machine: sysinfo::System::cpu_arch(), known: Default::default() }
    }
}

impl Collector for Uname {
    fn collect(&mut self, host: &mut HostFs, _at: Timestamp) -> Result<Vec<Family>, CollectError> {
        let mut all = String::with_capacity(self.known.0.len());
        for (_, file) in READ {
            host.proc(file, &mut self.text)?;
            all.push_str(self.text.trim_end());
            all.push('\n');
        }
        if all != self.known.0 {
            let pairs = READ.iter().map(|(label, _)| *label).zip(all.lines()).chain([("machine", self.machine.as_str())]);
            let labels = Labels::from_pairs(pairs);
            self.known = (all, labels);
        }
        self.sheet.begin();
        self.sheet.push(NAME, &self.known.1, 1.0);
        Ok(self.sheet.take())
    }
}
