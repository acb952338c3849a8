//! One request over a connection of its own: notifications are few, and a fresh connection has no stale one's doubts about
//! whether a request arrived.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::Fuse;
use http_body_util::{BodyExt, Collected, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use jiff::fmt::rfc2822;
use tokio::time::timeout;

use super::backoff::Verdict;
use super::config::{Authorization, BasicAuth, Tls};
use super::connect::{Stream, connect, credentials};
use super::url::without_path;
use crate::clock;
use crate::model::Timestamp;
use crate::telemetry::chain;

/// No more of an answer is read: it is for the log.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// So long it may take to come after the head.
const BODY_WAIT: Duration = Duration::from_secs(1);
/// No more of it is shown.
const SHOWN_CHARS_MAX: usize = 300;

/// Where to send to, and how.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Endpoint {
    /// The whole URL.
    pub(super) url: Uri,
    /// Nobody is to see more of it than the host.
    pub(super) secret: bool,
    /// From the look-up of the host to the head of the answer.
    pub(super) timeout: Duration,
    /// User and password.
    pub(super) basic_auth: Option<BasicAuth>,
    /// A token.
    pub(super) authorization: Option<Authorization>,
    /// For `https`.
    pub(super) tls: Tls,
}

impl Endpoint {
    /// Posts JSON.
    pub(super) async fn post(self, body: Vec<u8>) -> Verdict {
        self.send(Method::POST, body).await
    }

    /// Sends a request; a body is JSON.
    pub(super) async fn send(self, method: Method, body: Vec<u8>) -> Verdict {
        match timeout(self.timeout, self.exchange(method, body)).await {
            Ok(Ok(answer)) => answer.verdict(self.secret.then_some(&self.url)).await,
            Ok(Err(error)) => Verdict::failed(error),
            Err(_) => Verdict::failed(format!("no answer within {} s", self.timeout.as_secs_f64())),
        }
    }

    async fn exchange(&self, method: Method, body: Vec<u8>) -> Result<Answer, String> {
        let request = self.request(method, body).await?;
        converse(connect(&self.url, &self.tls).await?, request).await
    }

    async fn request(&self, method: Method, body: Vec<u8>) -> Result<Request<Full<Bytes>>, String> {
        let path = self.url.path_and_query().map_or("/", |path| path.as_str());
        let authority = self.url.authority().map_or("", |authority| authority.as_str());
        let mut request = Request::builder()
            .method(&method)
            .uri(path)
            .header(HOST, authority)
            .header(USER_AGENT, concat!("sidewatch/", env!("CARGO_PKG_VERSION")))
            .header(CONNECTION, "close");
        if method != Method::GET {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(value) = credentials(self.basic_auth.as_ref(), self.authorization.as_ref()).await? {
            request = request.header(AUTHORIZATION, value);
        }
        request.body(Full::new(Bytes::from(body))).map_err(|error| chain(&error))
    }
}

type Connection = Fuse<http1::Connection<TokioIo<Box<dyn Stream>>, Full<Bytes>>>;

/// The head of an answer, and what its body comes over.
struct Answer {
    head: Response<Incoming>,
    connection: Connection,
    // The connection goes on for as long as somebody could send over it.
    _sender: http1::SendRequest<Full<Bytes>>,
}

async fn converse(stream: Box<dyn Stream>, request: Request<Full<Bytes>>) -> Result<Answer, String> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| chain(&error))?;
    let mut connection = connection.fuse();
    let head = over(&mut connection, sender.send_request(request)).await.map_err(|error| format!("no answer: {}", chain(&error)))?;
    Ok(Answer { head, connection, _sender: sender })
}

/// What comes over a connection, which is kept going meanwhile. A receiver that has answered need not read the rest of the request.
async fn over<T>(connection: &mut Connection, wanted: impl Future<Output = T>) -> T {
    let mut wanted = pin!(wanted);
    tokio::select! {
        biased;
        came = &mut wanted => came,
        // How it ends is of no interest: whoever waits for something hears of it.
        _ = connection => wanted.await,
    }
}

/// How long a header `Retry-After` wants to be waited: seconds, or a date. Source: RFC 9110, section 10.2.3.
fn wait(text: &str, now: Timestamp) -> Option<Duration> {
    let date = || {
        let date = rfc2822::parse(text).ok()?.timestamp().as_millisecond();
        Some(Timestamp::from_millis(date).since(now))
    };
    text.parse().map(Duration::from_secs).ok().or_else(date)
}

impl Answer {
    /// The status says what became of the request, whatever becomes of the body: that is for the log, and the path of `unsaid` is
    /// not repeated in it.
    async fn verdict(mut self, unsaid: Option<&Uri>) -> Verdict {
        let status = self.head.status().as_u16();
        let retry_after = self.head.headers().get(RETRY_AFTER).and_then(|value| wait(value.to_str().ok()?.trim(), clock::now()));
        let body = Limited::new(self.head.into_body(), ANSWER_BYTES_MAX).collect();
        let body = timeout(BODY_WAIT, over(&mut self.connection, body)).await;
        let body = body.ok().and_then(Result::ok).map(Collected::to_bytes).unwrap_or_default();
        let mut said = String::from_utf8_lossy(&body).into_owned();
        if let Some(url) = unsaid {
            said = without_path(url, &said);
        }
        let shown: String = said.chars().take(SHOWN_CHARS_MAX).collect();
        Verdict::of_status(status, &shown, retry_after)
    }
}

#[cfg(test)]
pub(super) mod tests;
