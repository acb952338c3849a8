//! One request over a connection of its own: notifications are few, and a fresh connection has no stale one's doubts about
//! whether a request arrived.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::backoff::Verdict;
use super::config::{Authorization, BasicAuth, Tls};
use super::connect::{connect, credentials};
use super::url::without_path;
use crate::telemetry::chain;

/// No more of an answer is read: it is for the log.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// No more of it is shown.
const SHOWN_CHARS_MAX: usize = 300;

/// Where to send to, and how.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Endpoint {
    /// The whole URL.
    pub(super) url: Uri,
    /// Nobody is to see more of it than the host.
    pub(super) secret: bool,
    /// For all of it, from the look-up of the host to the last byte of the answer.
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
        let timeout = self.timeout;
        match tokio::time::timeout(timeout, self.exchange(method, body)).await {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(error)) => Verdict::failed(error),
            Err(_) => Verdict::failed(format!("no answer within {} s", timeout.as_secs_f64())),
        }
    }

    async fn exchange(self, method: Method, body: Vec<u8>) -> Result<Verdict, String> {
        let request = self.request(method, body).await?;
        let unsaid = self.secret.then_some(&self.url);
        converse(connect(&self.url, &self.tls).await?, request, unsaid).await
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

/// Sends a request and makes something of the answer, in which the path of `unsaid` is not repeated.
async fn converse<S>(stream: S, request: Request<Full<Bytes>>, unsaid: Option<&Uri>) -> Result<Verdict, String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| chain(&error))?;
    let exchange = async move {
        let answer = sender.send_request(request).await.map_err(|error| format!("no answer: {}", chain(&error)))?;
        let status = answer.status().as_u16();
        let retry_after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        // The status says what became of it, whatever becomes of the body.
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let mut said = String::from_utf8_lossy(&body).into_owned();
        if let Some(url) = unsaid {
            said = without_path(url, &said);
        }
        let shown: String = said.chars().take(SHOWN_CHARS_MAX).collect();
        Ok(Verdict::of_status(status, &shown, retry_after.map(Duration::from_secs)))
    };
    // The connection ends once the exchange has let go of it; how is of no interest then.
    let (verdict, _ended) = tokio::join!(exchange, connection);
    verdict
}

#[cfg(test)]
pub(super) mod tests;
