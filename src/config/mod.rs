//! The configuration file: every room's own section, composed; found, read, checked whole.
