//! Problems in texts that people wrote: where (file, line, column), what, and what to do, with a caret under the bad token.

mod aliases;
mod nesting;
mod position;
mod problem;
mod yaml;

pub use position::{Position, position_of_byte};
pub use problem::{Diagnostic, nearest, sum_up};
pub use yaml::{PathStep, excessive_yaml, locate_yaml, locate_yaml_key, parse_yaml, read_yaml, told_max};
