//! Asks the running agent over HTTP, on TCP or a Unix socket.

use std::time::Duration;

use anyhow::{Context, bail};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::config::Source;

/// How long the agent may take to answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Where the agent is.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Target {
    /// The agent's address: http://HOST:PORT or unix:/PATH [default: the first one in the configuration]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

/// What the agent answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

impl Target {
    /// Sends a GET and waits for the answer.
    pub(super) fn get(&self, source: &Source, path: &str) -> anyhow::Result<Answer> {
        let url = match &self.url {
            Some(url) => url.clone(),
            None => match super::configuration(source).http.listen.first() {
                Some(address) => address.to_string(),
                None => bail!("the configuration has no http.listen address to ask; say where the agent is with --url"),
            },
        };
        let asked = async {
            tokio::time::timeout(TIMEOUT, ask(&url, path)).await.unwrap_or_else(|_| bail!("no answer within {} s", TIMEOUT.as_secs()))
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(asked).with_context(|| format!("cannot ask the agent at {url} (is it running?)"))
    }
}

async fn ask(url: &str, path: &str) -> anyhow::Result<Answer> {
    if let Some(socket) = url.strip_prefix("unix:") {
        return exchange(UnixStream::connect(socket).await?, "localhost", path).await;
    }
    let host = url.strip_prefix("http://").unwrap_or(url);
    if host.contains("://") {
        bail!("only http:// and unix: are understood");
    }
    let host = host.trim_end_matches('/');
    exchange(TcpStream::connect(host).await?, host, path).await
}

async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(stream: S, host: &str, path: &str) -> anyhow::Result<Answer> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get(path).header("host", host).body(Empty::<Bytes>::new())?;
    let answer = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        Ok(Answer { status, body: response.into_body().collect().await?.to_bytes() })
    };
    // The connection moves the bytes while the answer is awaited; it ends first only when it fails.
    tokio::select! {
        biased;
        answer = answer => answer,
        Err(error) = connection => Err(error.into()),
    }
}

/// A value for a query string.
pub(super) fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    #[test]
    fn everything_but_unreserved_characters_is_encoded() {
        assert_eq!(super::percent_encode("a{b=\"é\"}+1"), "a%7Bb%3D%22%C3%A9%22%7D%2B1");
    }
}
