//! Sends the lines of a file over and over: as fast as they are taken or at a rate, over a Unix stream, Unix datagrams or UDP.
//! What it has sent, and how long its writes had to wait, is printed as one line of JSON. `benches/` uses it for what the
//! load generator beside the bare receiver cannot send:
//! `cargo run --release --example flood -- --to unix:/run/sidewatch/events.sock --lines FILE --seconds 5`.
#![allow(clippy::disallowed_methods, reason = "a program of its own, with a clock of its own")]

use std::error::Error;
use std::fs::{File, read};
use std::io::{self, Write};
use std::net::UdpSocket;
use std::ops::Range;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use clap::Parser;
use rustix::net::sockopt::set_socket_send_buffer_size;

#[derive(Parser)]
struct Arguments {
    /// Where to: unix:PATH, unixgram:PATH or udp:HOST:PORT.
    #[arg(long)]
    to: Target,
    /// The file of lines.
    #[arg(long)]
    lines: PathBuf,
    /// The most bytes of a write or a datagram; 0 for a line each.
    #[arg(long, default_value_t = 65536)]
    pack: usize,
    /// Lines a second; 0 is as many as are taken.
    #[arg(long, default_value_t = 0.0)]
    rate: f64,
    /// How long.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Every line once, however long it takes.
    #[arg(long)]
    once: bool,
    /// The smallest send buffer there is: one write can wait in the kernel, the next one waits for the reader.
    #[arg(long)]
    small_buffer: bool,
}

#[derive(Clone)]
enum Target {
    Stream(PathBuf),
    Datagram(PathBuf),
    Udp(String),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("unix", path)) => Ok(Self::Stream(path.into())),
            Some(("unixgram", path)) => Ok(Self::Datagram(path.into())),
            Some(("udp", address)) => Ok(Self::Udp(address.to_owned())),
            _ => Err("not unix:PATH, unixgram:PATH or udp:HOST:PORT".to_owned()),
        }
    }
}

enum Connection {
    Stream(UnixStream),
    Datagram(UnixDatagram),
    Udp(UdpSocket),
}

impl Connection {
    fn open(target: &Target, small_buffer: bool) -> io::Result<Self> {
        let bytes = if small_buffer { 1 } else { 4 << 20 };
        Ok(match target {
            Target::Stream(path) => {
                let stream = UnixStream::connect(path)?;
                set_socket_send_buffer_size(&stream, bytes)?;
                Self::Stream(stream)
            }
            Target::Datagram(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(path)?;
                set_socket_send_buffer_size(&socket, bytes)?;
                Self::Datagram(socket)
            }
            Target::Udp(address) => {
                let socket = UdpSocket::bind("0.0.0.0:0")?;
                socket.connect(address)?;
                set_socket_send_buffer_size(&socket, bytes)?;
                Self::Udp(socket)
            }
        })
    }

    /// Sends whole lines. A datagram needs no newline at its end.
    fn send(&mut self, lines: &[u8]) -> io::Result<()> {
        let bare = lines.strip_suffix(b"\n").unwrap_or(lines);
        match self {
            Self::Stream(stream) => stream.write_all(lines),
            Self::Datagram(socket) => socket.send(bare).map(drop),
            Self::Udp(socket) => socket.send(bare).map(drop),
        }
    }
}

/// Whole lines that are sent at once.
struct Chunk {
    bytes: Range<usize>,
    lines: u64,
}

fn chunks(text: &[u8], pack: usize) -> Vec<Chunk> {
    let mut all: Vec<Chunk> = Vec::new();
    let mut end = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let begin = end;
        end += line.len();
        match all.last_mut().filter(|chunk| end - chunk.bytes.start <= pack) {
            Some(chunk) => {
                chunk.bytes.end = end;
                chunk.lines += 1;
            }
            None => all.push(Chunk { bytes: begin..end, lines: 1 }),
        }
    }
    all
}

/// The CPU time of this process's only thread.
fn cpu() -> io::Result<f64> {
    let schedstat = io::read_to_string(File::open("/proc/self/schedstat")?)?;
    Ok(schedstat.split(' ').next().and_then(|nanos| nanos.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1e9)
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let text = read(&arguments.lines)?;
    let chunks = chunks(&text, arguments.pack);
    if chunks.is_empty() {
        return Err("there are no lines".into());
    }
    let mut connection = Connection::open(&arguments.to, arguments.small_buffer)?;
    let (mut lines, mut bytes) = (0, 0);
    // Most writes of a flood are alike; what matters are the longest, and there is room for the waits of a paced run.
    let mut waits: Vec<Duration> = Vec::with_capacity(1 << 20);
    let cpu_before = cpu()?;
    let begin = Instant::now();
    for chunk in chunks.iter().cycle().take(if arguments.once { chunks.len() } else { usize::MAX }) {
        let now = begin.elapsed().as_secs_f64();
        if !arguments.once && now >= arguments.seconds {
            break;
        }
        let due = if arguments.rate > 0.0 { lines as f64 / arguments.rate } else { 0.0 };
        if due > now {
            sleep(Duration::from_secs_f64(due - now));
        }
        let asked = Instant::now();
        connection.send(text.get(chunk.bytes.clone()).unwrap_or_default())?;
        if waits.len() < waits.capacity() {
            waits.push(asked.elapsed());
        }
        lines += chunk.lines;
        bytes += chunk.bytes.len();
    }
    let seconds = begin.elapsed().as_secs_f64();
    let cpu = cpu()? - cpu_before;
    waits.sort_unstable();
    let wait = |share: f64| waits.get((waits.len() as f64 * share) as usize).or(waits.last()).map_or(0.0, |wait| wait.as_secs_f64() * 1e3);
    println!(
        "{{\"events\":{lines},\"bytes\":{bytes},\"secs\":{seconds:.4},\"cpu_s\":{cpu:.4},\"ev_per_s\":{:.0},\"writes\":{},\
         \"wait_p50_ms\":{:.4},\"wait_p99_ms\":{:.4},\"wait_p999_ms\":{:.4},\"wait_max_ms\":{:.4}}}",
        lines as f64 / seconds,
        waits.len(),
        wait(0.5),
        wait(0.99),
        wait(0.999),
        wait(1.0),
    );
    Ok(())
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("flood: {error}");
            ExitCode::FAILURE
        }
    }
}
