//! The registry's journal: what happens to series that events make is written down before anyone is shown it, and from time
//! to time all series are saved, so that they survive restarts, upgrades and `kill -9`.

mod bytes;
mod config;
mod folder;
mod frame;
mod header;
mod keeper;
mod metrics;
mod name;
mod operation;
mod pen;
mod progress;
mod recovery;
mod rehearsal;
mod replay;
mod snapshot;
mod task;
mod writer;

pub use config::JournalConfig;
pub use keeper::Journal;
#[doc(hidden)]
pub use rehearsal::{rehearse_files, rehearse_record};

pub(super) use pen::{Pen, Subject};
pub(super) use progress::Progress;
