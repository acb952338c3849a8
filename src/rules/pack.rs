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
    Pack { name: "host", text: include_str!("../../rules/host.yml"), enabled: |packs| packs.host },
    Pack { name: "requests", text: include_str!("../../rules/requests.yml"), enabled: |packs| packs.requests },
];

#[cfg(test)]
mod tests;
