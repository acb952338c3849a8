//! One request over a connection of its own: notifications are few, and a fresh connection has no stale one's doubts about
//! whether a request arrived.

use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::ServerName;

use super::backoff::Verdict;
use super::config::{Authorization, BasicAuth, Tls};
use super::secret::Secret;
use super::tls;
use crate::runtime::blocking;
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
        let host = self.url.host().unwrap_or_default().to_owned();
        let secure = self.url.scheme_str() == Some("https");
        let port = self.url.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let request = self.request(method, body).await?;
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let stream =
            TcpStream::connect((bare.as_str(), port)).await.map_err(|error| format!("cannot connect to {host}:{port}: {error}"))?;
        if !secure {
            return converse(stream, request).await;
        }
        let name = self.tls.server_name.clone().unwrap_or(bare);
        let server = ServerName::try_from(name).map_err(|error| chain(&error))?;
        // It reads files.
        let connector = blocking(move || tls::connector(&self.tls)).await.map_err(|error| chain(&error))?;
        let connector = connector.map_err(|error| chain(&error))?;
        let stream = connector.connect(server, stream).await.map_err(|error| format!("TLS with {host}:{port}: {error}"))?;
        converse(stream, request).await
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
        if let Some(credentials) = self.credentials().await? {
            let mut value = HeaderValue::try_from(credentials).map_err(|_| "the credentials cannot stand in a header".to_owned())?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        request.body(Full::new(Bytes::from(body))).map_err(|error| chain(&error))
    }

    /// The header's value.
    async fn credentials(&self) -> Result<Option<String>, String> {
        if let Some(basic) = &self.basic_auth {
            let password = secret(basic.password.as_ref(), basic.password_file.as_deref()).await?;
            return Ok(Some(format!("Basic {}", BASE64_STANDARD.encode(format!("{}:{password}", basic.username)))));
        }
        if let Some(token) = &self.authorization {
            let credentials = secret(token.credentials.as_ref(), token.credentials_file.as_deref()).await?;
            return Ok(Some(format!("{} {credentials}", token.scheme)));
        }
        Ok(None)
    }
}

/// A secret, or what its file holds now.
async fn secret(given: Option<&Secret>, file: Option<&Path>) -> Result<String, String> {
    let Some(file) = file else { return Ok(given.map(|secret| secret.reveal().to_owned()).unwrap_or_default()) };
    let path = file.to_owned();
    let read = blocking(move || std::fs::read_to_string(path)).await.map_err(|error| chain(&error))?;
    // A file ends in a line end as a rule, a secret does not.
    read.map(|text| text.trim_end().to_owned()).map_err(|error| format!("cannot read {}: {error}", file.display()))
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(stream: S, request: Request<Full<Bytes>>) -> Result<Verdict, String> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| chain(&error))?;
    let exchange = async move {
        let answer = sender.send_request(request).await.map_err(|error| format!("no answer: {}", chain(&error)))?;
        let status = answer.status().as_u16();
        let retry_after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        // The status says what became of it, whatever becomes of the body.
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let shown: String = String::from_utf8_lossy(&body).chars().take(SHOWN_CHARS_MAX).collect();
        Ok(Verdict::of_status(status, &shown, retry_after.map(Duration::from_secs)))
    };
    // The connection ends once the exchange has let go of it; how is of no interest then.
    let (verdict, _ended) = tokio::join!(exchange, connection);
    verdict
}

#[cfg(test)]
mod tests;
