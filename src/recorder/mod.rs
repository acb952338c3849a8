//! Each tick, copies the live values of registry and telemetry into history, with the labels that a scraping server would add.
