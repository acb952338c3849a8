//! A receiver of notifications: it answers as it is told to, and remembers what it got.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use jiff::Timestamp;
use serde_json::Value;

/// How a request is answered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reply {
    /// With this status, and nothing else.
    Status(u16),
    /// With 429 and a wish to be left alone for a second.
    Later,
    /// Not at all, although it was taken.
    Nothing,
}

/// An alert as it was told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Told {
    /// All of it.
    pub(crate) alert: Value,
    /// The label `queue`, by which the tests know their alerts.
    pub(crate) queue: String,
    /// Whether it fires, by what is said of its end.
    pub(crate) firing: bool,
    /// Since when.
    pub(crate) starts: Timestamp,
    /// Until when.
    pub(crate) ends: Timestamp,
    /// How the request was answered.
    pub(crate) taken: bool,
    /// When it came.
    pub(crate) came: Timestamp,
}

/// A server on a port of its own, until the test ends.
pub(crate) struct Receiver {
    /// Where it is.
    pub(crate) address: SocketAddr,
    got: Arc<Mutex<Vec<Told>>>,
    heads: Arc<Mutex<Vec<String>>>,
    replies: Arc<Mutex<VecDeque<Reply>>>,
}

impl Receiver {
    /// Answers 200, unless told otherwise.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let receiver = Self { address, got: Arc::default(), heads: Arc::default(), replies: Arc::default() };
        let (got, heads, replies) = (Arc::clone(&receiver.got), Arc::clone(&receiver.heads), Arc::clone(&receiver.replies));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (got, heads, replies) = (Arc::clone(&got), Arc::clone(&heads), Arc::clone(&replies));
                thread::spawn(move || serve(stream, &got, &heads, &replies));
            }
        });
        receiver
    }

    /// The next requests are answered so.
    pub(crate) fn will(&self, replies: &[Reply]) {
        self.replies.lock().unwrap().extend(replies);
    }

    /// Whether it has answered in all the ways that it was told to.
    pub(crate) fn is_done(&self) -> bool {
        self.replies.lock().unwrap().is_empty()
    }

    /// What came of an alert of the tests, in order.
    pub(crate) fn told(&self, queue: &str) -> Vec<Told> {
        self.got.lock().unwrap().iter().filter(|told| told.queue == queue).cloned().collect()
    }

    /// The requests' heads, in order.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

fn serve(stream: TcpStream, got: &Mutex<Vec<Told>>, heads: &Mutex<Vec<String>>, replies: &Mutex<VecDeque<Reply>>) {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        head += &line;
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let reply = replies.lock().unwrap().pop_front().unwrap_or(Reply::Status(200));
    let came = Timestamp::now();
    let alerts = body.as_array().or_else(|| body["alerts"].as_array()).unwrap();
    got.lock().unwrap().extend(alerts.iter().map(|alert| told(alert, matches!(reply, Reply::Status(200)), came)));
    heads.lock().unwrap().push(head);
    let answer = match reply {
        Reply::Status(status) => format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
        Reply::Later => "HTTP/1.1 429 x\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned(),
        Reply::Nothing => return,
    };
    let _gone = reader.get_mut().write_all(answer.as_bytes());
}

fn told(alert: &Value, taken: bool, came: Timestamp) -> Told {
    let time = |key: &str| alert[key].as_str().unwrap().parse::<Timestamp>().unwrap();
    let (starts, ends) = (time("startsAt"), time("endsAt"));
    // Alertmanager's webhook says so; what is posted to an Alertmanager says it by its end.
    let firing = alert["status"].as_str().map_or(ends > came, |status| status == "firing");
    let queue = alert["labels"]["queue"].as_str().unwrap_or_default().to_owned();
    Told { alert: alert.clone(), queue, firing, starts, ends, taken, came }
}
