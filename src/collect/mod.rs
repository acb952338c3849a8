//! The host, sampled: one file a collector, with node_exporter's names.
//!
//! A collector reads what the kernel shows through [`HostFs`] and makes families; [`run`] drives all of them, once an
//! interval, and keeps them apart: one that fails, panics or waits leaves the others alone. Adding one is a new file
//! and a line in [`ALL`].

#![warn(clippy::indexing_slicing, clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]

mod config;
mod cpu;
mod devices;
mod disk;
mod error;
mod filesystem;
mod hostfs;
mod loadavg;
mod memory;
mod mounts;
mod network;
mod pressure;
mod prober;
mod process;
mod sheet;
mod task;
mod uname;
mod uptime;

use std::sync::{Arc, Mutex};

use crate::model::{Condition, Family, Timestamp};

pub use config::{Config, DiskConfig, FilesystemConfig, NetworkConfig};
pub use error::CollectError;
pub use hostfs::{Capacity, HostFs};
pub use prober::{Prober, Statfs};
pub use sheet::Described;
pub use task::{PART, Sampler, run};

/// Samples one side of the host.
pub trait Collector: Send {
    /// Reads and makes families; those without a series are left out.
    ///
    /// # Errors
    /// When something that should be there cannot be read or understood. All of the collector's series then go.
    fn collect(&mut self, host: &mut HostFs, at: Timestamp) -> Result<Vec<Family>, CollectError>;

    /// How it did in the round that has just succeeded, and a word about it.
    fn condition(&self) -> (Condition, String) {
        (Condition::Ok, String::new())
    }
}

/// What collectors are made from.
#[derive(Clone, Debug)]
pub struct Parts<'a> {
    /// The room's configuration.
    pub config: &'a Config,
    /// Who asks filesystems how full they are; lives longer than a configuration, because a hanging thread does.
    pub prober: &'a Arc<Mutex<Prober>>,
}

/// A kind of collector.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Its name in the configuration, on the board and in metrics.
    pub name: &'static str,
    /// Everything it can make.
    pub families: &'static [Described],
    /// Makes one.
    pub make: fn(&Parts<'_>) -> Result<Box<dyn Collector>, CollectError>,
}

/// All collectors, by name.
pub const ALL: &[Kind] = &[
    cpu::KIND,
    disk::KIND,
    filesystem::KIND,
    loadavg::KIND,
    memory::KIND,
    network::KIND,
    pressure::KIND,
    process::KIND,
    uname::KIND,
    uptime::KIND,
];

/// Every family that the host room can make, with the collector that makes it: what the documentation's table is made of.
pub fn described() -> impl Iterator<Item = (&'static str, &'static Described)> {
    ALL.iter()
        .flat_map(|kind| kind.families.iter().map(|family| (kind.name, family)))
        .chain(task::FAMILIES.iter().map(|family| ("", family)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_list_is_sorted() {
        assert!(ALL.is_sorted_by_key(|kind| kind.name));
    }

    #[test]
    fn every_family_is_described_once_and_well() {
        let mut names = BTreeSet::new();
        for (_, family) in described() {
            assert!(names.insert(family.name), "{} is described twice", family.name);
            assert!(crate::model::is_metric_name(family.name));
            assert!(family.labels.iter().all(|label| crate::model::is_label_name(label)));
            assert!(family.help.ends_with('.') && !family.help.contains('\n'), "{}: {}", family.name, family.help);
        }
    }
}
