//! Load averages, by `sysinfo`: the kernel has one set of them for the whole machine, whatever the container.
//! Source: node_exporter's collector `loadavg`.

use sysinfo::{LoadAvg, System};

use crate::model::{Family, Labels, Timestamp};

use super::sheet::Sheet;
use super::{CollectError, Collector, Described, HostFs, Kind};

pub(super) const KIND: Kind = Kind { name: "loadavg", families: &FAMILIES, make: |_| Ok(Box::new(Load { sheet: Sheet::new(&FAMILIES) })) };

const FAMILIES: [Described; 3] = [
    Described::gauge("node_load1", &[], "Tasks running, ready to run or in uninterruptible sleep, averaged over 1 minute."),
    Described::gauge("node_load5", &[], "Tasks running, ready to run or in uninterruptible sleep, averaged over 5 minutes."),
    Described::gauge("node_load15", &[], "Tasks running, ready to run or in uninterruptible sleep, averaged over 15 minutes."),
];

struct Load {
    sheet: Sheet,
}

impl Collector for Load {
    fn collect(&mut self, _host: &mut HostFs, _at: Timestamp) -> Result<Vec<Family>, CollectError> {
        let load = System::load_average().map_err(|error| CollectError::Sysinfo { what: "the load averages", source: Some(error) })?;
        self.sheet.begin();
        self.sheet.row(&Labels::empty(), row(&load));
        Ok(self.sheet.take())
    }
}

fn row(load: &LoadAvg) -> [Option<f64>; 3] {
    [Some(load.one), Some(load.five), Some(load.fifteen)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_average_has_its_family() {
        let mut sheet = Sheet::new(&FAMILIES);
        sheet.row(&Labels::empty(), row(&LoadAvg { one: 1.0, five: 5.0, fifteen: 15.0 }));
        let families = sheet.take();
        for (family, value) in families.iter().zip([1.0, 5.0, 15.0]) {
            assert_eq!(*family.name, format!("node_load{value}"));
            assert_eq!(family.series[0].value, crate::model::Value::Number(value));
        }
    }
}
