//! What commands print. Whoever reads it may stop at any time (`| head`), which is no mistake of this program.

use std::io::{ErrorKind, IsTerminal, Write};

use anyhow::Context;

/// Prints on standard output. That nobody reads any more is no error: what was asked for was there.
///
/// # Errors
/// When it cannot be written for another reason, such as a full disk.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    let mut output = std::io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("cannot write to standard output"),
        _ => Ok(()),
    }
}

/// Prints a line on standard error. Where that is closed there is nobody left to tell.
pub(super) fn note(line: &str) {
    let _closed = writeln!(std::io::stderr().lock(), "{line}");
}

/// Whether standard output is read by a person who has not asked for plain text (<https://no-color.org>).
pub(super) fn is_styled() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
