//! Recent samples in memory, within a budget of bytes: the contracts for appending and for asking.
