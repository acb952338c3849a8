//! The built-in rule packs: the files in `rules/`, embedded. Adding one is a file there, a line here, and a switch in the
//! configuration.

use super::config::Packs;

/// A built-in rule file.
#[derive(Clone, Copy, Debug)]
pub struct Pack {
    /// Its name: that of its file without `.yml`, and of its switch in the configuration.
    pub name: &'static str,
    /// Its text, to start from.
    pub text: &'static str,
    enabled: fn(&Packs) -> bool,
}

impl Pack {
    /// Whether the configuration leaves it on.
    #[must_use]
    pub fn enabled(&self, packs: &Packs) -> bool {
        (self.enabled)(packs)
    }

    /// The name by which its groups go, where others have their file.
    pub(super) fn file(&self) -> String {
        format!("pack:{}", self.name)
    }
}

/// All packs, by name.
pub const PACKS: &[Pack] = &[
    Pack { name: "cache", text: include_str!("../../rules/cache.yml"), enabled: |packs| packs.cache },
    Pack { name: "database", text: include_str!("../../rules/database.yml"), enabled: |packs| packs.database },
    Pack { name: "devices", text: include_str!("../../rules/devices.yml"), enabled: |packs| packs.devices },
    Pack { name: "errors", text: include_str!("../../rules/errors.yml"), enabled: |packs| packs.errors },
    Pack { name: "host", text: include_str!("../../rules/host.yml"), enabled: |packs| packs.host },
    Pack { name: "latency", text: include_str!("../../rules/latency.yml"), enabled: |packs| packs.latency },
    Pack { name: "operations", text: include_str!("../../rules/operations.yml"), enabled: |packs| packs.operations },
    Pack { name: "sidewatch", text: include_str!("../../rules/sidewatch.yml"), enabled: |packs| packs.sidewatch },
    Pack { name: "tasks", text: include_str!("../../rules/tasks.yml"), enabled: |packs| packs.tasks },
];

#[cfg(test)]
mod tests;
