//! History on disk. Sealed chunks are appended to segment files, once; once a minute what heads have gained since is appended to a log,
//! which begins anew when it has grown to several times what all heads take. At the start all of it is read back.
//!
//! The same files can be read without an agent, and beside one ([`Saved`]).
//!
//! Whatever is missing or twice is found by time: a chunk or a head that begins before the end of what is there already has been
//! sealed, or thinned, or written twice, since it was written.

mod folder;
mod keeper;
mod ledger;
mod metrics;
mod record;
mod restore;
mod saved;
mod task;

#[cfg(test)]
mod tests;

pub use keeper::Archive;
pub use saved::{Saved, SavedError};

pub(super) use record::MAGIC;
pub(super) use restore::{Ordered, rehearse};
