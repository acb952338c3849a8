//! What all sessions together may remember of their senders' names and series. Where there is too little room, nothing is
//! refused: who remembers much hands over and begins anew, and works out again what still comes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// So many bytes each session may remember, however little room there is.
pub(super) const SHARE_BYTES: usize = 32 * 1024;

/// The room for all sessions.
#[derive(Debug)]
pub(super) struct Room {
    max: AtomicUsize,
    taken: AtomicUsize,
    /// How often a session began anew for want of room, since this was asked last.
    curtailed: AtomicU64,
    /// It has been told that there is too little.
    told: AtomicBool,
}

impl Room {
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max: max.into(), taken: 0.into(), curtailed: 0.into(), told: false.into() })
    }

    /// Changes how many bytes there are.
    pub(super) fn limit(&self, max: usize) {
        self.max.store(max, Ordering::Relaxed);
    }

    /// How many bytes are taken.
    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// How often a session began anew for want of room, since this was asked last.
    pub(super) fn take_curtailed(&self) -> u64 {
        self.curtailed.swap(0, Ordering::Relaxed)
    }

    /// True when there is too little room; told once, until a quarter is free again.
    pub(super) fn becomes_short(&self, curtailed: u64) -> bool {
        let (taken, max) = (self.taken(), self.max.load(Ordering::Relaxed));
        if taken >= max || curtailed > 0 {
            return !self.told.swap(true, Ordering::Relaxed);
        }
        if taken <= max - max / 4 {
            self.told.store(false, Ordering::Relaxed);
        }
        false
    }

    fn is_short(&self) -> bool {
        self.taken() >= self.max.load(Ordering::Relaxed)
    }
}

/// What one session takes of the room. It is given back with this.
#[derive(Debug)]
pub(super) struct Claim {
    room: Arc<Room>,
    bytes: usize,
}

impl Claim {
    pub(super) const fn new(room: Arc<Room>) -> Self {
        Self { room, bytes: 0 }
    }

    /// Takes so many bytes from now on.
    pub(super) fn set(&mut self, bytes: usize) {
        if bytes >= self.bytes {
            self.room.taken.fetch_add(bytes - self.bytes, Ordering::Relaxed);
        } else {
            self.room.taken.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
    }

    /// True when it is more than its share, and others need the room.
    pub(super) fn is_too_large(&self) -> bool {
        self.is_large() && self.room.is_short()
    }

    /// True when it is more than its share.
    pub(super) const fn is_large(&self) -> bool {
        self.bytes > SHARE_BYTES
    }

    /// Counts that the session begins anew for the others' sake.
    pub(super) fn curtailed(&self) {
        self.room.curtailed.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_claimed_is_given_back() {
        let room = Room::new(100_000);
        let (mut one, mut other) = (Claim::new(Arc::clone(&room)), Claim::new(Arc::clone(&room)));
        one.set(70_000);
        other.set(20_000);
        assert!(!one.is_too_large());
        other.set(30_000);
        assert_eq!((room.taken(), one.is_too_large(), other.is_too_large()), (100_000, true, false));
        one.set(1000);
        assert_eq!(room.taken(), 31_000);
        drop(other);
        assert_eq!(room.taken(), 1000);
    }

    #[test]
    fn a_want_of_room_is_told_once() {
        let room = Room::new(100);
        let mut claim = Claim::new(Arc::clone(&room));
        let mut told = |bytes| {
            claim.set(bytes);
            room.becomes_short(0)
        };
        assert_eq!([99, 100, 120, 80, 100, 75, 100].map(&mut told), [false, true, false, false, false, false, true]);
        assert!(!room.becomes_short(1));
        room.limit(1000);
        assert!(!room.becomes_short(0));
        assert!(room.becomes_short(1), "sessions began anew, and there is room again by that");
    }
}
