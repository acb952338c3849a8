//! `sidewatch send`: an event from the shell.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use serde_json::{Map, Value, json};

use crate::config::Source;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sidewatch send count orders 3 --tag shop=a
  sidewatch send gauge queue_depth 17 --service worker
  sidewatch send histogram payload 2048 --unit bytes
  sidewatch send request --method GET --route '/items/{id}' --status 200 --duration-ms 12.5
  sidewatch send raw 'page.views:1|c|#host:a'
  sidewatch send raw < events.ndjson

Exit codes: 0 the agent has read it, 1 it could not be sent. Whether the agent could use it is
shown by the metric sidewatch_ingest_refused_total and in the agent's log.")]
pub(super) struct Arguments {
    #[command(subcommand)]
    event: Event,
    /// The agent's stream socket [default: the configuration's, else the service's]
    #[arg(long, value_name = "PATH", global = true)]
    socket: Option<PathBuf>,
    /// The service that the event belongs to
    #[arg(long, value_name = "NAME", global = true)]
    service: Option<String>,
    /// A label; may be repeated
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = tag, global = true)]
    tags: Vec<(String, String)>,
}

#[derive(Debug, clap::Subcommand)]
enum Event {
    /// Add to a counter
    Count {
        /// The metric's name
        name: String,
        /// The increment
        #[arg(default_value_t = 1.0, value_parser = finite)]
        value: f64,
    },
    /// Set a gauge
    Gauge {
        /// The metric's name
        name: String,
        /// The value
        #[arg(allow_negative_numbers = true, value_parser = finite)]
        value: f64,
        /// Add the value instead
        #[arg(long)]
        add: bool,
        /// The unit, such as ms or bytes
        #[arg(long)]
        unit: Option<String>,
    },
    /// Observe a value of a distribution
    Histogram {
        /// The metric's name
        name: String,
        /// The value
        #[arg(allow_negative_numbers = true, value_parser = finite)]
        value: f64,
        /// The unit, such as ms or bytes
        #[arg(long)]
        unit: Option<String>,
    },
    /// Report a request that has ended
    Request {
        /// GET, POST, …
        #[arg(long, default_value = "GET")]
        method: String,
        /// The route's template, such as /items/{id}
        #[arg(long)]
        route: String,
        /// The response's status code
        #[arg(long, default_value_t = 200)]
        status: u16,
        /// How long it took, in milliseconds
        #[arg(long, value_name = "MS", value_parser = finite)]
        duration_ms: f64,
        /// The class of the failure
        #[arg(long)]
        error: Option<String>,
    },
    /// Send lines as they are (JSON events or DogStatsD), from the arguments or standard input
    Raw {
        /// The lines
        lines: Vec<String>,
    },
}

pub(super) fn run(source: &Source, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let lines = lines(arguments)?;
    let path = socket(source, arguments);
    deliver(&path, lines.as_bytes()).map_err(|error| anyhow!("cannot send to {}: {error}\n  {}", path.display(), advice(&error)))?;
    Ok(ExitCode::SUCCESS)
}

fn advice(error: &std::io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::PermissionDenied => "the socket's group may write to it: ask for membership, or try as another user",
        ErrorKind::InvalidData => {
            "what listens there answers, which the agent's socket for events does not: it is another one (events.sock)"
        }
        ErrorKind::TimedOut | ErrorKind::WouldBlock => "the agent does not read: its log and /readyz?verbose tell why",
        _ => "start an agent with `sidewatch run`, or say where its socket is with --socket",
    }
}

fn deliver(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_write_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(bytes)?;
    stream.shutdown(std::net::Shutdown::Write)?;
    // The agent never answers; it closes its side when it has read everything.
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    match stream.read(&mut [0; 1])? {
        0 => Ok(()),
        _ => Err(ErrorKind::InvalidData.into()),
    }
}

fn socket(source: &Source, arguments: &Arguments) -> PathBuf {
    let own = || super::configuration(source).ingest.stream.path.unwrap_or_else(|| source.places.sockets.join("events.sock"));
    arguments.socket.clone().unwrap_or_else(|| super::or_the_services(own(), "events.sock"))
}

