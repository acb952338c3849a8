//! Which names are legal, which are reserved, and how a foreign name becomes a legal one.
//! Source: Prometheus documentation "Data model", OpenMetrics 1.0 "Metric and label names".

/// Why a name from outside is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing there.
    #[error("the name is empty")]
    Empty,
    /// A name that belongs to the agent or to a scraping server.
    #[error("the name is reserved for the agent")]
    Reserved,
}

/// `[a-zA-Z_:][a-zA-Z0-9_:]*`
#[must_use]
pub fn is_metric_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
}

/// `[a-zA-Z_][a-zA-Z0-9_]*`
#[must_use]
pub fn is_label_name(name: &str) -> bool {
    is_metric_name(name) && !name.contains(':')
}

/// True for metric names that only the agent itself writes.
#[must_use]
pub fn reserved_name(name: &str) -> bool {
    name == "up" || ["node_", "process_", "sidewatch_", "ALERTS"].iter().any(|prefix| name.starts_with(prefix))
}

/// True for labels that only the agent or a scraping server attaches.
#[must_use]
pub fn reserved_label(name: &str) -> bool {
    matches!(name, "job" | "instance") || name.starts_with("__")
}

/// A legal metric name: every other character becomes `_`, a leading digit gets `_` in front.
#[must_use]
pub fn sanitize_metric(name: &str) -> String {
    sanitize(name, |c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
}

/// A legal label name, in the same way.
#[must_use]
pub fn sanitize_label(name: &str) -> String {
    sanitize(name, |c| c.is_ascii_alphanumeric() || c == '_')
}

fn sanitize(name: &str, legal: impl Fn(char) -> bool) -> String {
    let mut clean = String::with_capacity(name.len() + 1);
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        clean.push('_');
    }
    clean.extend(name.chars().map(|c| if legal(c) { c } else { '_' }));
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_names_become_legal() {
        assert_eq!(sanitize_metric("api.latency-ms"), "api_latency_ms");
        assert_eq!(sanitize_metric("2xx"), "_2xx");
        assert_eq!(sanitize_label("http.method:x"), "http_method_x");
        assert!(is_metric_name(&sanitize_metric("été 5%")));
    }

    #[test]
    fn the_agents_own_names_are_reserved() {
        assert!(reserved_name("node_load1") && reserved_name("ALERTS_FOR_STATE") && reserved_name("up"));
        assert!(!reserved_name("upstream_total"));
        assert!(reserved_label("job") && reserved_label("__name__") && !reserved_label("jobs"));
    }
}
