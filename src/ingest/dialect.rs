//! How a listener's StatsD lines are to be read: what the configuration says about it.

/// Which of the two dialects a listener speaks, where they differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// DogStatsD: a sign belongs to a gauge's value.
    #[default]
    Dogstatsd,
    /// Plain StatsD: a gauge's value with a sign in front is a change; `name:1|c:2|c` is two values with a type each; a name
    /// loses the characters that StatsD's server removes.
    Statsd,
}

/// A way of writing tags into a metric's name. DogStatsD's own (`|#key:value`) is always understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TagStyle {
    /// `name,key=value,…:1|c`
    Influxdb,
    /// `name#key=value,…:1|c`
    Librato,
    /// `name[key=value,…]:1|c`
    Signalfx,
}

/// What becomes of a tag that has no value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BareTags {
    /// A label with the value `true`.
    #[default]
    Label,
    /// Nothing.
    Drop,
}

/// How one listener's lines are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Language {
    pub(super) dialect: Dialect,
    pub(super) styles: TagStyles,
    pub(super) bare_tags: BareTags,
    /// Whether a line that begins with `{` is an event in JSON.
    pub(super) json: bool,
    /// Whether a stream may hold frames with their length in front, as well as lines.
    pub(super) framed: bool,
}

impl Language {
    /// DogStatsD alone, with nothing switched on.
    #[cfg(test)]
    pub(super) const DOGSTATSD: Self = Self {
        dialect: Dialect::Dogstatsd,
        styles: TagStyles { influxdb: false, librato: false, signalfx: false },
        bare_tags: BareTags::Label,
        json: false,
        framed: false,
    };
}

/// Some tag styles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TagStyles {
    pub(super) influxdb: bool,
    pub(super) librato: bool,
    pub(super) signalfx: bool,
}

impl TagStyles {
    pub(super) fn of(styles: &[TagStyle]) -> Self {
        let has = |style| styles.contains(&style);
        Self { influxdb: has(TagStyle::Influxdb), librato: has(TagStyle::Librato), signalfx: has(TagStyle::Signalfx) }
    }

    /// The style that a character begins, if it is one of these.
    pub(super) const fn begun_by(self, character: char) -> Option<TagStyle> {
        match character {
            ',' if self.influxdb => Some(TagStyle::Influxdb),
            '#' if self.librato => Some(TagStyle::Librato),
            '[' if self.signalfx => Some(TagStyle::Signalfx),
            _ => None,
        }
    }
}
