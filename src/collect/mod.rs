//! The host, sampled: one file a collector, with node_exporter's names.
