//! How many different members there were: exactly while they are few, then by a sketch of bounded size.
//!
//! The sketch is a HyperLogLog of 4,096 registers with the estimator of O. Ertl, "New cardinality estimation algorithms for
//! HyperLogLog sketches" (2017), algorithms 5 and 6. It has no range in which it is biased, so it needs no tables of
//! corrections, and sketches of several senders unite without loss.

use std::f64::consts::LN_2;

use hashbrown::HashTable;

/// So many members are counted exactly. Their hashes take up about as much as the sketch.
pub const EXACT_MEMBERS_MAX: usize = 512;

/// The bits of a hash that choose its register.
const INDEX_BITS: u32 = 12;
const REGISTERS: usize = 1 << INDEX_BITS;
/// The bits that are left, of which the leading zeros are counted.
const RANK_BITS: usize = 64 - INDEX_BITS as usize;

/// The hashes of distinct members. All that are put together have to come from one hash function of 64 good bits.
#[derive(Clone, Debug, Default)]
pub struct Distinct {
    exact: HashTable<u64>,
    /// The largest rank that each register has seen; empty as long as nothing has needed it.
    registers: Vec<u8>,
    sketched: bool,
}

impl Distinct {
    /// Adds a member. Nothing is allocated for one that is known.
    pub fn insert(&mut self, hash: u64) {
        if self.sketched {
            return self.sketch(hash);
        }
        if self.exact.find(hash, |other| *other == hash).is_some() {
            return;
        }
        if self.exact.len() < EXACT_MEMBERS_MAX {
            self.exact.insert_unique(hash, hash, |other| *other);
            return;
        }
        self.begin_sketch();
        self.sketch(hash);
    }

    /// Adds all members of another one.
    pub fn absorb(&mut self, other: &Self) {
        if !other.sketched {
            other.exact.iter().for_each(|hash| self.insert(*hash));
            return;
        }
        if !self.sketched {
            self.begin_sketch();
        }
        for (register, rank) in self.registers.iter_mut().zip(&other.registers) {
            *register = (*register).max(*rank);
        }
    }

    /// How many members there are: exact up to [`EXACT_MEMBERS_MAX`], beyond with a standard error of 1.6 %.
    #[must_use]
    pub fn count(&self) -> f64 {
        if self.sketched { estimate(&self.registers).round() } else { self.exact.len() as f64 }
    }

    /// Takes everything out and keeps the room.
    pub fn clear(&mut self) {
        self.exact.clear();
        self.registers.fill(0);
        self.sketched = false;
    }

    /// Bytes that are held outside of this value.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.exact.allocation_size() + self.registers.capacity()
    }

    fn begin_sketch(&mut self) {
        self.registers.resize(REGISTERS, 0);
        self.sketched = true;
        let exact = std::mem::take(&mut self.exact);
        exact.iter().for_each(|hash| self.sketch(*hash));
        self.exact = exact;
        self.exact.clear();
    }

    fn sketch(&mut self, hash: u64) {
        let index = usize::try_from(hash >> RANK_BITS).unwrap_or(0);
        // The bit behind the last one stops the count of zeros.
        let rank = ((hash << INDEX_BITS) | (1 << (INDEX_BITS - 1))).leading_zeros() + 1;
        if let (Some(register), Ok(rank)) = (self.registers.get_mut(index), u8::try_from(rank)) {
            *register = (*register).max(rank);
        }
    }
}

/// Two are equal that hold the same members, whatever room they keep.
impl PartialEq for Distinct {
    fn eq(&self, other: &Self) -> bool {
        let known = |hash: &u64| other.exact.find(*hash, |it| it == hash).is_some();
        match (self.sketched, other.sketched) {
            (true, true) => self.registers == other.registers,
            (false, false) => self.exact.len() == other.exact.len() && self.exact.iter().all(known),
            _ => false,
        }
    }
}

