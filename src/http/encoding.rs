//! Compression of answers: gzip where the client takes it and it is worth it.
//! Source: RFC 9110, section 12.5.3.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

/// Smaller answers fit into a packet or two anyway.
const WORTHWHILE: usize = 1024;

/// Text of metrics shrinks twelvefold at the fastest level; the higher ones cost four times as much for little more.
const LEVEL: Compression = Compression::fast();

/// Compresses a body in place; true when it did.
pub(super) fn gzip(accept_encoding: Option<&str>, body: &mut Vec<u8>) -> bool {
    if body.len() <= WORTHWHILE || !accepts_gzip(accept_encoding) {
        return false;
    }
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 8), LEVEL);
    match encoder.write_all(body).and_then(|()| encoder.finish()) {
        Ok(compressed) => {
            *body = compressed;
            true
        }
        // Writing into memory does not fail; the plain answer is as good.
        Err(_) => false,
    }
}

/// Compression of a text that comes in pieces.
#[derive(Debug)]
pub(super) struct Gzip {
    encoder: GzEncoder<Vec<u8>>,
    plain: Vec<u8>,
}

impl Default for Gzip {
    fn default() -> Self {
        Self { encoder: GzEncoder::new(Vec::new(), LEVEL), plain: Vec::new() }
    }
}

impl Gzip {
    /// Has a piece made and appends to `out` what there is of the compressed text. A piece to which nothing is appended is
    /// the end; true then.
    pub(super) fn pass(&mut self, make: impl FnOnce(&mut Vec<u8>), out: &mut Vec<u8>) -> bool {
        self.plain.clear();
        make(&mut self.plain);
        // Writing into memory does not fail.
        let _written = if self.plain.is_empty() { self.encoder.try_finish() } else { self.encoder.write_all(&self.plain) };
        out.append(self.encoder.get_mut());
        self.plain.is_empty()
    }
}

/// Whether `gzip` is named, or meant by `*`, with a quality above zero.
pub(super) fn accepts_gzip(header: Option<&str>) -> bool {
    let header = header.unwrap_or("");
    let quality = |name: &str| {
        header.split(',').find_map(|element| {
            let (coding, parameters) = element.split_once(';').unwrap_or((element, ""));
            coding.trim().eq_ignore_ascii_case(name).then(|| {
                let q = parameters.trim().strip_prefix("q=").unwrap_or("1");
                q.parse::<f32>().unwrap_or(0.0)
            })
        })
    };
    quality("gzip").or_else(|| quality("*")).is_some_and(|q| q > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_large_body_comes_back_the_same() {
        let text = "node_load1 0.25\n".repeat(1000);
        let mut body = text.clone().into_bytes();
        assert!(gzip(Some("gzip"), &mut body) && body.len() < text.len() / 10);
        let mut plain = String::new();
        flate2::read::GzDecoder::new(body.as_slice()).read_to_string(&mut plain).expect("gzip");
        assert_eq!(plain, text);
    }

    #[test]
    fn a_small_body_is_left_alone() {
        assert!(!gzip(Some("gzip"), &mut vec![b'a'; 1024]));
    }

    #[test]
    fn the_header_decides() {
        for (header, accepted) in [
            ("gzip", true),
            ("deflate, gzip;q=1.0, *;q=0.5", true),
            ("GZIP", true),
            ("*", true),
            ("", false),
            ("identity", false),
            ("gzip;q=0, *", false),
            ("gzip;q=x", false),
            ("br;q=1, gzip ; q=0.001", true),
        ] {
            assert_eq!(accepts_gzip(Some(header)), accepted, "{header}");
        }
    }
}
