//! The score from 0 to 100 that explains itself.
