//! Asks the running agent over HTTP, on TCP or a Unix socket.

use std::io::{Error, ErrorKind};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{anyhow, bail};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::config::Source;
use crate::http::{Address, AddressError};

/// How long the agent may take to answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Where the agent is.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Target {
    /// The agent's address: http://HOST:PORT or unix:/PATH [default: the first one in the configuration]
    #[arg(long, value_name = "URL", value_parser = address)]
    url: Option<Address>,
}

/// What the agent answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

impl Target {
    /// Whether the agent meant is the one of the configuration.
    pub(super) const fn is_configured(&self) -> bool {
        self.url.is_none()
    }

    /// Sends a GET and waits for the answer.
    pub(super) fn get(&self, source: &Source, path: &str) -> anyhow::Result<Answer> {
        let configured = || super::configuration(source).http.listen.into_iter().next();
        let Some(address) = self.url.clone().or_else(configured) else {
            bail!("http.listen in the configuration is empty, so there is no address to ask: say where the agent is with --url");
        };
        get(&address, path).map_err(|error| {
            anyhow!("no agent answers at {address}: {error:#}\n  start one with `sidewatch run`, or say where it is with --url")
        })
    }
}

/// A server's address and the path that its API stands below, from a URL.
pub(super) fn server(url: &str) -> Result<(Address, String), String> {
    let (host, path) = match url.strip_prefix("http://").unwrap_or(url) {
        socket if socket.starts_with("unix:") => (socket, ""),
        rest => rest.find('/').filter(|_| !rest.contains("://")).map_or((rest, ""), |slash| rest.split_at(slash)),
    };
    Ok((address(host)?, path.trim_end_matches('/').to_owned()))
}

/// Sends a GET and waits for the answer.
pub(super) fn get(address: &Address, path: &str) -> anyhow::Result<Answer> {
    request(address, &Method::GET, path, Bytes::new(), TIMEOUT)
}

/// Sends a request and waits for the answer.
pub(super) fn request(address: &Address, method: &Method, path: &str, body: Bytes, limit: Duration) -> anyhow::Result<Answer> {
    let asked = async {
        let answer = tokio::time::timeout(limit, ask(address, method, path, body)).await;
        answer.unwrap_or_else(|_| Err(Error::new(ErrorKind::TimedOut, format!("no answer within {} s", limit.as_secs())).into()))
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(asked)
}

/// An address as a URL, or as the configuration has it; here the path of a socket may be relative.
fn address(url: &str) -> Result<Address, String> {
    if let Some(path) = url.strip_prefix("unix:").filter(|path| !path.is_empty()) {
        return Ok(Address::Unix(PathBuf::from(path)));
    }
    let host = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/');
    if host.contains("://") {
        return Err("the agent speaks plain HTTP: write http://HOST:PORT or unix:/PATH".to_owned());
    }
    host.parse().map_err(|error: AddressError| error.to_string())
}

async fn ask(address: &Address, method: &Method, path: &str, body: Bytes) -> anyhow::Result<Answer> {
    let host = match address {
        Address::Unix(_) => "localhost".to_owned(),
        Address::Tcp { .. } => address.to_string(),
    };
    let request = Request::builder().method(method).uri(path).header("host", host).body(Full::new(body))?;
    match address {
        Address::Unix(socket) => exchange(UnixStream::connect(socket).await?, request).await,
        Address::Tcp { host, port } => exchange(TcpStream::connect((host.as_str(), *port)).await?, request).await,
    }
}

async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(stream: S, request: Request<Full<Bytes>>) -> anyhow::Result<Answer> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
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
    fn a_url_and_an_address_mean_the_same() {
        let text = |url: &str| super::address(url).map(|address| address.to_string());
        assert_eq!(text("http://web-1:10842/"), Ok("web-1:10842".to_owned()));
        assert_eq!(text("[::1]:1"), Ok("[::1]:1".to_owned()));
        assert_eq!(text("unix:a.sock"), Ok("unix:a.sock".to_owned()));
        assert!(text("https://web-1:10842").is_err_and(|error| error.contains("plain HTTP")));
        assert!(text("web-1").is_err_and(|error| error.contains("write host:port")));
    }

    #[test]
    fn a_server_may_have_its_api_below_a_path() {
        let text = |url: &str| super::server(url).map(|(address, path)| (address.to_string(), path));
        assert_eq!(text("http://p:9090/prom/"), Ok(("p:9090".to_owned(), "/prom".to_owned())));
        assert_eq!(text("p:9090"), Ok(("p:9090".to_owned(), String::new())));
        assert_eq!(text("unix:/a/b"), Ok(("unix:/a/b".to_owned(), String::new())));
        assert!(text("https://p:9090").is_err_and(|error| error.contains("plain HTTP")));
    }

    #[test]
    fn everything_but_unreserved_characters_is_encoded() {
        assert_eq!(super::percent_encode("a{b=\"é\"}+1"), "a%7Bb%3D%22%C3%A9%22%7D%2B1");
    }
}
