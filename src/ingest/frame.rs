//! Where a payload begins and ends in a stream. The first four bytes of a connection settle it: a DogStatsD length
//! (32 bits, little endian) has a zero third or fourth byte, text has none.
//! Source: Datadog agent `uds_stream.go`.

use super::Refusal;

/// How a connection divides its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Unsettled,
    Lines,
    Prefixed,
}

/// What becomes of a line that its stream ends in, without a line feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    Taken,
    Refused,
}

/// What is to be thrown away before the next payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Skip {
    Nothing,
    Line,
    Bytes(usize),
}

/// Divides one connection's bytes into payloads.
#[derive(Debug)]
pub(super) struct Frames {
    framing: Framing,
    skip: Skip,
    rest: Rest,
    limit: usize,
}

/// What stands at the front of the bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'b> {
    /// Lines (without the last one's end), or a frame's content, which may hold several lines as well.
    Payload(&'b [u8]),
    /// Something that cannot be taken, and how it begins.
    Refused(Refusal, &'b [u8]),
    /// Nothing yet.
    Incomplete,
}

/// The length in front of a frame.
const PREFIX: usize = 4;

impl Frames {
    /// For a connection whose payloads may have `limit` bytes.
    pub(super) const fn new(limit: usize) -> Self {
        Self { framing: Framing::Unsettled, skip: Skip::Nothing, rest: Rest::Taken, limit }
    }

    /// For a connection of lines only, of which every one has an end: a network may cut the last one short.
    pub(super) const fn lines(limit: usize) -> Self {
        Self { framing: Framing::Lines, skip: Skip::Nothing, rest: Rest::Refused, limit }
    }

    /// How many bytes the caller has to be able to hold, so that every payload within the limit comes out.
    pub(super) const fn capacity(limit: usize) -> usize {
        limit + PREFIX + 1
    }

    /// Looks at the bytes not used so far and says how many of them are used up. `ended` says that no more will come.
    pub(super) fn next<'b>(&mut self, bytes: &'b [u8], ended: bool) -> (usize, Found<'b>) {
        if self.framing == Framing::Unsettled {
            self.framing = match bytes {
                [_, _, third, fourth, ..] if *third == 0 || *fourth == 0 => Framing::Prefixed,
                [_, _, _, _, ..] => Framing::Lines,
                _ if ended => Framing::Lines,
                _ => return (0, Found::Incomplete),
            };
        }
        let skipped = self.skipped(bytes);
        let rest = bytes.get(skipped..).unwrap_or(&[]);
        if self.skip != Skip::Nothing || rest.is_empty() {
            return (skipped, Found::Incomplete);
        }
        let (used, found) = if self.framing == Framing::Lines { self.line(rest, ended) } else { self.frame(rest, ended) };
        (skipped + used, found)
    }

    fn skipped(&mut self, bytes: &[u8]) -> usize {
        let (used, next) = match self.skip {
            Skip::Nothing => (0, Skip::Nothing),
            Skip::Line => memchr::memchr(b'\n', bytes).map_or((bytes.len(), Skip::Line), |end| (end + 1, Skip::Nothing)),
            Skip::Bytes(count) if count > bytes.len() => (bytes.len(), Skip::Bytes(count - bytes.len())),
            Skip::Bytes(count) => (count, Skip::Nothing),
        };
        self.skip = next;
        used
    }

    fn line<'b>(&mut self, bytes: &'b [u8], ended: bool) -> (usize, Found<'b>) {
        let within = bytes.get(..=self.limit).unwrap_or(bytes);
        // All whole lines at once: what is within the limit together is so one by one.
        match memchr::memrchr(b'\n', within) {
            Some(end) => (end + 1, Found::Payload(within.get(..end).unwrap_or(within))),
            None if within.len() > self.limit => {
                self.skip = Skip::Line;
                (within.len(), Found::Refused(Refusal::FrameTooLarge, within))
            }
            None if ended && self.rest == Rest::Refused => (bytes.len(), Found::Refused(Refusal::Truncated, bytes)),
            None if ended => (bytes.len(), Found::Payload(bytes)),
            None => (0, Found::Incomplete),
        }
    }

    fn frame<'b>(&mut self, bytes: &'b [u8], ended: bool) -> (usize, Found<'b>) {
        let cut = || if ended { (bytes.len(), Found::Refused(Refusal::Truncated, bytes)) } else { (0, Found::Incomplete) };
        let Some((prefix, rest)) = bytes.split_first_chunk::<PREFIX>() else { return cut() };
        let length = usize::try_from(u32::from_le_bytes(*prefix)).unwrap_or(usize::MAX);
        if length > self.limit {
            self.skip = Skip::Bytes(length);
            return (PREFIX, Found::Refused(Refusal::FrameTooLarge, bytes));
        }
        rest.get(..length).map_or_else(cut, |payload| (PREFIX + length, Found::Payload(payload)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Feeds the chunks as a connection would and collects what comes out.
    fn run(limit: usize, chunks: &[&[u8]]) -> Vec<Result<Vec<u8>, Refusal>> {
        run_with(Frames::new(limit), chunks)
    }

    fn run_with(mut frames: Frames, chunks: &[&[u8]]) -> Vec<Result<Vec<u8>, Refusal>> {
        let mut held: Vec<u8> = Vec::new();
        let mut out = Vec::new();
        for (index, chunk) in chunks.iter().chain([&&b""[..]]).enumerate() {
            held.extend_from_slice(chunk);
            loop {
                let (used, found) = frames.next(&held, index == chunks.len());
                let done = match found {
                    Found::Payload(payload) => {
                        let lines = frames.framing == Framing::Lines;
                        out.extend(payload.split(|byte| lines && *byte == b'\n').map(|line| Ok(line.to_vec())));
                        false
                    }
                    Found::Refused(reason, _) => {
                        out.push(Err(reason));
                        false
                    }
                    Found::Incomplete => true,
                };
                held.drain(..used);
                if done {
                    break;
                }
            }
        }
        out
    }

    fn frame(payload: &[u8]) -> Vec<u8> {
        let mut frame = u32::try_from(payload.len()).expect("short").to_le_bytes().to_vec();
        frame.extend_from_slice(payload);
        frame
    }

    #[test]
    fn lines_come_out_without_their_end_and_the_last_one_may_lack_it() {
        assert_eq!(run(100, &[b"a:1|c\nb:", b"2|c\n\nc:3|c"]), [b"a:1|c".to_vec(), b"b:2|c".into(), b"".into(), b"c:3|c".into()].map(Ok));
        assert_eq!(run(100, &[b"{}\n"]), [Ok(b"{}".to_vec())]);
    }

    #[test]
    fn a_length_prefix_is_recognised_by_its_zero_bytes() {
        let bytes = [frame(b"a:1|c\nb:1|c"), frame(b""), frame(b"c:1|c")].concat();
        assert_eq!(run(100, &[&bytes[..2], &bytes[2..9], &bytes[9..]]), [b"a:1|c\nb:1|c".to_vec(), b"".into(), b"c:1|c".into()].map(Ok));
    }

    #[test]
    fn an_oversized_line_is_refused_and_the_next_one_is_read() {
        assert_eq!(
            run(5, &[b"1234", b"567", b"8\nok\n12345\n123456\n"]),
            [Err(Refusal::FrameTooLarge), Ok(b"ok".to_vec()), Ok(b"12345".to_vec()), Err(Refusal::FrameTooLarge)]
        );
    }

    #[test]
    fn an_oversized_frame_is_skipped_by_its_length() {
        let bytes = [frame(b"123456"), frame(b"ok")].concat();
        assert_eq!(run(5, &[&bytes[..7], &bytes[7..]]), [Err(Refusal::FrameTooLarge), Ok(b"ok".to_vec())]);
    }

    #[test]
    fn frames_without_content_keep_a_connection_alive_from_its_beginning() {
        let payloads = run(100, &[&[0; 8], &[0, 0], &[0, 0], &frame(b"a:1|c"), &[0; 4]]);
        assert_eq!(payloads, [b"", b"", b"", &b"a:1|c"[..], b""].map(|payload| Ok(payload.to_vec())));
        assert_eq!(run(100, &[&[0; 7]]), [Ok(b"".to_vec()), Err(Refusal::Truncated)]);
    }

    #[test]
    fn where_every_line_has_an_end_half_a_line_is_refused_and_zeros_are_text() {
        let of = |reads: &[&[u8]]| run_with(Frames::lines(100), reads);
        assert_eq!(of(&[b"a:1|c\nb:1|", b"c"]), [Ok(b"a:1|c".to_vec()), Err(Refusal::Truncated)]);
        assert_eq!(of(&[b"a\0\0\0:1|c\n"]), [Ok(b"a\0\0\0:1|c".to_vec())]);
    }

    #[test]
    fn an_end_inside_a_frame_is_a_truncation() {
        assert_eq!(run(100, &[&frame(b"a:1|c")[..7]]), [Err(Refusal::Truncated)]);
        assert_eq!(run(100, &[&[frame(b"a"), vec![1]].concat()]), [Ok(b"a".to_vec()), Err(Refusal::Truncated)]);
    }

    proptest! {
        #[test]
        fn any_division_into_reads_gives_the_same_payloads(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(0), any::<u8>()], 0..60), cut in 0_usize..60,
        ) {
            let (front, back) = bytes.split_at(cut.min(bytes.len()));
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            let whole = run(8, &[&bytes]);
            prop_assert_eq!(&run(8, &[front, back]), &whole);
            prop_assert_eq!(&run(8, &single), &whole);
        }
    }
}
