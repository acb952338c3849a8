//! Reading and writing the small numbers of which chunks are made.

/// A number in seven bits a byte, least significant first, the top bit set where more follow.
pub(super) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push((number & 0x7f) as u8);
}

/// The lowest byte of a number.
pub(super) const fn low_byte(number: u64) -> u8 {
    let [low, ..] = number.to_le_bytes();
    low
}

/// Small numbers of either sign become small numbers.
pub(super) const fn zigzag(number: i64) -> u64 {
    (number.cast_unsigned() << 1) ^ (number >> 63).cast_unsigned()
}

/// What [`zigzag`] was given.
pub(super) const fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

/// Takes bytes from the front; `None` where there are too few.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// What [`put_number`] wrote; `None` for what does not fit 64 bits, too.
    pub(super) fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return None;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// Up to eight bytes, least significant first.
    pub(super) fn little_endian(&mut self, count: usize) -> Option<u64> {
        if let (Some(eight), 1..8) = (self.0.first_chunk(), count) {
            // What comes behind is read along and cut off, which is much faster than a copy of a length that differs.
            self.take(count)?;
            return Some(u64::from_le_bytes(*eight) & ((1 << (count * 8)) - 1));
        }
        let taken = self.take(count)?;
        let mut bytes = [0; 8];
        bytes.get_mut(..count)?.copy_from_slice(taken);
        Some(u64::from_le_bytes(bytes))
    }
}

/// Takes bytes from the back, of pieces of which the last one comes first; `None` where there are too few.
#[derive(Debug)]
pub(super) struct Backward<'a, P> {
    piece: &'a [u8],
    pieces: P,
}

impl<'a, P: Iterator<Item = &'a [u8]>> Backward<'a, P> {
    pub(super) const fn new(pieces: P) -> Self {
        Self { piece: &[], pieces }
    }

    #[inline]
    pub(super) fn byte(&mut self) -> Option<u8> {
        loop {
            if let Some((last, rest)) = self.piece.split_last() {
                self.piece = rest;
                return Some(*last);
            }
            self.piece = self.pieces.next()?;
        }
    }

    /// Up to eight bytes, the first one least significant.
    #[inline]
    pub(super) fn little_endian(&mut self, count: usize) -> Option<u64> {
        if let (Some(eight), 1..=8) = (self.piece.last_chunk(), count) {
            // What comes before is read along and cut off.
            self.piece = self.piece.get(..self.piece.len() - count)?;
            return Some(u64::from_le_bytes(*eight) >> (u64::BITS as usize - count * 8));
        }
        let mut number = 0;
        for _ in 0..count {
            number = number << 8 | u64::from(self.byte()?);
        }
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_read_from_the_back_as_one() {
        let bytes: Vec<u8> = (1..=40).collect();
        for size in 1..=40 {
            for count in 0..=8 {
                let mut reader = Backward::new(bytes.chunks(size).rev());
                let mut taken = Vec::new();
                while let (Some(code), Some(number)) = (reader.byte(), reader.little_endian(count)) {
                    taken.push(code);
                    taken.extend(number.to_le_bytes().into_iter().take(count).rev());
                }
                assert!(taken.iter().copied().eq((1..=40).rev().take(taken.len())), "{size} {count}: {taken:?}");
                assert_eq!(taken.len(), 40 / (count + 1) * (count + 1));
            }
        }
    }

    #[test]
    fn numbers_come_back_and_broken_ones_do_not() {
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut out = Vec::new();
            put_number(&mut out, number);
            assert_eq!(Reader(&out).number(), Some(number));
            assert_eq!(Reader(&out[..out.len() - 1]).number(), None);
            assert_eq!(unzigzag(zigzag(number.cast_signed())), number.cast_signed());
            for count in 0..=8 {
                let bytes = [number.to_le_bytes(), [0xff; 8]].concat();
                let cut = if count < 8 { number & ((1 << (count * 8)) - 1) } else { number };
                for rest in count..=bytes.len() {
                    assert_eq!(Reader(&bytes[..rest]).little_endian(count), Some(cut));
                }
                assert_eq!(count == 0, Reader(&bytes[..count.saturating_sub(1)]).little_endian(count).is_some());
            }
        }
        assert_eq!(Reader(&[0xff; 10]).number(), None, "70 bits");
    }
}
