//! Events as JSON objects, one a line. Most lines are flat objects of known fields without escapes: those are read in one
//! pass by hand. Every other line is read by serde_json, and so is every line that is refused: what a line means is always
//! what it means to serde_json, and a property test holds the two equal.

mod cursor;
mod general;
mod guess;
mod scan;

pub(super) use cursor::Cursor;
pub(super) use general::read;
pub(super) use guess::Guesses;
pub(super) use scan::{Scan, pairs};

#[cfg(test)]
mod tests;
