//! What an endpoint answers, before it becomes an HTTP response.

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, VARY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};

use super::encoding;
use super::pieces::{Answered, Pieces};

pub(super) const TEXT: &str = "text/plain; charset=utf-8";
pub(super) const JSON: &str = "application/json";
pub(super) const HTML: &str = "text/html; charset=utf-8";

/// What is sent: all at once, or piece by piece.
pub(super) type Content = Either<Full<Bytes>, Box<Pieces>>;

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) content_type: &'static str,
    pub(super) body: Vec<u8>,
    /// In place of `body`: what is made while it is sent.
    pieces: Option<Box<Pieces>>,
    /// For 405: what is allowed.
    pub(super) allow: Option<&'static str>,
    compressed: bool,
}

impl Reply {
    pub(super) fn new(status: StatusCode, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, content_type, body: body.into(), pieces: None, allow: None, compressed: false }
    }

    /// An answer that is made while it is sent.
    pub(super) fn in_pieces(content_type: &'static str, pieces: Pieces) -> Self {
        Self { pieces: Some(Box::new(pieces)), ..Self::new(StatusCode::OK, content_type, Vec::new()) }
    }

    /// A line of text for people.
    pub(super) fn text(status: StatusCode, line: &str) -> Self {
        Self::new(status, TEXT, format!("{line}\n"))
    }

    /// Whether it is made while it is sent.
    pub(super) const fn is_in_pieces(&self) -> bool {
        self.pieces.is_some()
    }

    /// Keeps something until the answer has been made, which may be while it is sent.
    pub(super) fn keep(&mut self, kept: impl Send + 'static) {
        if let Some(pieces) = &mut self.pieces {
            pieces.keep(kept);
        }
    }

    /// Compresses the body where the client takes it and it is worth it.
    pub(super) fn compress(mut self, accept_encoding: Option<&str>) -> Self {
        self.compressed = match &mut self.pieces {
            Some(pieces) if encoding::accepts_gzip(accept_encoding) => {
                pieces.compress();
                true
            }
            Some(_) => false,
            None => encoding::gzip(accept_encoding, &mut self.body),
        };
        self
    }

    /// The response, which is counted when it has been made. Every answer is of this moment, and no browser is to guess what
    /// it is or run what is in it.
    pub(super) fn into_response(self, answered: Answered) -> Response<Content> {
        let mut response = Response::new(());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(VARY, HeaderValue::from_static("accept, accept-encoding"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'"));
        if self.compressed {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        let mut content = self.into_content();
        if let Either::Right(pieces) = &mut content {
            pieces.count(answered);
        }
        response.map(|()| content)
    }

    /// What is sent.
    pub(super) fn into_content(self) -> Content {
        match self.pieces {
            Some(pieces) => Either::Right(pieces),
            None => Either::Left(Full::new(Bytes::from(self.body))),
        }
    }
}
