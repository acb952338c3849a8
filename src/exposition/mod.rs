//! Writers of Prometheus's text format and OpenMetrics: pure.
