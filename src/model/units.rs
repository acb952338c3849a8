//! Units in metric names. Base units only, as Prometheus's naming practice asks.
//! Source: Prometheus documentation "Metric and label naming", OpenMetrics 1.0 "Units and base units".

/// A base unit that a metric's name ends in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Unit(&'static str);

impl Unit {
    /// The unit as it stands in a name and behind `# UNIT`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

const BASE_UNITS: [&str; 10] = ["seconds", "bytes", "ratio", "celsius", "volts", "amperes", "joules", "grams", "meters", "hertz"];

/// The unit that a metric's name ends in; `_total` behind it does not count.
#[must_use]
pub fn unit_of_name(name: &str) -> Option<Unit> {
    let name = name.strip_suffix("_total").unwrap_or(name);
    BASE_UNITS.iter().find(|unit| name.strip_suffix(**unit).is_some_and(|rest| rest.ends_with('_'))).map(|unit| Unit(unit))
}

impl Unit {
    /// Reads a unit as a sender writes it and gives the base unit and the factor that a value is multiplied with to get
    /// there: `ms` is `seconds` and 0.001. `None` for a unit that is not known: the value stays as it is.
    #[must_use]
    pub fn parse(text: &str) -> Option<(Self, f64)> {
        let (unit, factor) = match text {
            "s" | "second" | "seconds" => ("seconds", 1.0),
            "ms" | "millisecond" | "milliseconds" => ("seconds", 1e-3),
            "us" | "µs" | "microsecond" | "microseconds" => ("seconds", 1e-6),
            "ns" | "nanosecond" | "nanoseconds" => ("seconds", 1e-9),
            "min" | "minute" | "minutes" => ("seconds", 60.0),
            "h" | "hour" | "hours" => ("seconds", 3600.0),
            "By" | "B" | "byte" | "bytes" => ("bytes", 1.0),
            "kB" | "kilobyte" | "kilobytes" => ("bytes", 1e3),
            "MB" | "megabyte" | "megabytes" => ("bytes", 1e6),
            "GB" | "gigabyte" | "gigabytes" => ("bytes", 1e9),
            "KiBy" | "KiB" | "kibibyte" | "kibibytes" => ("bytes", 1024.0),
            "MiBy" | "MiB" | "mebibyte" | "mebibytes" => ("bytes", 1_048_576.0),
            "GiBy" | "GiB" | "gibibyte" | "gibibytes" => ("bytes", 1_073_741_824.0),
            "ratio" | "1" => ("ratio", 1.0),
            "%" | "percent" => ("ratio", 0.01),
            "Cel" | "celsius" => ("celsius", 1.0),
            "V" | "volt" | "volts" => ("volts", 1.0),
            "A" | "ampere" | "amperes" => ("amperes", 1.0),
            "J" | "joule" | "joules" => ("joules", 1.0),
            "g" | "gram" | "grams" => ("grams", 1.0),
            "m" | "meter" | "meters" => ("meters", 1.0),
            "Hz" | "hertz" => ("hertz", 1.0),
            _ => return None,
        };
        Some((Self(unit), factor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_is_the_last_word_before_total() {
        assert_eq!(unit_of_name("node_cpu_seconds_total").map(Unit::as_str), Some("seconds"));
        assert_eq!(unit_of_name("node_memory_MemFree_bytes").map(Unit::as_str), Some("bytes"));
        assert_eq!(unit_of_name("node_load1"), None);
        assert_eq!(unit_of_name("seconds"), None);
    }

    #[test]
    fn senders_units_become_base_units() {
        assert_eq!(Unit::parse("ms").map(|(unit, factor)| (unit.as_str(), factor)), Some(("seconds", 1e-3)));
        assert_eq!(Unit::parse("furlong"), None);
    }
}
