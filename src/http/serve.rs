//! From a request to a response: guard, route, parameters, a turn in a lane, a deadline.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::timeout;

use super::guard::{Foreign, Guard};
use super::instruments::Metrics;
use super::listen::Origin;
use super::outbox::Outbox;
use super::params::Params;
use super::pieces::Answered;
use super::reply::{Content, Reply};
use super::router::{Call, Found, Lane, Route, find, not_allowed, not_found};
use super::task::Answering;
use super::{About, Config, api};
use crate::clock;
use crate::health::Report;
use crate::history::Query;
use crate::model::RulesSnapshot;
use crate::promql::Engine;
use crate::registry::Registry;
use crate::runtime::{Board, Shutdown, blocking};
use crate::telemetry::{Telemetry, Throttle};

/// Taken apart, a parameter needs many times its two bytes of memory; no question needs so many.
const PARAMS_MAX: usize = 1000;

/// What the interface reads; cloning it is cheap.
#[derive(Clone)]
pub struct State {
    /// The live values.
    pub registry: Arc<Registry>,
    /// The agent's own metrics.
    pub telemetry: Arc<Telemetry>,
    /// The recent past.
    pub history: Arc<dyn Query>,
    /// What evaluates queries over it.
    pub engine: Arc<Engine>,
    /// Rules and alerts as of their last evaluation.
    pub rules: watch::Receiver<Arc<RulesSnapshot>>,
    /// The score as of its last evaluation.
    pub health: watch::Receiver<Arc<Report>>,
    /// The condition of every part of the agent.
    pub board: Board,
    /// What the agent says about itself.
    pub about: watch::Receiver<Arc<About>>,
}

/// Who asks.
#[derive(Clone, Debug)]
pub(super) struct Client {
    /// Where the connection comes from.
    pub(super) origin: Origin,
    /// Notified when its connection is to be broken off.
    pub(super) broken_off: Arc<Notify>,
}

/// Answers requests; shared by all connections.
pub struct Server {
    pub(super) config: Config,
    pub(super) state: State,
    pub(super) metrics: Metrics,
    guard: Guard,
    queries: Arc<Semaphore>,
    scrapes: Arc<Semaphore>,
    outbox: Outbox,
    /// A page or a scraper that is refused asks again and again; a process without file descriptors fails again and again.
    warnings: Mutex<Throttle>,
}

impl Server {
    /// A server for this state.
    #[must_use]
    pub fn new(config: &Config, state: State) -> Arc<Self> {
        Arc::new(Self {
            config: config.clone(),
            metrics: Metrics::new(&state.telemetry),
            guard: Guard::new(config),
            queries: turns(config.query_concurrency),
            scrapes: turns(config.metrics_concurrency),
            // Who waits for a place is to get it before its own time is over.
            outbox: Outbox::new(config.query_concurrency, config.request_timeout.get() / 2),
            warnings: Mutex::new(Throttle::new(1, Duration::from_secs(60))),
            state,
        })
    }

    async fn reply(&self, request: Request<Incoming>, client: &Client, shutdown: &Shutdown) -> (&'static str, Reply) {
        let (head, body) = request.into_parts();
        let found = find(&head.method, head.uri.path());
        let handler = found.handler();
        if client.origin.tcp
            && let Err(foreign) = self.guard.check(head.uri.authority(), &head.headers)
        {
            return (handler, self.refuse(handler, &foreign));
        }
        let (route, segment) = match found {
            Found::Route(route, segment) => (route, segment),
            Found::Method(route) => return (handler, not_allowed(route)),
            Found::Nothing => return (handler, not_found(head.uri.path())),
        };
        let query = head.uri.query().unwrap_or("");
        let longest = self.config.request_timeout.get();
        let work = async {
            let form = if head.method == Method::POST { self.form(&head.headers, body).await? } else { Bytes::new() };
            if Params::count(query, &form) > PARAMS_MAX {
                self.metrics.refuse("malformed");
                return Err(Reply::text(StatusCode::BAD_REQUEST, &format!("more than {PARAMS_MAX} parameters are not read")));
            }
            let params = Params::parse(query, &form);
            let accept = list(&head.headers, &ACCEPT);
            let (at, queued, stage) = (clock::now(), Duration::ZERO, shutdown.stage());
            let call = Call { params, segment, accept, at, queued, stage, given_up: Arc::default() };
            let accept_encoding = list(&head.headers, &ACCEPT_ENCODING);
            let asked = if route.lane == Lane::Metrics { scrape_timeout(&head.headers) } else { api::timeout(&call.params) };
            let limit = asked.map_or(longest, |asked| asked.min(longest));
            match timeout(limit, self.take_turn(route, call, accept_encoding, &client.broken_off)).await {
                // A timer is too coarse to notice that there was no time at all.
                Ok(reply) if !limit.is_zero() => Ok(reply),
                _ if route.lane == Lane::Query && limit < longest => {
                    self.metrics.refuse("timeout");
                    // The asker's own limit needs no explanation; the words are upstream's.
                    Err(api::Error::Timeout("query timed out in query execution".to_owned()).reply())
                }
                _ => Err(self.too_late(limit)),
            }
        };
        // The outer limit is for a body that never comes.
        let reply = timeout(longest, work).await.unwrap_or_else(|_elapsed| Err(self.too_late(longest)));
        (handler, reply.unwrap_or_else(|refusal| refusal))
    }

