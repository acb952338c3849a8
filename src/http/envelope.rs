//! The envelope around what the API finds, and how an answer is written that is too large to be in memory as a whole: a piece
//! at a time, while what has been written is given up.

use std::fmt;
use std::vec::IntoIter;

use hyper::StatusCode;
use serde::Serialize;

use super::pieces::{Pieces, Source};
use super::reply::{JSON, Reply};

/// An answer that is longer is sent in pieces of about this many bytes.
const PIECE: usize = 64 << 10;

/// The warning at an answer that is not whole.
pub(super) const TRUNCATED: &str = "results truncated due to limit";

/// Data that can be written a little at a time.
pub(super) trait Part: Send {
    /// Appends the next bit, which is to be small; false when there is nothing after it.
    fn write_on(&mut self, out: &mut Vec<u8>) -> bool;
}

/// What an endpoint of the API finds: its data as JSON, and what the asker should know of it.
pub(super) struct Success {
    data: Box<dyn Part>,
    warnings: Vec<String>,
    infos: Vec<String>,
}

impl Success {
    /// Data that is small.
    pub(super) fn new<T: Serialize>(data: &T) -> Self {
        // Plain data with text keys: it cannot fail.
        Self::of(Whole(serde_json::to_vec(data).unwrap_or_else(|_| b"null".to_vec())))
    }

    /// Data that may be large.
    pub(super) fn of(data: impl Part + 'static) -> Self {
        Self { data: Box::new(data), warnings: Vec::new(), infos: Vec::new() }
    }

    /// With notes beside the data.
    pub(super) fn with(self, warnings: Vec<String>, infos: Vec<String>) -> Self {
        Self { warnings, infos, ..self }
    }

    /// A list cut to the asked number, with a warning where something is missing then.
    pub(super) fn limited<T: Serialize + Send + 'static>(mut list: Vec<T>, limit: usize) -> Self {
        let truncated = truncate(&mut list, limit);
        Self::of(List { items: list.into_iter(), begun: false }).with(truncated.into_iter().collect(), Vec::new())
    }

    /// All of the body at once.
    pub(super) fn text(self) -> Vec<u8> {
        let (mut envelope, mut text) = (Envelope::new(self), Vec::new());
        while envelope.data.is_some() {
            let mut piece = Vec::new();
            envelope.fill(&mut piece);
            text.append(&mut piece);
        }
        text
    }

    /// The answer.
    pub(super) fn reply(self) -> Reply {
        let (mut envelope, mut first) = (Envelope::new(self), Vec::new());
        envelope.fill(&mut first);
        if envelope.data.is_none() {
            return Reply::new(StatusCode::OK, JSON, first);
        }
        Reply::in_pieces(JSON, Pieces::new(Begun { first, envelope }))
    }
}

impl fmt::Debug for Success {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Success").field("warnings", &self.warnings).field("infos", &self.infos).finish_non_exhaustive()
    }
}

/// Cuts a list to `limit` (0 is no limit) and says so.
pub(super) fn truncate<T>(list: &mut Vec<T>, limit: usize) -> Option<String> {
    let cut = limit > 0 && list.len() > limit;
    if cut {
        list.truncate(limit);
    }
    cut.then(|| TRUNCATED.to_owned())
}

/// What is written already.
struct Whole(Vec<u8>);

impl Part for Whole {
    fn write_on(&mut self, out: &mut Vec<u8>) -> bool {
        out.append(&mut self.0);
        false
    }
}

/// A list, one item after the other.
struct List<T> {
    items: IntoIter<T>,
    begun: bool,
}

impl<T: Serialize + Send> Part for List<T> {
    fn write_on(&mut self, out: &mut Vec<u8>) -> bool {
        let next = self.items.next();
        let before: &[u8] = match (self.begun, &next) {
            (false, Some(_)) => b"[",
            (false, None) => b"[]",
            (true, Some(_)) => b",",
            (true, None) => b"]",
        };
        out.extend_from_slice(before);
        self.begun = true;
        // Writing plain data into memory cannot fail.
        let _written = next.as_ref().map(|item| serde_json::to_writer(out, item));
        next.is_some()
    }
}

/// An answer that is being written.
struct Envelope {
    head: &'static [u8],
    /// `None` once all of it is written.
    data: Option<Box<dyn Part>>,
    tail: Vec<u8>,
}

impl Envelope {
    fn new(success: Success) -> Self {
        let mut tail = Vec::new();
        for (name, notes) in [("warnings", success.warnings), ("infos", success.infos)] {
            if !notes.is_empty() {
                tail.extend_from_slice(format!(",\"{name}\":{}", serde_json::json!(notes)).as_bytes());
            }
        }
        tail.push(b'}');
        Self { head: b"{\"status\":\"success\",\"data\":", data: Some(success.data), tail }
    }

    /// Appends a piece, or nothing at the end.
    fn fill(&mut self, piece: &mut Vec<u8>) {
        piece.extend_from_slice(std::mem::take(&mut self.head));
        while let Some(data) = &mut self.data
            && piece.len() < PIECE
        {
            if !data.write_on(piece) {
                self.data = None;
                piece.append(&mut self.tail);
            }
        }
    }
}

/// An answer whose first piece is written.
struct Begun {
    first: Vec<u8>,
    envelope: Envelope,
}

impl Source for Begun {
    fn make(&mut self, piece: &mut Vec<u8>) {
        if self.first.is_empty() {
            self.envelope.fill(piece);
        } else {
            *piece = std::mem::take(&mut self.first);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    fn body(success: Success) -> String {
        String::from_utf8(success.reply().body).expect("UTF-8")
    }

    #[test]
    fn notes_stand_behind_the_data() {
        let noted = Success::new(&["x"]).with(vec!["a \"b\"".into()], vec!["c".into()]);
        assert_eq!(body(noted), r#"{"status":"success","data":["x"],"warnings":["a \"b\""],"infos":["c"]}"#);
    }

    #[test]
    fn a_cut_list_says_so() {
        let cut = r#"{"status":"success","data":[1,2],"warnings":["results truncated due to limit"]}"#;
        assert_eq!(body(Success::limited(vec![1, 2, 3], 2)), cut);
        assert_eq!(body(Success::limited(vec![1, 2], 2)), r#"{"status":"success","data":[1,2]}"#);
        assert_eq!(body(Success::limited(vec![1, 2], 0)), r#"{"status":"success","data":[1,2]}"#);
        assert_eq!(body(Success::limited(Vec::<u8>::new(), 2)), r#"{"status":"success","data":[]}"#);
    }

    #[tokio::test]
    async fn a_long_list_is_sent_in_pieces_that_are_not() {
        let items: Vec<String> = (0..50_000).map(|number| format!("item {number}")).collect();
        let success = Success::limited(items.clone(), 0).with(Vec::new(), vec!["long".into()]);
        let mut content = success.reply().into_content();
        let (mut text, mut longest) = (Vec::new(), 0);
        while let Some(frame) = content.frame().await {
            let data = frame.expect("never fails").into_data().expect("data");
            longest = longest.max(data.len());
            text.extend_from_slice(&data);
        }
        assert!(longest <= PIECE + 20 && text.len() > 9 * PIECE, "{longest} of {}", text.len());
        let expected = serde_json::json!({"status": "success", "data": items, "infos": ["long"]});
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&text).expect("JSON"), expected);
        let success = Success::limited(items, 0).with(Vec::new(), vec!["long".into()]);
        assert!(success.text() == text, "the same at once");
    }
}
