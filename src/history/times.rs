//! The times of a chunk's samples. Where they are a fixed step apart they cost a few bytes a chunk, where one is missing now and
//! then a few bytes each time; only times without such a pattern are a column of their own.

use pco::{DecompressorScratch, ModeSpec};

use super::bytes::{Reader, put_number, unzigzag, zigzag};
use super::numbers::{delta, order, pack, unpack};

/// Runs of equal steps, as pairs of the step and how often it occurs.
const RUNS: u8 = 0;
/// All steps, compressed.
const COLUMN: u8 = 1;

/// So many steps have to be in a run on average for runs to be worth it.
const RUN_MIN: usize = 8;

/// Writes ascending times, one at least.
pub(super) fn put(out: &mut Vec<u8>, times: &[i64]) {
    put_number(out, zigzag(times.first().copied().unwrap_or_default()));
    let steps: Vec<u64> = times.array_windows().map(|[earlier, later]| later.wrapping_sub(*earlier).cast_unsigned()).collect();
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for step in steps.iter().copied() {
        match runs.last_mut() {
            Some((of, count)) if *of == step => *count += 1,
            _ => runs.push((step, 1)),
        }
    }
    let packed = if runs.len() <= 4 + steps.len() / RUN_MIN { None } else { pack(&steps, ModeSpec::Classic, delta(order(&steps).min(1))) };
    if let Some(packed) = packed {
        out.push(COLUMN);
        put_number(out, packed.len() as u64);
        out.extend(packed);
    } else {
        out.push(RUNS);
        for (step, count) in runs {
            put_number(out, count);
            put_number(out, step);
        }
    }
}

/// Reads what [`put`] wrote, `count` times of it; `None` where it is no such thing.
pub(super) fn take(
    reader: &mut Reader<'_>,
    count: usize,
    scratch: &mut DecompressorScratch,
    steps: &mut Vec<u64>,
    times: &mut Vec<i64>,
) -> Option<()> {
    times.clear();
    let mut time = unzigzag(reader.number()?);
    times.push(time);
    match reader.byte()? {
        RUNS => {
            while times.len() < count {
                let repeats = usize::try_from(reader.number()?).ok()?;
                let step = reader.number()?.cast_signed();
                if repeats == 0 || repeats > count - times.len() {
                    return None;
                }
                times.extend((0..repeats).map(|_| {
                    time = time.wrapping_add(step);
                    time
                }));
            }
        }
        COLUMN => {
            let len = usize::try_from(reader.number()?).ok()?;
            unpack(reader.take(len)?, count - 1, scratch, steps)?;
            times.extend(steps.iter().map(|step| {
                time = time.wrapping_add(step.cast_signed());
                time
            }));
        }
        _ => return None,
    }
    Some(())
}
