//! Messages of the remote-write protocol 1.0: a `WriteRequest` in Protocol Buffers, in Snappy's block format.
//! Sources: <https://prometheus.io/docs/specs/prw/remote_write_spec/>, prometheus/prometheus `prompb/types.proto`, google/snappy
//! `format_description.txt`.

/// A message under construction: a `WriteRequest`.
#[derive(Default)]
pub(crate) struct Message(Vec<u8>);

impl Message {
    /// Adds a series, labels in order of their names, and samples of it in order of time (in ms).
    pub(crate) fn add<'a>(&mut self, labels: impl Iterator<Item = (&'a str, &'a str)>, samples: impl Iterator<Item = (i64, f64)>) {
        let mut body = Vec::new();
        for (name, value) in labels {
            let mut label = Vec::new();
            put_bytes(&mut label, 1, name.as_bytes());
            put_bytes(&mut label, 2, value.as_bytes());
            put_bytes(&mut body, 1, &label);
        }
        for (at, value) in samples {
            // Field 1, eight bytes; field 2, a number.
            let mut sample = vec![1 << 3 | 1];
            sample.extend_from_slice(&value.to_bits().to_le_bytes());
            sample.push(2 << 3);
            put_number(&mut sample, at.cast_unsigned());
            put_bytes(&mut body, 2, &sample);
        }
        put_bytes(&mut self.0, 1, &body);
    }

    /// The body of the request.
    pub(crate) fn compressed(&self) -> Vec<u8> {
        snappy(&self.0)
    }

    /// The headers that belong to it.
    pub(crate) const HEADERS: &'static str =
        "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\n";
}

fn put_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn put_bytes(bytes: &mut Vec<u8>, field: u64, value: &[u8]) {
    put_number(bytes, field << 3 | 2);
    put_number(bytes, value.len() as u64);
    bytes.extend_from_slice(value);
}

/// A block of literals alone: it is as long as what it holds, and every reader takes it.
fn snappy(bytes: &[u8]) -> Vec<u8> {
    let mut block = Vec::new();
    put_number(&mut block, bytes.len() as u64);
    for piece in bytes.chunks(1 << 16) {
        let length = (piece.len() - 1) as u16;
        block.push(61 << 2);
        block.extend_from_slice(&length.to_le_bytes());
        block.extend_from_slice(piece);
    }
    block
}
