//! From a request on the control socket to its answer.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use super::{peer, silences};
use crate::clock;
use crate::http::Config;
use crate::http::instruments::Metrics;
use crate::http::params::{Params, decode};
use crate::http::pieces::Answered;
use crate::http::reply::{Content, Reply};
use crate::http::serve::{Client, whole};
use crate::http::task::Answering;
use crate::model::{PromDuration, RulesSnapshot};
use crate::notify;
use crate::notify::Silences;
use crate::runtime::{Board, Shutdown, blocking};
use crate::telemetry::{Telemetry, Throttle};

/// Who asks for a reload is told what became of it: remarks, or why the configuration or the rules stay as they are.
pub type ReloadRequest = oneshot::Sender<Result<Vec<String>, String>>;

/// What is known of alerts.
#[derive(Clone, Debug)]
pub struct Alerts {
    /// The rules, and what fires.
    pub rules: watch::Receiver<Arc<RulesSnapshot>>,
    /// What labels all alerts are told with.
    pub notify: watch::Receiver<Arc<notify::Config>>,
}

/// Answers requests on the control socket; shared by all connections.
#[derive(Debug)]
pub struct Control {
    limits: Config,
    metrics: Metrics,
    reloads: mpsc::Sender<ReloadRequest>,
    silences: Silences,
    alerts: Alerts,
    warnings: Mutex<Throttle>,
    /// Where its condition is posted.
    pub(super) board: Board,
    /// Where the socket is.
    pub(super) path: PathBuf,
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    Reload,
    List,
    Set,
    Show(String),
    Expire(String),
}

impl Control {
    /// A control socket's answers; reloads are asked for by `reloads`.
    #[must_use]
    pub fn new(
        path: PathBuf,
        reloads: mpsc::Sender<ReloadRequest>,
        silences: Silences,
        alerts: Alerts,
        telemetry: &Telemetry,
        board: Board,
    ) -> Arc<Self> {
        let limits = Config {
            connections_max: 16,
            header_bytes_max: 8 << 10,
            body_bytes_max: 64 << 10,
            header_timeout: PromDuration::from_secs(10),
            // A reload reads all files again.
            request_timeout: PromDuration::from_secs(60),
            ..Config::default()
        };
        let metrics = Metrics::new(telemetry);
        let warnings = Mutex::new(Throttle::new(1, Duration::from_secs(60)));
        Arc::new(Self { limits, metrics, reloads, silences, alerts, warnings, board, path })
    }

    async fn reply(&self, request: Request<Incoming>, client: &Client) -> (&'static str, Reply) {
        let (head, body) = request.into_parts();
        let (handler, asked) = match find(&head.method, head.uri.path()) {
            Ok(found) => found,
            Err(reply) => return ("none", reply),
        };
        let (peer, path) = (client.origin.peer, self.path.clone());
        if !blocking(move || peer::admits(peer, &path)).await.unwrap_or(false) {
            return (handler, self.refuse(client));
        }
        let limit = self.limits.request_timeout.get();
        let work = async {
            if asked == Asked::Reload {
                return self.reload().await;
            }
            let body = match whole(body, self.limits.body_bytes_max, "the most on the control socket", &self.metrics).await {
                Ok(body) => body,
                Err(reply) => return reply,
            };
            let (silences, alerts, params) =
                (self.silences.clone(), self.alerts.clone(), Params::parse(head.uri.query().unwrap_or(""), b""));
            // It waits for the disk.
            let answered = blocking(move || match asked {
                Asked::Set => silences::set(&silences, &alerts, &body),
                Asked::Show(id) => silences::show(&silences, &id),
                Asked::Expire(id) => silences::expire(&silences, &id),
                Asked::List | Asked::Reload => silences::list(&silences, &params),
            });
            answered.await.unwrap_or_else(|panicked| Reply::text(StatusCode::INTERNAL_SERVER_ERROR, &panicked.to_string()))
        };
        let reply = timeout(limit, work).await.unwrap_or_else(|_elapsed| {
            self.metrics.refuse("timeout");
            Reply::text(StatusCode::SERVICE_UNAVAILABLE, &format!("no answer within {limit:?}"))
        });
        (handler, reply)
    }

    fn refuse(&self, client: &Client) -> Reply {
        self.metrics.refuse("peer");
        let uid = client.origin.peer.map(|peer| peer.uid());
        if let Some(suppressed) = self.warn() {
            tracing::warn!(
                uid,
                suppressed,
                "a request on the control socket was refused: neither root, nor the agent's user, nor in its group"
            );
        }
        let text = "only root, the agent's own user and members of the socket's group may change the agent";
        Reply::text(StatusCode::FORBIDDEN, text)
    }

