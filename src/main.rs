//! The `sidewatch` program: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    sidewatch::cli::main()
}
