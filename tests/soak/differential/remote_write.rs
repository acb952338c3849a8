//! Messages of the remote-write protocol 1.0: a `WriteRequest` in Protocol Buffers, in Snappy's block format.
//! Sources: <https://prometheus.io/docs/specs/prw/remote_write_spec/>, prometheus/prometheus `prompb/types.proto`, google/snappy
//! `format_description.txt`.

use super::samples::Written;

/// One message with all series' samples of a time from `after` (inside) to `until` (outside), in ms.
pub(super) fn message(all: &[Written], after: i64, until: i64) -> Vec<u8> {
    let mut request = Vec::new();
    for series in all {
        let mut body = Vec::new();
        for (name, value) in &series.labels {
            let mut label = Vec::new();
            put_bytes(&mut label, 1, name.as_bytes());
            put_bytes(&mut label, 2, value.as_bytes());
            put_bytes(&mut body, 1, &label);
        }
        for (at, value) in series.samples.iter().filter(|(at, _)| (after..until).contains(at)) {
            // Field 1, eight bytes; field 2, a number.
            let mut sample = vec![1 << 3 | 1];
            sample.extend_from_slice(&value.to_bits().to_le_bytes());
            sample.push(2 << 3);
            put_number(&mut sample, at.cast_unsigned());
            put_bytes(&mut body, 2, &sample);
        }
        put_bytes(&mut request, 1, &body);
    }
    snappy(&request)
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
