//! Problems in texts that people wrote: where (file, line, column), what, and what to do, with a caret under the bad token.

mod position;
mod problem;
mod yaml;

pub use position::{Position, position_of_byte};
pub use problem::{Diagnostic, nearest};
pub use yaml::{PathStep, locate_yaml, parse_yaml, read_yaml};
