//! What things take of memory.

/// What the allocator takes for so many bytes: eight of its own, and all in steps of sixteen, as glibc's does.
pub(super) const fn allocated(bytes: usize) -> usize {
    if bytes == 0 {
        return 0;
    }
    let rounded = (bytes + 8).next_multiple_of(16);
    if rounded < 32 { 32 } else { rounded }
}

/// What a hash table of this capacity takes: seven eighths of its places are its capacity, and each has a byte of its own.
pub(super) const fn table(capacity: usize, entry: usize) -> usize {
    if capacity == 0 {
        return 0;
    }
    allocated((capacity + capacity / 7).next_power_of_two() * (entry + 1) + 16)
}

/// What a series holds outside of its slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sizes {
    /// What it holds, but for the two that follow.
    pub(super) values: usize,
    /// Exponential buckets.
    pub(super) exponential: usize,
    /// Exemplars.
    pub(super) exemplars: usize,
}

/// What all series take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bytes {
    /// Series with their labels, and the ways to them.
    pub(super) series: usize,
    /// What they hold.
    pub(super) held: Sizes,
    /// Families.
    pub(super) families: usize,
}

impl Bytes {
    /// All together.
    pub(super) const fn total(&self) -> usize {
        self.series + self.held.values + self.held.exponential + self.held.exemplars + self.families
    }

    /// By what it is for.
    pub(super) const fn parts(&self) -> [(&'static str, usize); 5] {
        let Sizes { values, exponential, exemplars } = self.held;
        [
            ("series", self.series),
            ("values", values),
            ("exponential_buckets", exponential),
            ("exemplars", exemplars),
            ("families", self.families),
        ]
    }

    /// What a series holds has changed.
    pub(super) const fn replace(&mut self, before: Sizes, after: Sizes) {
        let held = &mut self.held;
        held.values = (held.values + after.values).saturating_sub(before.values);
        held.exponential = (held.exponential + after.exponential).saturating_sub(before.exponential);
        held.exemplars = (held.exemplars + after.exemplars).saturating_sub(before.exemplars);
    }
}
