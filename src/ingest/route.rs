//! A route's template from a path as requested, for senders that do not know the route: what is surely an identifier
//! becomes `{id}`, everything else stays.

/// The route of requests that matched none.
pub(super) const UNMATCHED: &str = "__unmatched__";

/// Fewer hexadecimal digits than this may be a word.
const HEX_MIN: usize = 16;

/// Writes the template of a path, without its query.
pub(super) fn template(path: &str, out: &mut Vec<u8>) {
    let path = path.split(['?', '#']).next().unwrap_or("");
    if path.is_empty() {
        out.push(b'/');
    }
    for (index, segment) in path.split('/').enumerate() {
        if index > 0 {
            out.push(b'/');
        }
        out.extend_from_slice(if identifies(segment) { b"{id}" } else { segment.as_bytes() });
    }
}

/// A number, a UUID, or a long hexadecimal text.
fn identifies(segment: &str) -> bool {
    let digit = |byte: u8| byte.is_ascii_digit();
    let bytes = segment.as_bytes();
    let number = !bytes.is_empty() && bytes.iter().all(|byte| digit(*byte));
    let hex = bytes.len() >= HEX_MIN && bytes.iter().all(u8::is_ascii_hexdigit) && bytes.iter().any(|byte| digit(*byte));
    number || hex || uuid(bytes)
}

fn uuid(bytes: &[u8]) -> bool {
    bytes.len() == 36
        && bytes.iter().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_become_placeholders_and_words_stay() {
        for (path, route) in [
            ("/", "/"),
            ("", "/"),
            ("/items/42", "/items/{id}"),
            ("/items/42/?page=3", "/items/{id}/"),
            ("/v2/users/9f8b6c1e-1111-4a2b-8c3d-0123456789ab/cart", "/v2/users/{id}/cart"),
            ("/blob/0123456789abcdef0123", "/blob/{id}"),
            ("/blob/deadbeefdeadbeef", "/blob/deadbeefdeadbeef"),
            ("/cafe/decade", "/cafe/decade"),
            ("/a1/b2", "/a1/b2"),
        ] {
            let mut out = Vec::new();
            template(path, &mut out);
            assert_eq!(out, route.as_bytes(), "{path}");
        }
    }
}
