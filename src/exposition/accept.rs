//! Content negotiation: which format a scraper's `Accept` header asks for.
//! Source: Prometheus documentation "Content negotiation" and "Escaping schemes"; RFC 9110, section 12.5.1.

use super::Format;

/// What is answered and under which name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// The format to write.
    pub format: Format,
    /// The value of `Content-Type`. A scraper that named a version or an escaping scheme finds it here again. The
    /// scheme is always `underscores`, which is true whatever was asked for: our names need no other.
    pub content_type: &'static str,
}

impl From<Format> for Negotiated {
    fn from(format: Format) -> Self {
        Self { format, content_type: format.content_type() }
    }
}

/// Chooses the supported format with the highest q-value, of equal ones the more specific, then the first. No header,
/// `*/*`, or nothing that is supported gives the text format. OpenMetrics 2.0 and protobuf are not supported.
#[must_use]
pub fn negotiate(accept: Option<&str>) -> Negotiated {
    let mut best: Option<(Rank, Negotiated)> = None;
    for offer in accept.unwrap_or("").split(',').filter_map(offer) {
        if best.as_ref().is_none_or(|(rank, _)| offer.0.is_above(rank)) {
            best = Some(offer);
        }
    }
    best.map_or_else(|| Format::Text004.into(), |(_, negotiated)| negotiated)
}

struct Rank {
    quality: f32,
    exact: bool,
}

impl Rank {
    fn is_above(&self, other: &Self) -> bool {
        (self.quality, self.exact) > (other.quality, other.exact)
    }
}

/// Reads one element of the header; `None` where it is not supported or not acceptable (q=0).
fn offer(element: &str) -> Option<(Rank, Negotiated)> {
    let mut parts = element.split(';').map(str::trim);
    let media = parts.next()?;
    let (mut version, mut escaping, mut quality) = (None, false, 1.0);
    for (name, value) in parts.filter_map(|part| part.split_once('=')) {
        let value = value.trim().trim_matches('"');
        match name.trim().to_ascii_lowercase().as_str() {
            "version" => version = Some(value),
            "escaping" => escaping = true,
            "q" => quality = value.parse::<f32>().ok().filter(|q| (0.0..=1.0).contains(q))?,
            _ => {}
        }
    }
    if quality == 0.0 {
        return None;
    }
    let negotiated = supported(&media.to_ascii_lowercase(), version, escaping)?;
    Some((Rank { quality, exact: !media.ends_with('*') }, negotiated))
}

fn supported(media: &str, version: Option<&str>, escaping: bool) -> Option<Negotiated> {
    let (format, content_type) = match (media, version, escaping) {
        ("*/*" | "text/*", _, _) | ("text/plain", None | Some("0.0.4"), _) => return Some(Format::Text004.into()),
        ("text/plain", Some("1.0.0"), false) => (Format::Text004, "text/plain; version=1.0.0; charset=utf-8"),
        ("text/plain", Some("1.0.0"), true) => (Format::Text004, "text/plain; version=1.0.0; charset=utf-8; escaping=underscores"),
        ("application/openmetrics-text", None | Some("1.0.0"), false) => return Some(Format::OpenMetrics100.into()),
        ("application/openmetrics-text", None | Some("1.0.0"), true) => {
            (Format::OpenMetrics100, "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores")
        }
        // The draft's syntax is that of 1.0.0, and it knows no escaping schemes.
        ("application/openmetrics-text", Some("0.0.1"), _) => {
            (Format::OpenMetrics100, "application/openmetrics-text; version=0.0.1; charset=utf-8")
        }
        _ => return None,
    };
    Some(Negotiated { format, content_type })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn answers(accept: &str, content_type: &str) {
        assert_eq!(negotiate(Some(accept)).content_type, content_type, "{accept}");
    }

    const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    #[test]
    fn without_a_known_wish_the_text_format_is_answered() {
        assert_eq!(negotiate(None), Format::Text004.into());
        for accept in ["", "*/*", "text/html", "text/*;q=0.1", ";;,,=", "application/json", "application/*"] {
            answers(accept, TEXT);
        }
    }

    #[test]
    fn prometheus_3_gets_open_metrics_with_the_escaping_named() {
        answers(
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
             text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
        );
    }

    #[test]
    fn prometheus_2_gets_open_metrics_in_the_version_that_it_names() {
        answers(
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;q=0.5",
            OPEN_METRICS,
        );
        answers(
            "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            "application/openmetrics-text; version=0.0.1; charset=utf-8",
        );
        answers("application/openmetrics-text", OPEN_METRICS);
    }

    #[test]
    fn neither_protobuf_nor_open_metrics_2_is_ever_answered() {
        answers(
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,\
             application/openmetrics-text;version=2.0.0;q=0.6,text/plain;version=0.0.4;q=0.2",
            TEXT,
        );
        answers("application/openmetrics-text;version=2.0.0", TEXT);
    }

    #[test]
    fn the_highest_quality_wins_wherever_it_stands() {
        answers("text/plain;q=0.3, application/openmetrics-text;q=0.9", OPEN_METRICS);
        answers(
            "application/openmetrics-text;q=0.2, text/plain;version=1.0.0;escaping=dots;q=0.4",
            "text/plain; version=1.0.0; charset=utf-8; escaping=underscores",
        );
        answers("*/*, application/openmetrics-text", OPEN_METRICS);
        answers("text/plain, application/openmetrics-text", TEXT);
    }

    #[test]
    fn quality_zero_is_a_refusal() {
        answers("application/openmetrics-text;q=0, text/plain;q=0.1", TEXT);
        answers("application/openmetrics-text;q=0.000", TEXT);
        answers("application/openmetrics-text;q=nan, text/plain;q=0.1", TEXT);
    }
}
