//! How tasks live: supervision, shutdown in stages, aligned tickers, the board where every part of the agent posts its
//! condition, and the Unix sockets that parts listen on. Only this room spawns.

mod blocking;
mod board;
mod policy;
mod pulse;
mod scope;
mod shutdown;
mod supervisor;
mod ticker;
mod unix_socket;

pub use blocking::{Panicked, blocking, in_turn, thread};
pub use board::Board;
pub use policy::Policy;
pub use pulse::Pulse;
pub use scope::Scope;
pub use shutdown::{Shutdown, ShutdownSender, Stage};
pub use supervisor::{Supervisor, TaskContext, TaskHandle, TaskResult};
pub use ticker::{Slot, Ticker};
pub use unix_socket::{Access, SocketError, SocketFile, SocketKind, bind_unix};
