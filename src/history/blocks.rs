//! Small blocks of memory, shared by the heads of all series: a head grows by a block at a time and gives its blocks back
//! when it is sealed, so that in the steady state nothing is allocated and no head holds room that it may need later.

/// Bytes of a block that carry data; with the link it is one cache line.
const DATA: usize = 60;

/// Blocks that are allocated at a time.
const PAGE: usize = 1024;

/// What a block costs.
pub(super) const BLOCK_BYTES: usize = size_of::<Block>();

/// On a cache line of its own: whoever follows a chain waits for memory once a block.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Block {
    /// The one before in its chain, or among those that were given back; without meaning in the first one of a chain.
    previous: u32,
    data: [u8; DATA],
}

/// Blocks in a row, with the bytes written into them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chain {
    first: u32,
    last: u32,
    bytes: u32,
}

impl Chain {
    pub(super) const EMPTY: Self = Self { first: 0, last: 0, bytes: 0 };

    pub(super) const fn len(self) -> usize {
        self.bytes as usize
    }

    /// What its blocks cost.
    pub(super) const fn cost(self) -> usize {
        self.len().div_ceil(DATA) * BLOCK_BYTES
    }
}

#[derive(Debug, Default)]
pub(super) struct Blocks {
    pages: Vec<Box<[Block]>>,
    /// The blocks that were given back, linked.
    free: Option<u32>,
    /// The first block that was never given out.
    fresh: u32,
    in_use: usize,
}

impl Blocks {
    fn get(&self, place: u32) -> Option<&Block> {
        let place = place as usize;
        self.pages.get(place / PAGE)?.get(place % PAGE)
    }

    fn get_mut(&mut self, place: u32) -> Option<&mut Block> {
        let place = place as usize;
        self.pages.get_mut(place / PAGE)?.get_mut(place % PAGE)
    }

    /// Gives out a block. There is no limit here: what is written is accounted for by the one who writes.
    fn take(&mut self) -> u32 {
        self.in_use += 1;
        if let Some(place) = self.free {
            // The last one of the list links to itself.
            self.free = self.get(place).map(|block| block.previous).filter(|previous| *previous != place);
            return place;
        }
        let place = self.fresh;
        self.fresh += 1;
        if place as usize / PAGE >= self.pages.len() {
            self.pages.push(vec![Block { previous: 0, data: [0; DATA] }; PAGE].into_boxed_slice());
        }
        place
    }

    /// Writes at the chain's end.
    pub(super) fn write(&mut self, chain: &mut Chain, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let filled = chain.len() % DATA;
            if filled == 0 {
                let place = self.take();
                if chain.bytes == 0 {
                    chain.first = place;
                } else if let Some(block) = self.get_mut(place) {
                    block.previous = chain.last;
                }
                chain.last = place;
            }
            let (now, later) = bytes.split_at(bytes.len().min(DATA - filled));
            let room = self.get_mut(chain.last).and_then(|block| block.data.get_mut(filled..filled + now.len()));
            if let Some(room) = room {
                room.copy_from_slice(now);
            }
            chain.bytes += u32::try_from(now.len()).unwrap_or_default();
            bytes = later;
        }
    }

    /// A chain's bytes in pieces, the last one first.
    pub(super) fn pieces(&self, chain: Chain) -> impl Iterator<Item = &[u8]> {
        let (mut place, mut left) = (chain.last, chain.len());
        std::iter::from_fn(move || {
            let block = self.get(place).filter(|_| left > 0)?;
            let here = (left - 1) % DATA + 1;
            (place, left) = (block.previous, left - here);
            block.data.get(..here)
        })
    }

    /// A chain's bytes from the one with the number `from` on.
    pub(super) fn copy_from(&self, chain: Chain, from: usize) -> Vec<u8> {
        let mut copy = vec![0; chain.len().saturating_sub(from)];
        let mut room = copy.as_mut_slice();
        for piece in self.pieces(chain) {
            let here = piece.len().min(room.len());
            let (before, place) = room.split_at_mut(room.len() - here);
            place.copy_from_slice(piece.get(piece.len() - here..).unwrap_or_default());
            room = before;
            if room.is_empty() {
                break;
            }
        }
        copy
    }

    /// Takes a chain's blocks back.
    pub(super) fn release(&mut self, chain: Chain) {
        if chain.bytes == 0 {
            return;
        }
        let previous = self.free.unwrap_or(chain.first);
        if let Some(first) = self.get_mut(chain.first) {
            first.previous = previous;
        }
        self.free = Some(chain.last);
        self.in_use -= chain.len().div_ceil(DATA);
        if self.in_use == 0 {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(blocks: &Blocks, chain: Chain) -> Vec<u8> {
        blocks.copy_from(chain, 0)
    }

    #[test]
    fn chains_that_grow_by_turns_stay_apart_and_blocks_are_used_again() {
        let mut blocks = Blocks::default();
        let (mut a, mut b) = (Chain::EMPTY, Chain::EMPTY);
        let bytes: Vec<u8> = (0..=255).collect();
        for piece in bytes.chunks(7) {
            blocks.write(&mut a, piece);
            blocks.write(&mut b, &[piece, piece].concat());
        }
        assert_eq!(read(&blocks, a), bytes);
        for skip in [0, 1, 59, 60, 61, 130, 255, 256, 300] {
            assert_eq!(blocks.copy_from(a, skip), bytes.get(skip..).unwrap_or_default());
        }
        assert_eq!(read(&blocks, b).len(), 512);
        let pieces: Vec<&[u8]> = blocks.pieces(a).collect();
        assert_eq!(pieces.iter().map(|piece| piece.len()).collect::<Vec<_>>(), [16, 60, 60, 60, 60]);
        assert_eq!(pieces.into_iter().rev().collect::<Vec<_>>().concat(), bytes);
        assert_eq!((a.cost(), b.cost(), blocks.in_use), (5 * BLOCK_BYTES, 9 * BLOCK_BYTES, 14));

        blocks.release(a);
        let (mut c, mut d) = (Chain::EMPTY, Chain::EMPTY);
        blocks.write(&mut c, &bytes[..200]);
        blocks.write(&mut d, &bytes);
        assert_eq!((read(&blocks, c), read(&blocks, d)), (bytes[..200].to_vec(), bytes.clone()));
        assert_eq!(read(&blocks, b).len(), 512);
        assert_eq!(blocks.fresh, 18, "all that came back is used before anything new");
        for chain in [b, c, d] {
            blocks.release(chain);
        }
        assert!(blocks.pages.is_empty());
    }
}
