//! Columns of whole numbers and floats, compressed by pco.

use pco::data_types::Number;
use pco::wrapped::{FileCompressor, FileDecompressor};
use pco::{ChunkConfig, DecompressorScratch, DeltaSpec, ModeSpec};

/// A column of numbers as bytes; `None` where the encoder refuses.
pub(super) fn pack<T: Number>(numbers: &[T], mode: ModeSpec, delta: DeltaSpec) -> Option<Vec<u8>> {
    let config = ChunkConfig::default().with_mode_spec(mode).with_delta_spec(delta);
    let file = FileCompressor::default();
    let mut chunk = file.chunk_compressor(numbers, &config).ok()?;
    let mut out = file.write_header(Vec::new()).ok()?;
    out = chunk.write_meta(out).ok()?;
    chunk.write_page(0, out).ok()
}

/// What [`pack`] was given, `count` numbers of it, into `out`.
pub(super) fn unpack<T: Number + Default>(bytes: &[u8], count: usize, scratch: &mut DecompressorScratch, out: &mut Vec<T>) -> Option<()> {
    out.clear();
    out.resize(count, T::default());
    let (file, rest) = FileDecompressor::new(bytes).ok()?;
    let (chunk, rest) = file.chunk_decompressor::<T, _>(rest).ok()?;
    let mut page = chunk.page_decompressor_with_scratch(rest, count, scratch).ok()?;
    let progress = page.read(out).ok()?;
    (progress.n_processed == count).then_some(())
}

/// How often differences have to be taken until numbers are shortest: 0, 1 or 2 times.
pub(super) fn order(numbers: &[u64]) -> usize {
    let (mut before, mut slope) = (numbers.first().copied().unwrap_or_default(), 0_u64);
    let mut bits = [0_u64; 3];
    for number in numbers.iter().copied() {
        let difference = number.wrapping_sub(before);
        for (bits, number) in bits.iter_mut().zip([number, difference, difference.wrapping_sub(slope)]) {
            // Both signs are short.
            let number = number.cast_signed();
            *bits += u64::from(u64::BITS - (number ^ (number >> 63)).leading_zeros());
        }
        (before, slope) = (number, difference);
    }
    let [plain, once, twice] = bits;
    match () {
        () if plain <= once && plain <= twice => 0,
        () if once <= twice => 1,
        () => 2,
    }
}

pub(super) const fn delta(order: usize) -> DeltaSpec {
    match order {
        0 => DeltaSpec::NoOp,
        order => DeltaSpec::TryConsecutive(order),
    }
}