    fn warn(&self) -> Option<u64> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).pass(clock::monotonic())
    }

    async fn reload(&self) -> Reply {
        let (sender, outcome) = oneshot::channel();
        if self.reloads.try_send(sender).is_err() {
            return Reply::text(StatusCode::SERVICE_UNAVAILABLE, "the agent stops, or other reloads wait already");
        }
        match outcome.await {
            Ok(Ok(remarks)) => Reply::new(StatusCode::OK, crate::http::reply::TEXT, lines(&remarks)),
            Ok(Err(why)) => Reply::text(StatusCode::INTERNAL_SERVER_ERROR, &why),
            Err(_gone) => Reply::text(StatusCode::SERVICE_UNAVAILABLE, "the agent stops"),
        }
    }
}

fn lines(remarks: &[String]) -> String {
    remarks.iter().flat_map(|remark| [remark.as_str(), "\n"]).collect()
}

/// The endpoint as a label, and what is asked.
fn find(method: &Method, path: &str) -> Result<(&'static str, Asked), Reply> {
    let id = path.strip_prefix("/api/v2/silence/").filter(|id| !id.is_empty() && !id.contains('/'));
    let (handler, allow, asked) = match (path, id, method) {
        ("/-/reload", _, method) => ("/-/reload", "POST, PUT", matches!(*method, Method::POST | Method::PUT).then_some(Asked::Reload)),
        ("/api/v2/silences", _, method) => {
            let asked = if *method == Method::GET { Some(Asked::List) } else { (*method == Method::POST).then_some(Asked::Set) };
            ("/api/v2/silences", "GET, POST", asked)
        }
        (_, Some(id), method) => {
            let id = decode(id.as_bytes(), false);
            let asked =
                if *method == Method::GET { Some(Asked::Show(id)) } else { (*method == Method::DELETE).then_some(Asked::Expire(id)) };
            ("/api/v2/silence/{id}", "GET, DELETE", asked)
        }
        _ => return Err(Reply::text(StatusCode::NOT_FOUND, &format!("nothing is at {path:?}; this is the control socket"))),
    };
    asked.map(|asked| (handler, asked)).ok_or_else(|| {
        let mut reply = Reply::text(StatusCode::METHOD_NOT_ALLOWED, &format!("{handler} answers {allow}"));
        reply.allow = Some(allow);
        reply
    })
}

impl Answering for Control {
    fn config(&self) -> &Config {
        &self.limits
    }

    fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn cannot_accept(&self, error: &std::io::Error) {
        self.metrics.refuse("accept");
        if let Some(suppressed) = self.warn() {
            tracing::warn!(%error, suppressed, "cannot accept a connection on the control socket");
        }
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>, client: Client, _shutdown: Shutdown) -> Response<Content> {
        let started = clock::monotonic();
        let (handler, reply) = self.reply(request, &client).await;
        let taken = clock::monotonic().duration_since(started);
        let answered = Answered { metrics: self.metrics.clone(), handler, status: reply.status, taken };
        reply.into_response(answered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_methods_mean_what_they_mean_to_alertmanager() {
        let asked = |method: Method, path: &str| find(&method, path).map(|(_, asked)| asked).map_err(|reply| reply.status.as_u16());
        assert_eq!(asked(Method::GET, "/api/v2/silences"), Ok(Asked::List));
        assert_eq!(asked(Method::POST, "/api/v2/silences"), Ok(Asked::Set));
        assert_eq!(asked(Method::GET, "/api/v2/silence/a%20b"), Ok(Asked::Show("a b".into())));
        assert_eq!(asked(Method::DELETE, "/api/v2/silence/x"), Ok(Asked::Expire("x".into())));
        assert_eq!(asked(Method::POST, "/-/reload"), Ok(Asked::Reload));
        for (method, path, status) in [
            (Method::GET, "/-/reload", 405),
            (Method::DELETE, "/api/v2/silences", 405),
            (Method::POST, "/api/v2/silence/x", 405),
            (Method::GET, "/api/v2/silence/", 404),
            (Method::GET, "/api/v2/silence/x/y", 404),
            (Method::GET, "/metrics", 404),
        ] {
            assert_eq!(asked(method, path), Err(status), "{path}");
        }
    }
}
