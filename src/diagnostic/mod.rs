//! Problems in texts that people wrote: where (file, line, column), what, and what to do, with a caret under the bad token.
