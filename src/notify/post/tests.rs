//! Over real sockets, with and without TLS. The certificates in `tests/fixtures/tls` descend from a test authority, and are
//! for `localhost` and 127.0.0.1.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::*;

pub(in crate::notify) fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls").join(name)
}

fn endpoint(url: &str, tls: Tls) -> Endpoint {
    let url = url.parse().expect("a URL");
    Endpoint { url, secret: false, timeout: Duration::from_secs(10), basic_auth: None, authorization: None, tls }
}

#[test]
fn a_receiver_says_how_long_to_wait_in_seconds_or_as_a_date() {
    // Wed, 21 Oct 2015 07:27:50 GMT.
    let now = Timestamp::from_millis(1_445_412_470_000);
    let waits = ["7", "Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:00:00 GMT", "soon", "-1"].map(|text| wait(text, now));
    assert_eq!(waits, [Some(Duration::from_secs(7)), Some(Duration::from_secs(10)), Some(Duration::ZERO), None, None]);
}

/// Reads a request to its end, marked by an `!`, and answers; what it has read.
async fn answer<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, answer: &str) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"!") {
        request.push(stream.read_u8().await.expect("the rest of the request"));
    }
    stream.write_all(answer.as_bytes()).await.expect("answered");
    stream.shutdown().await.expect("closed");
    String::from_utf8(request).expect("text")
}

/// The head of a request without a body.
pub(in crate::notify) async fn read_head<S: AsyncRead + Unpin>(stream: &mut S) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("the rest of the request"));
    }
    String::from_utf8(head).expect("text")
}

/// A server that asks for a client's certificate.
pub(in crate::notify) fn acceptor() -> TlsAcceptor {
    let certificates = |name| CertificateDer::pem_file_iter(fixture(name)).expect("there").map(|one| one.expect("a certificate"));
    let mut roots = RootCertStore::empty();
    certificates("ca.pem").for_each(|one| roots.add(one).expect("added"));
    let provider = Arc::new(ring::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().expect("a verifier");
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let key = PrivateKeyDer::from_pem_file(fixture("server.key")).expect("a key");
    let config = config.with_client_cert_verifier(clients).with_single_cert(certificates("server.pem").collect(), key);
    TlsAcceptor::from(Arc::new(config.expect("a server")))
}

#[tokio::test]
async fn a_message_is_posted_with_its_credentials_and_the_answer_decides() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let url = format!("http://{}/a?b=c", listener.local_addr().expect("an address"));
    let server = async {
        let (stream, _) = listener.accept().await.expect("a client");
        answer(stream, "HTTP/1.1 503 x\r\nRetry-After: 7\r\nContent-Length: 5\r\n\r\nlater").await
    };
    let authorization: Authorization = serde_yaml::from_str("{type: Token, credentials: t0p}").expect("readable");
    let endpoint = Endpoint { authorization: Some(authorization), ..endpoint(&url, Tls::default()) };
    let (request, verdict) = tokio::join!(server, endpoint.post(b"[]!".to_vec()));
    let expected = Verdict::Failed { error: "it answers 503: later".into(), retry_after: Some(Duration::from_secs(7)) };
    assert_eq!(verdict, expected);
    for line in ["POST /a?b=c HTTP/1.1\r\n", "content-type: application/json\r\n", "authorization: Token t0p\r\n", "content-length: 3\r\n"]
    {
        assert!(request.contains(line), "{line:?} in {request:?}");
    }
}

#[tokio::test]
async fn a_path_that_is_a_secret_is_not_repeated_where_the_answer_does() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let url = format!("http://{}/ping/5b1f0e63", listener.local_addr().expect("an address"));
    let server = async {
        let (stream, _) = listener.accept().await.expect("a client");
        answer(stream, "HTTP/1.1 400 x\r\nContent-Length: 17\r\n\r\nno /ping/5b1f0e63").await
    };
    let endpoint = Endpoint { secret: true, ..endpoint(&url, Tls::default()) };
    let (request, verdict) = tokio::join!(server, endpoint.post(b"!".to_vec()));
    assert!(request.starts_with("POST /ping/5b1f0e63 "), "{request}");
    assert_eq!(verdict, Verdict::Refused("it answers 400: no /ping/<secret>".into()));
}

#[tokio::test]
async fn a_silent_receiver_is_given_up_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let endpoint = Endpoint { timeout: Duration::from_millis(50), ..endpoint(&url, Tls::default()) };
    assert_eq!(endpoint.post(Vec::new()).await, Verdict::failed("no answer within 0.05 s"));
}

#[tokio::test]
async fn the_status_counts_also_where_the_rest_of_the_answer_does_not_come() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    for (status, expected) in [(200, Verdict::Delivered), (413, Verdict::TooLarge("it answers 413".into()))] {
        // More than the buffers between both hold, so that it cannot be written as a whole.
        let body = vec![b' '; 16 << 20];
        let server = async {
            let (mut stream, _) = listener.accept().await.expect("a client");
            read_head(&mut stream).await;
            let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: 5\r\n\r\nla");
            stream.write_all(answer.as_bytes()).await.expect("answered");
            stream
        };
        let (_open, verdict) = tokio::join!(server, endpoint(&url, Tls::default()).post(body));
        assert_eq!(verdict, expected);
    }
}

#[tokio::test]
async fn over_tls_both_sides_prove_who_they_are() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let port = listener.local_addr().expect("an address").port();
    let ours = Tls {
        ca_file: Some(fixture("ca.pem")),
        cert_file: Some(fixture("client.pem")),
        key_file: Some(fixture("client.key")),
        server_name: None,
    };
    for host in ["127.0.0.1", "localhost"] {
        let server = async {
            let (stream, _) = listener.accept().await.expect("a client");
            answer(acceptor().accept(stream).await.expect("a client with a certificate"), "HTTP/1.1 200 x\r\nContent-Length: 0\r\n\r\n")
                .await
        };
        let posted = endpoint(&format!("https://{host}:{port}/"), ours.clone()).post(b"!".to_vec());
        assert_eq!(tokio::join!(server, posted).1, Verdict::Delivered, "{host}");
    }
    let refused = [
        (Tls { server_name: Some("other.example".into()), ..ours.clone() }, "certificate not valid for name \"other.example\""),
        (Tls { ca_file: Some(fixture("client.pem")), ..ours.clone() }, "invalid peer certificate: UnknownIssuer"),
        (Tls { ca_file: Some(fixture("absent.pem")), ..ours }, "absent.pem"),
    ];
    for (tls, why) in refused {
        let posted = endpoint(&format!("https://localhost:{port}/"), tls).post(b"!".to_vec());
        let server = async {
            let (stream, _) = listener.accept().await.expect("a client");
            let _refused = acceptor().accept(stream).await.is_ok();
        };
        let Verdict::Failed { error, .. } = tokio::join!(posted, server).0 else { panic!("{why}") };
        assert!(error.contains(why), "{error}");
    }
}
