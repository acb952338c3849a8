//! Escaping of label values and help texts.
//! Source: Prometheus documentation "Exposition formats", OpenMetrics 1.0 "Escaping".

use memchr::{memchr2, memchr3};

/// Appends a text in which `\`, `"` and LF are escaped: a label value in both formats, a help text in OpenMetrics.
pub(super) fn quoted(text: &str, out: &mut Vec<u8>) {
    escape(text.as_bytes(), |rest| memchr3(b'\\', b'"', b'\n', rest), out);
}

/// Appends a help text of the text format, where a quote stays as it is.
pub(super) fn unquoted(text: &str, out: &mut Vec<u8>) {
    escape(text.as_bytes(), |rest| memchr2(b'\\', b'\n', rest), out);
}

fn escape(mut rest: &[u8], find: impl Fn(&[u8]) -> Option<usize>, out: &mut Vec<u8>) {
    while let Some((clean, [special, tail @ ..])) = find(rest).and_then(|at| rest.split_at_checked(at)) {
        out.extend_from_slice(clean);
        out.extend_from_slice(&[b'\\', if *special == b'\n' { b'n' } else { *special }]);
        rest = tail;
    }
    out.extend_from_slice(rest);
}
