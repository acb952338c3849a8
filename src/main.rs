//! The `sidewatch` program: everything is in the library.

fn main() {}