fn estimate(registers: &[u8]) -> f64 {
    let registers_count = registers.len() as f64;
    let mut of_rank = [0_u32; RANK_BITS + 2];
    for rank in registers {
        if let Some(count) = of_rank.get_mut(usize::from(*rank)) {
            *count += 1;
        }
    }
    let [untouched, ranks @ .., full] = of_rank;
    let mut sum = registers_count * tau(1.0 - f64::from(full) / registers_count);
    for count in ranks.iter().rev() {
        sum = f64::midpoint(sum, f64::from(*count));
    }
    sum += registers_count * sigma(f64::from(untouched) / registers_count);
    registers_count * registers_count / (2.0 * LN_2 * sum)
}

/// What registers that have seen nothing tell: `x + Σ x^(2^k) · 2^(k-1)`, k from 1.
fn sigma(x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut power, mut weight, mut sum) = (x, 1.0, x);
    loop {
        power *= power;
        let next = sum + power * weight;
        weight += weight;
        if next <= sum {
            return sum;
        }
        sum = next;
    }
}

/// What full registers tell: `⅓ · (1 - x - Σ (1 - x^(2^-k))² · 2^-k)`, k from 1.
fn tau(x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut root, mut weight, mut rest) = (x, 1.0, 1.0 - x);
    loop {
        root = root.sqrt();
        weight *= 0.5;
        let next = rest - (1.0 - root) * (1.0 - root) * weight;
        if next >= rest {
            return rest / 3.0;
        }
        rest = next;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A good hash of a number (splitmix64).
    fn hash(number: u64) -> u64 {
        let mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn of(numbers: impl IntoIterator<Item = u64>) -> Distinct {
        let mut distinct = Distinct::default();
        numbers.into_iter().for_each(|number| distinct.insert(hash(number)));
        distinct
    }

    #[test]
    fn few_members_are_counted_exactly_however_often_they_come() {
        for members in [0, 1, 511, 512] {
            assert_eq!(of((0..members).chain(0..members)).count(), members as f64);
        }
    }

    #[test]
    fn many_members_are_estimated_within_four_standard_errors_at_any_size() {
        for members in [513_u64, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 200_000, 1_000_000] {
            let error = of(0..members).count() / members as f64 - 1.0;
            assert!(error.abs() < 4.0 * 1.04 / 64.0, "{members}: {error}");
        }
    }

    #[test]
    fn the_estimate_has_no_bias() {
        for members in [600_u64, 3_000, 12_000, 30_000] {
            let estimates = (0..100).map(|run| of((0..members).map(|member| run * 1_000_000 + member)).count());
            let mean = estimates.sum::<f64>() / 100.0 / members as f64 - 1.0;
            // The mean of a hundred has a tenth of the error of one.
            assert!(mean.abs() < 4.0 * 1.04 / 640.0, "{members}: {mean}");
        }
    }

    #[test]
    fn the_first_member_that_is_too_many_loses_none_of_the_others() {
        let mut distinct = of(0..512);
        distinct.insert(hash(512));
        assert!(distinct.sketched);
        assert!((distinct.count() - 513.0).abs() < 40.0, "{}", distinct.count());
    }

    #[test]
    fn the_extremes_of_the_estimate_are_numbers() {
        assert_eq!(estimate(&[0; REGISTERS]), 0.0);
        assert_eq!(estimate(&[53; REGISTERS]), f64::INFINITY);
        let mut distinct = Distinct::default();
        distinct.begin_sketch();
        distinct.sketch(0);
        distinct.sketch(u64::MAX);
        assert_eq!((distinct.registers.first(), distinct.registers.last()), (Some(&53), Some(&1)));
    }

    #[test]
    fn an_emptied_one_counts_from_the_start_and_keeps_its_room() {
        let mut distinct = of(0..10_000);
        let room = distinct.registers.capacity();
        distinct.clear();
        assert_eq!((distinct.count(), distinct.registers.capacity()), (0.0, room));
        distinct.insert(hash(1));
        assert_eq!(distinct.count(), 1.0);
        (0..10_000).for_each(|number| distinct.insert(hash(number)));
        assert_eq!(distinct, of(0..10_000));
    }

    proptest! {
        #[test]
        fn a_union_is_what_all_together_would_have_made(left in 0_u64..2_000, right in 0_u64..2_000, shift in 0_u64..2_000) {
            let mut union = of(0..left);
            union.absorb(&of(shift..shift + right));
            prop_assert_eq!(union, of((0..left).chain(shift..shift + right)));
        }
    }
}
