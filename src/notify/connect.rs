//! A connection to where a URL points, encrypted where it says so, and who this agent says that it is.

use std::io;
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hyper::Uri;
use hyper::header::HeaderValue;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::rustls::pki_types::ServerName;

use super::config::{Authorization, BasicAuth, Tls};
use super::secret::Secret;
use super::tls;
use crate::runtime::in_turn;
use crate::telemetry::chain;

/// So long one of several addresses has to answer.
const ATTEMPT: Duration = Duration::from_secs(3);

/// Bytes to and from a server.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Connects.
pub(super) async fn connect(url: &Uri, tls: &Tls) -> Result<Box<dyn Stream>, String> {
    let host = url.host().unwrap_or_default();
    let secure = url.scheme_str() == Some("https");
    let port = url.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let stream = any(bare, port).await.map_err(|error| format!("cannot connect to {host}:{port}: {error}"))?;
    if !secure {
        return Ok(Box::new(stream));
    }
    let name = tls.server_name.clone().unwrap_or_else(|| bare.to_owned());
    let server = ServerName::try_from(name).map_err(|error| chain(&error))?;
    let tls = tls.clone();
    let files = format!("{:?}", [&tls.ca_file, &tls.cert_file, &tls.key_file]);
    let connector = in_turn(&files, move || tls::connector(&tls)).await.map_err(|error| chain(&error))?;
    let connector = connector.map_err(|error| chain(&error))?;
    let stream = connector.connect(server, stream).await.map_err(|error| format!("TLS with {host}:{port}: {error}"))?;
    Ok(Box::new(stream))
}

/// Connects to the first of a host's addresses that answers. One that swallows packets does not use up the time of the others.
async fn any(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut addresses = lookup_host((host, port)).await?.peekable();
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "it has no address");
    while let Some(address) = addresses.next() {
        let connected = TcpStream::connect(address);
        let outcome = match addresses.peek() {
            Some(_) => timeout(ATTEMPT, connected).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
            None => connected.await,
        };
        match outcome {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// The value of the header `authorization`, if there is to be one.
pub(super) async fn credentials(basic: Option<&BasicAuth>, token: Option<&Authorization>) -> Result<Option<HeaderValue>, String> {
    let text = if let Some(basic) = basic {
        let password = secret(basic.password.as_ref(), basic.password_file.as_deref()).await?;
        format!("Basic {}", BASE64_STANDARD.encode(format!("{}:{password}", basic.username)))
    } else if let Some(token) = token {
        let credentials = secret(token.credentials.as_ref(), token.credentials_file.as_deref()).await?;
        format!("{} {credentials}", token.scheme)
    } else {
        return Ok(None);
    };
    let mut value = HeaderValue::try_from(text).map_err(|_| "the credentials cannot stand in a header".to_owned())?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// A secret, or what its file holds now.
async fn secret(given: Option<&Secret>, file: Option<&Path>) -> Result<String, String> {
    let Some(file) = file else { return Ok(given.map(|secret| secret.reveal().to_owned()).unwrap_or_default()) };
    let path = file.to_owned();
    let read = in_turn(&file.to_string_lossy(), move || std::fs::read_to_string(path)).await.map_err(|error| chain(&error))?;
    // A file ends in a line end as a rule, a secret does not.
    read.map(|text| text.trim_end().to_owned()).map_err(|error| format!("cannot read {}: {error}", file.display()))
}
