//! Which bucket a value belongs to, and where a bucket ends.

/// 2^(i/32) for i from 0 to 31.
pub(super) const BOUNDS: [f64; 32] = [
    1.0,
    1.021_897_148_654_116_6,
    1.044_273_782_427_413_8,
    1.067_140_400_676_823_7,
    1.090_507_732_665_257_7,
    1.114_386_742_595_892_4,
    1.138_788_634_756_691_6,
    1.163_724_858_777_577_5,
    1.189_207_115_002_721,
    1.215_247_359_980_469,
    1.241_857_812_073_484,
    1.269_050_957_191_733_2,
    1.296_839_554_651_009_6,
    1.325_236_643_159_741_3,
    1.354_255_546_936_892_7,
    1.383_909_881_963_832,
    std::f64::consts::SQRT_2,
    1.445_180_806_977_046_7,
    1.476_826_145_939_499_3,
    1.509_164_427_593_422_8,
    1.542_210_825_407_940_7,
    1.575_980_845_107_886_5,
    1.610_490_331_949_254_3,
    1.645_755_478_153_965,
    1.681_792_830_507_429,
    1.718_619_298_122_478,
    1.756_252_160_373_299_5,
    1.794_709_075_003_107_2,
    1.834_008_086_409_342_4,
    1.874_167_634_110_3,
    1.915_206_561_397_147_4,
    1.957_144_124_175_400_2,
];

/// For each of 64 equal slices of `[1, 2)`, the largest `i` with `BOUNDS[i]` at or below the slice's beginning. Bounds lie
/// further apart than a slice is wide, so one comparison with the next bound finds a value's place.
const SLICES: [u8; 64] = slices();

#[allow(clippy::cast_possible_truncation, clippy::indexing_slicing)] // worked out by the compiler
const fn slices() -> [u8; 64] {
    let mut slices = [0; 64];
    let mut slice = 0;
    while slice < 64 {
        let begin = 1.0 + slice as f64 / 64.0;
        let mut bound = 31;
        while BOUNDS[bound] > begin {
            bound -= 1;
        }
        slices[slice] = bound as u8;
        slice += 1;
    }
    slices
}

/// The bucket of a positive, finite value that is not subnormal, in the finest schema.
#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)] // eleven bits, and six
pub(super) fn index_of(value: f64) -> i32 {
    let bits = value.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i32 - 1023;
    let mantissa = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) | 0x3ff0_0000_0000_0000);
    let low = SLICES.get(((bits >> 46) & 0x3f) as usize).copied().unwrap_or(0);
    // The first bound that is not below the value: upper bounds belong to their bucket.
    let at = |bound: u8| BOUNDS.get(usize::from(bound)).is_some_and(|bound| mantissa <= *bound);
    let bound = if at(low) { low } else { low + 1 + u8::from(low < 31 && !at(low + 1)) };
    exponent * 32 + i32::from(bound)
}

/// The bucket that holds bucket `index` in a schema that is coarser by `steps`.
pub(super) const fn coarser(index: i32, steps: u32) -> i32 {
    // An arithmetic shift rounds down, as it has to below zero.
    ((index - 1) >> steps) + 1
}

/// The upper bound of a bucket.
pub(super) fn upper_bound(schema: i8, index: i32) -> f64 {
    let (per_octave, fine) = (1_i32 << schema.max(0), f64::from(schema.min(0)).exp2());
    if schema <= 0 {
        return (f64::from(index) / fine).exp2();
    }
    let place = usize::try_from(index.rem_euclid(per_octave) * (32 / per_octave)).unwrap_or(0);
    BOUNDS.get(place).copied().unwrap_or(1.0) * f64::from(index.div_euclid(per_octave)).exp2()
}
