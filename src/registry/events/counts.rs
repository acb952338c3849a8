//! How many series count against the limits.

use crate::registry::series::Standing;

/// Series by what they count against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Against the caps.
    pub(super) counted: usize,
    /// Against the room for series in place of others.
    pub(super) overflow: usize,
}

impl Counts {
    pub(super) const fn is_empty(self) -> bool {
        self.counted == 0 && self.overflow == 0
    }

    pub(super) const fn enter(&mut self, standing: Standing) {
        match standing {
            Standing::Counted => self.counted += 1,
            Standing::Overflow => self.overflow += 1,
            Standing::Own => {}
        }
    }

    pub(super) const fn leave(&mut self, standing: Standing) {
        match standing {
            Standing::Counted => self.counted = self.counted.saturating_sub(1),
            Standing::Overflow => self.overflow = self.overflow.saturating_sub(1),
            Standing::Own => {}
        }
    }
}