    fn refuse(&self, handler: &str, foreign: &Foreign) -> Reply {
        self.metrics.refuse(foreign.reason());
        if let Some(suppressed) = self.warn() {
            tracing::warn!(handler, suppressed, "a request was refused: {foreign}");
        }
        Reply::text(StatusCode::FORBIDDEN, &foreign.to_string())
    }

    /// `Some(n)` when a warning may be written, `n` having been held back.
    fn warn(&self) -> Option<u64> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).pass(clock::monotonic())
    }

    fn too_late(&self, limit: Duration) -> Reply {
        self.metrics.refuse("timeout");
        api::Error::Timeout(format!("no answer within {limit:?}; http.request_timeout is the most there is")).reply()
    }

    /// Reads a form. Another type of body has nothing to say here and counts as empty.
    async fn form(&self, headers: &HeaderMap, body: Incoming) -> Result<Bytes, Reply> {
        let is_form = header(headers, &CONTENT_TYPE)
            .is_some_and(|value| value.trim_start().to_ascii_lowercase().starts_with("application/x-www-form-urlencoded"));
        let body = whole(body, self.config.body_bytes_max, "http.body_bytes_max", &self.metrics).await?;
        Ok(if is_form { body } else { Bytes::new() })
    }

    /// Makes the answer where the route wants it made. A turn ends when the work does, not when nobody waits any more. A large answer to
    /// a query has a place among those that are sent before its turn is over, so that results in memory are counted at any time.
    pub(super) async fn take_turn(
        &self,
        route: &'static Route,
        mut call: Call,
        accept_encoding: Option<String>,
        connection: &Arc<Notify>,
    ) -> Reply {
        let turns = match route.lane {
            Lane::Probe => return (route.answer)(&call, &self.state).compress(accept_encoding.as_deref()),
            Lane::Metrics => &self.scrapes,
            Lane::Query => &self.queries,
        };
        let asked = clock::monotonic();
        // Never closed, so there is always a turn to come.
        let turn = Arc::clone(turns).acquire_owned().await;
        if route.lane == Lane::Metrics {
            return (route.answer)(&call, &self.state).compress(accept_encoding.as_deref());
        }
        call.queued = clock::monotonic().duration_since(asked);
        let state = self.state.clone();
        let _waiting = Waiting(Arc::clone(&call.given_up));
        let made = blocking(move || ((route.answer)(&call, &state).compress(accept_encoding.as_deref()), turn));
        match made.await {
            Ok((mut reply, _turn)) => {
                if reply.is_in_pieces() {
                    reply.keep(self.outbox.place(Arc::clone(connection)).await);
                }
                reply
            }
            Err(panicked) => {
                tracing::error!(handler = route.path, "an answer could not be made: {panicked}");
                api::Error::Internal("the answer could not be made; the agent's log tells why".to_owned()).reply()
            }
        }
    }
}

impl Answering for Server {
    fn config(&self) -> &Config {
        &self.config
    }

    fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn cannot_accept(&self, error: &std::io::Error) {
        self.metrics.refuse("accept");
        if let Some(suppressed) = self.warn() {
            tracing::warn!(%error, suppressed, "cannot accept a connection");
        }
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>, client: Client, shutdown: Shutdown) -> Response<Content> {
        let started = clock::monotonic();
        let (handler, reply) = self.reply(request, &client, &shutdown).await;
        let taken = clock::monotonic().duration_since(started);
        let answered = Answered { metrics: self.metrics.clone(), handler, status: reply.status, taken };
        reply.into_response(answered)
    }
}

/// Says that the answer is given up when it is dropped before there is one: by a timeout or a client that has gone.
struct Waiting(Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Reads a body to its end. `setting` is what bounds it.
pub(super) async fn whole(body: Incoming, max: usize, setting: &str, metrics: &Metrics) -> Result<Bytes, Reply> {
    match Limited::new(body, max).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            metrics.refuse("body_too_large");
            Err(Reply::text(StatusCode::PAYLOAD_TOO_LARGE, &format!("the body is larger than {max} bytes ({setting})")))
        }
        Err(error) => {
            metrics.refuse("malformed");
            Err(Reply::text(StatusCode::BAD_REQUEST, &format!("the body cannot be read: {error}")))
        }
    }
}

/// Room for so many at a time, but for one at least: with none nothing would ever be answered.
pub(super) fn turns(count: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(count.clamp(1, Semaphore::MAX_PERMITS)))
}

/// When a scraper will have given up, as it says itself. Source: prometheus/prometheus `scrape/scrape.go`.
fn scrape_timeout(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get("x-prometheus-scrape-timeout-seconds")?.to_str().ok()?.trim().parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok().filter(|asked| !asked.is_zero())
}

/// A header that is a list: several lines of it are one list. Source: RFC 9110, section 5.3.
fn list(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let lines: Vec<&str> = headers.get_all(name).iter().filter_map(|line| line.to_str().ok()).collect();
    (!lines.is_empty()).then(|| lines.join(","))
}

fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
