//! Asks a server that wants TLS, a password or a token, as a file says that has the form of those for promtool's `--http.config.file`.
//! Source: Prometheus documentation "HTTP configuration for promtool".

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONNECTION, HOST, USER_AGENT};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;

use super::config::{Authorization, BasicAuth, Tls, http_faults};
use super::connect::{Stream, connect, credentials};
use crate::telemetry::chain;

/// How a server is to be reached.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Client {
    /// User and password.
    basic_auth: Option<BasicAuth>,
    /// A token.
    authorization: Option<Authorization>,
    /// For `https`.
    tls_config: Tls,
}

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// All of the body.
    pub body: Bytes,
}

impl Client {
    /// The same with files that are relative to this folder.
    #[must_use]
    pub fn relative_to(mut self, folder: &Path) -> Self {
        let tls = &mut self.tls_config;
        let files = [
            self.basic_auth.as_mut().map(|basic| &mut basic.password_file),
            self.authorization.as_mut().map(|token| &mut token.credentials_file),
            Some(&mut tls.ca_file),
            Some(&mut tls.cert_file),
            Some(&mut tls.key_file),
        ];
        for file in files.into_iter().flatten().flatten() {
            let whole: PathBuf = folder.join(&*file);
            *file = whole;
        }
        self
    }

    /// What is wrong with it, and with the URL.
    #[must_use]
    pub fn faults(&self, url: &str) -> Vec<String> {
        let faults = http_faults("", url, self.basic_auth.as_ref(), self.authorization.as_ref(), &self.tls_config);
        faults.into_iter().map(|(path, fault)| format!("{}: {fault}", path.trim_start_matches('.'))).collect()
    }

    /// Asks for what is at a URL; `timeout` is for all of it.
    ///
    /// # Errors
    /// When there is no answer, with the reason as a sentence.
    pub async fn get(&self, url: &Uri, timeout: Duration) -> Result<Reply, String> {
        let asked = async { ask(connect(url, &self.tls_config).await?, self.request(url).await?).await };
        tokio::time::timeout(timeout, asked).await.unwrap_or_else(|_| Err(format!("no answer within {} s", timeout.as_secs_f64())))
    }

    async fn request(&self, url: &Uri) -> Result<Request<Empty<Bytes>>, String> {
        let mut request = Request::get(url.path_and_query().map_or("/", |path| path.as_str()))
            .header(HOST, url.authority().map_or("", |authority| authority.as_str()))
            .header(USER_AGENT, concat!("sidewatch/", env!("CARGO_PKG_VERSION")))
            .header(CONNECTION, "close");
        if let Some(value) = credentials(self.basic_auth.as_ref(), self.authorization.as_ref()).await? {
            request = request.header(AUTHORIZATION, value);
        }
        request.body(Empty::new()).map_err(|error| chain(&error))
    }
}

async fn ask(stream: Box<dyn Stream>, request: Request<Empty<Bytes>>) -> Result<Reply, String> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| chain(&error))?;
    let exchange = async move {
        let answer = sender.send_request(request).await.map_err(|error| format!("no answer: {}", chain(&error)))?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.map_err(|error| format!("half an answer: {}", chain(&error)))?;
        Ok(Reply { status, body: body.to_bytes() })
    };
    // The connection ends once the exchange has let go of it; how is of no interest then.
    let (reply, _ended) = tokio::join!(exchange, connection);
    reply
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::super::post::tests::{acceptor, fixture, read_head};
    use super::*;

    fn client(text: &str) -> Client {
        serde_yaml::from_str(text).expect("readable")
    }

    #[tokio::test]
    async fn a_server_is_asked_over_tls_with_a_certificate_and_a_token() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let url = format!("https://localhost:{}/p?q=1", listener.local_addr().expect("an address").port());
        let text = "{authorization: {credentials: t0p}, tls_config: {ca_file: ca.pem, cert_file: client.pem, key_file: client.key}}";
        let client = client(text).relative_to(&fixture(""));
        assert_eq!(client.faults(&url), Vec::<String>::new());
        let server = async {
            let (stream, _) = listener.accept().await.expect("a client");
            let mut stream = acceptor().accept(stream).await.expect("TLS");
            let head = read_head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.expect("answered");
            stream.shutdown().await.expect("closed");
            head
        };
        let url = url.parse().expect("a URL");
        let (head, reply) = tokio::join!(server, client.get(&url, Duration::from_secs(10)));
        assert!(head.starts_with("GET /p?q=1 HTTP/1.1\r\n") && head.contains("authorization: Bearer t0p\r\n"), "{head}");
        assert_eq!(reply, Ok(Reply { status: 200, body: Bytes::from_static(b"ok") }));
    }

    #[tokio::test]
    async fn a_server_that_nobody_vouches_for_is_not_asked() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let url: Uri = format!("https://127.0.0.1:{}/", listener.local_addr().expect("an address").port()).parse().expect("a URL");
        let client = client("{tls_config: {ca_file: client.pem}}").relative_to(&fixture(""));
        let server = async {
            let (stream, _) = listener.accept().await.expect("a client");
            acceptor().accept(stream).await.map(drop)
        };
        let (refused, reply) = tokio::join!(server, client.get(&url, Duration::from_secs(10)));
        assert!(refused.is_err() && reply.is_err_and(|error| error.starts_with("TLS with 127.0.0.1")));
    }

    #[test]
    fn what_cannot_work_is_said() {
        let both = client("{basic_auth: {username: a, password: b}, authorization: {credentials: c}, tls_config: {cert_file: x}}");
        assert_eq!(
            both.faults("https://a"),
            ["authorization: there is basic_auth as well; only one of them can be sent", "tls: cert_file and key_file go together"]
        );
        assert_eq!(client("{}").faults("https://").len(), 1);
        assert!(serde_yaml::from_str::<Client>("{oauth2: {}}").is_err());
    }
}
