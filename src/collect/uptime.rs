//! When the machine started, by `sysinfo`, and what time it has.
//! Source: node_exporter's collectors `stat` (boot time) and `time`.

use sysinfo::System;

use crate::model::{Family, Labels, Timestamp};

use super::sheet::Sheet;
use super::{CollectError, Collector, Described, HostFs, Kind};

pub(super) const KIND: Kind =
    Kind { name: "uptime", families: &FAMILIES, make: |_| Ok(Box::new(Uptime { sheet: Sheet::new(&FAMILIES), booted: None })) };

const FAMILIES: [Described; 2] = [
    Described::gauge("node_boot_time_seconds", &[], "When the machine was started, in seconds since 1970."),
    Described::gauge("node_time_seconds", &[], "The machine's clock when it was sampled, in seconds since 1970."),
];

/// How long a boot time is believed. The kernel derives it from the clock, so a clock that is set moves it; finding it
/// makes the kernel add up every interrupt of every processor, which is too much for every second.
const BELIEVED: std::time::Duration = std::time::Duration::from_secs(60);

struct Uptime {
    sheet: Sheet,
    booted: Option<(u64, Timestamp)>,
}

impl Collector for Uptime {
    fn collect(&mut self, _host: &mut HostFs, at: Timestamp) -> Result<Vec<Family>, CollectError> {
        let booted = match self.booted {
            Some((booted, asked)) if asked <= at && at.since(asked) < BELIEVED => booted,
            _ => {
                let booted = System::boot_time().map_err(|error| CollectError::Sysinfo { what: "the boot time", source: Some(error) })?;
                self.booted = Some((booted, at));
                booted
            }
        };
        self.sheet.begin();
        self.sheet.row(&Labels::empty(), [Some(booted as f64), Some(at.as_seconds())]);
        Ok(self.sheet.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_time_is_asked_for_again_after_a_while() {
        let mut uptime = Uptime { sheet: Sheet::new(&FAMILIES), booted: Some((7, Timestamp::default())) };
        let mut booted_at = |seconds| {
            let mut host = HostFs::new("/none".as_ref(), "/none".as_ref());
            let families = uptime.collect(&mut host, Timestamp::from_seconds(seconds)).unwrap();
            families[0].series[0].value.clone()
        };
        assert_eq!(booted_at(59.0), crate::model::Value::Number(7.0));
        assert_ne!(booted_at(60.0), crate::model::Value::Number(7.0));
    }
}