fn lines(arguments: &Arguments) -> anyhow::Result<String> {
    let Event::Raw { lines } = &arguments.event else { return Ok(format!("{}\n", event(arguments))) };
    if arguments.service.is_some() || !arguments.tags.is_empty() {
        bail!("--service and --tag have no effect on lines that are sent as they are");
    }
    let mut text = lines.join("\n");
    if lines.is_empty() {
        std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

fn event(arguments: &Arguments) -> Value {
    let fields = match &arguments.event {
        Event::Count { name, value } => json!({"kind": "count", "name": name, "value": value}),
        Event::Gauge { name, value, add, unit } => {
            json!({"kind": "gauge", "name": name, "value": value, "op": if *add { "add" } else { "set" }, "unit": unit})
        }
        Event::Histogram { name, value, unit } => json!({"kind": "histogram", "name": name, "value": value, "unit": unit}),
        Event::Request { method, route, status, duration_ms, error } => {
            json!({"kind": "request", "method": method, "route": route, "status": status, "duration_ms": duration_ms, "error": error})
        }
        Event::Raw { .. } => Value::Null,
    };
    let mut fields: Map<String, Value> = fields.as_object().cloned().unwrap_or_default();
    fields.retain(|_, value| !value.is_null());
    if let Some(service) = &arguments.service {
        fields.insert("service".into(), json!(service));
    }
    if !arguments.tags.is_empty() {
        fields.insert("tags".into(), arguments.tags.iter().map(|(key, value)| (key.clone(), json!(value))).collect());
    }
    Value::Object(fields)
}

/// JSON has no other numbers: one would be sent as nothing, which is 1 to a counter.
fn finite(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|error: std::num::ParseFloatError| error.to_string())?;
    if number.is_finite() { Ok(number) } else { Err("a finite number is wanted".to_owned()) }
}

fn tag(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write it as KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn sent(words: &[&str]) -> String {
        let cli = Cli::try_parse_from(std::iter::once(&"send").chain(words)).expect("valid");
        lines(&cli.arguments).expect("lines")
    }

    #[test]
    fn an_event_is_one_json_line() {
        assert_eq!(
            sent(&["count", "orders", "3", "--tag", "shop=a"]),
            "{\"kind\":\"count\",\"name\":\"orders\",\"value\":3.0,\"tags\":{\"shop\":\"a\"}}\n"
        );
        assert_eq!(
            sent(&["gauge", "t", "-5", "--service", "x"]),
            "{\"kind\":\"gauge\",\"name\":\"t\",\"value\":-5.0,\"op\":\"set\",\"service\":\"x\"}\n"
        );
    }

    #[test]
    fn a_number_that_json_does_not_have_is_refused() {
        for words in [
            &["count", "x", "NaN"] as &[&str],
            &["gauge", "x", "inf"],
            &["histogram", "x", "1e999"],
            &["request", "--route", "/", "--duration-ms", "nan"],
        ] {
            let error = Cli::try_parse_from(std::iter::once(&"send").chain(words)).map(|_| ()).expect_err("refused");
            assert!(error.to_string().contains("a finite number is wanted"), "{error}");
        }
    }

    #[test]
    fn a_socket_that_answers_is_not_the_agents_for_events() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("control.sock");
        let listener = std::os::unix::net::UnixListener::bind(&path).expect("bound");
        crate::runtime::thread("answers", move || {
            let mut stream = listener.accept().expect("somebody").0;
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").expect("written");
            std::io::copy(&mut stream, &mut std::io::sink()).expect("read");
        })
        .expect("started");
        let error = deliver(&path, b"x\n").expect_err("refused");
        assert!(advice(&error).contains("another one"), "{error}");
    }

    #[test]
    fn raw_lines_go_as_they_are() {
        assert_eq!(sent(&["raw", "a:1|c", "b:2|g"]), "a:1|c\nb:2|g\n");
    }

    #[test]
    fn an_agent_that_is_not_there_is_an_error() {
        let error = deliver(Path::new("/nonexistent/events.sock"), b"x").expect_err("refused");
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    }
}
