//! Live instruments: what every series holds now, whoever measured it.
