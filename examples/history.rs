//! What history makes of samples. `record` looks at this host at a steady pace and writes down the samples that the agent would have
//! taken; `feed` gives a recording, and `synthetic` made-up series, to a history in fast time and prints what they take:
//! `cargo run --release --example history -- record FILE --every 5 --ticks 840`, then `… -- feed FILE`.
#![allow(clippy::disallowed_methods, reason = "a program of its own, with a clock of its own")]

use std::alloc::System;
use std::collections::HashMap;
use std::error::Error;
use std::f64::consts::TAU;
use std::fs::{File, read_to_string};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};
use rustix::time::{ClockId, clock_gettime};
use sidewatch::collect::{ALL, Config as CollectConfig, HostFs, Parts, Prober};
use sidewatch::history::{Append, Archive, Config, History, Query};
use sidewatch::model::{Labels, PromDuration, Timestamp, Value};
use sidewatch::recorder::{Flattener, Identity};
use sidewatch::runtime::Board;
use sidewatch::telemetry::Telemetry;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const START_MILLIS: i64 = 1_800_000_000_000;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Writes this host's samples down.
    Record {
        file: PathBuf,
        /// Seconds between two looks.
        #[arg(long, default_value_t = 5.0)]
        every: f64,
        #[arg(long, default_value_t = 4320)]
        ticks: usize,
    },
    /// Gives a recording to a history; where it is shorter than asked for, it begins again, and counters are reset there.
    Feed {
        file: PathBuf,
        #[command(flatten)]
        time: Time,
    },
    /// Gives made-up series of a service to a history: of 500 each 100 gauges, 375 counters of whole numbers, 25 of fractions.
    Synthetic {
        #[arg(long, default_value_t = 10_000)]
        series: usize,
        /// How far a step of a counter is from the mean one, as a share of it.
        #[arg(long, default_value_t = 0.0)]
        noise: f64,
        #[command(flatten)]
        time: Time,
    },
}

#[derive(Clone, clap::Args)]
struct Time {
    #[arg(long, default_value_t = 4320)]
    ticks: usize,
    /// Seconds of history's time between two ticks.
    #[arg(long, default_value_t = 5)]
    step: i64,
    /// Hours of full resolution.
    #[arg(long, default_value_t = 6)]
    hours: u64,
    /// Days of the last sample of each minute.
    #[arg(long, default_value_t = 7)]
    days: u64,
    /// Keep it in this folder, once a minute of history's time, read it back from there and say how long that takes.
    #[arg(long)]
    save: Option<PathBuf>,
    /// The budget.
    #[arg(long, default_value_t = 1 << 32)]
    bytes_max: usize,
}

type Samples = Vec<(Labels, f64)>;

fn main() -> Result<(), Box<dyn Error>> {
    match Arguments::parse().command {
        Command::Record { file, every, ticks } => record(&file, Duration::from_secs_f64(every), ticks),
        Command::Feed { file, time } => {
            let ticks = read(&file)?;
            feed("recorded", &time, |tick, samples| {
                if let Some(recorded) = ticks.get(tick % ticks.len().max(1)) {
                    samples.clone_from(recorded);
                }
            })
        }
        Command::Synthetic { series, noise, time } => {
            let mut made = synthetic(series);
            feed("synthetic", &time, |tick, samples| {
                samples.clear();
                let seconds = (tick as i64 * time.step) as f64;
                samples.extend(made.iter_mut().map(|series| (series.labels.clone(), series.value(seconds, noise))));
            })
        }
    }
}

/// One line a series when it is seen first (`+`, names and values), one a sample (the series' number and the value's bits), and an
/// empty one at each tick's end.
fn record(path: &Path, every: Duration, ticks: usize) -> Result<(), Box<dyn Error>> {
    let config = CollectConfig::default();
    let prober = Arc::new(Mutex::new(Prober::default()));
    let mut host = HostFs::new(&config.proc, &config.sys);
    let mut collectors = ALL.iter().map(|kind| (kind.make)(&Parts { config: &config, prober: &prober })).collect::<Result<Vec<_>, _>>()?;
    let mut flattener = Flattener::new(Identity {
        instance: "host".to_owned(),
        host_job: "node".to_owned(),
        events_job: "app".to_owned(),
        agent_job: "sidewatch".to_owned(),
    });
    let mut out = std::io::BufWriter::new(File::create(path)?);
    let mut known: HashMap<Labels, usize> = HashMap::new();
    let started = Instant::now();
    for tick in 0..ticks {
        let due = every * u32::try_from(tick)?;
        sleep(due.saturating_sub(started.elapsed()));
        let at = Timestamp::from_millis(START_MILLIS + i64::try_from(due.as_millis())?);
        let families: Vec<_> = collectors.iter_mut().filter_map(|collector| collector.collect(&mut host, at).ok()).flatten().collect();
        let mut looked = flattener.begin(0..0);
        looked.take(&families);
        for (labels, value) in looked.end().samples {
            let next = known.len();
            let number = *known.entry(labels.clone()).or_insert(next);
            if number == next {
                let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}\x1f{value}")).collect();
                writeln!(out, "+{}", pairs.join("\x1e"))?;
            }
            writeln!(out, "{number} {:x}", value.to_bits())?;
        }
        writeln!(out)?;
        out.flush()?;
    }
    println!("{ticks} ticks of {} series", known.len());
    Ok(())
}

fn read(path: &Path) -> Result<Vec<Samples>, Box<dyn Error>> {
    let (mut known, mut ticks, mut samples) = (Vec::new(), Vec::new(), Samples::new());
    for line in read_to_string(path)?.lines() {
        if let Some(pairs) = line.strip_prefix('+') {
            known.push(Labels::from_pairs(pairs.split('\x1e').filter_map(|pair| pair.split_once('\x1f'))));
        } else if let Some((number, bits)) = line.split_once(' ') {
            let labels: &Labels = known.get(number.parse::<usize>()?).ok_or("no such series")?;
            samples.push((labels.clone(), f64::from_bits(u64::from_str_radix(bits, 16)?)));
        } else {
            ticks.push(std::mem::take(&mut samples));
        }
    }
    Ok(ticks)
}

/// A made-up series, like those of a service that answers requests.
struct Made {
    labels: Labels,
    kind: Kind,
    base: f64,
    rate: f64,
    random: u64,
    total: f64,
    before: f64,
}

#[derive(Clone, Copy)]
enum Kind {
    Wave,
    Falling,
    Whole,
    Fraction,
}

impl Made {
    fn value(&mut self, seconds: f64, noise: f64) -> f64 {
        let step = (seconds - self.before) * self.rate;
        self.before = seconds;
        self.total += step * (1.0 + noise * (2.0 * next(&mut self.random) - 1.0));
        match self.kind {
            Kind::Wave => ((self.base + 0.2 * (seconds / 60.0 + self.base * 7.0).sin()) * 1e4).round() / 1e4,
            Kind::Falling => (self.base - self.total).round(),
            Kind::Whole => (self.base + self.total).floor(),
            Kind::Fraction => ((self.base + self.total) * 1e5).round() / 1e5,
        }
    }
}

/// Between 0 and 1, the same in every run (xorshift).
fn next(random: &mut u64) -> f64 {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    (*random >> 11) as f64 / (1_u64 << 53) as f64
}

fn synthetic(series: usize) -> Vec<Made> {
    let mut random = 0x2545_f491_4f6c_dd1d;
    let mut made = |name: &str, service: usize, number: usize, kind, base: f64, rate: f64| {
        let (service, route, le) = (format!("svc{service:03}"), format!("/api/v1/r{:02}", number / 10), format!("{}", number % 10));
        let labels =
            [("__name__", name), ("service", &service), ("route", &route), ("le", &le), ("job", "synthetic"), ("instance", "host")];
        let (base, rate) = (base * next(&mut random), rate * next(&mut random));
        next(&mut random);
        Made { labels: Labels::from_pairs(labels), kind, base, rate, random, total: 0.0, before: 0.0 }
    };
    (0..series)
        .map(|place| {
            let (service, number) = (place / 500, place % 500);
            match number {
                0..50 => made("app_pool_utilization", service, number, Kind::Wave, 1.0, TAU),
                50..100 => made("disk_free_bytes", service, number, Kind::Falling, 1e11, 1e6),
                100..250 => made("http_requests_total", service, number, Kind::Whole, 1e6, 20.0),
                250..475 => made("http_request_duration_seconds_bucket", service, number, Kind::Whole, 1e6, 50.0),
                _ => made("http_request_duration_seconds_sum", service, number, Kind::Fraction, 1e4, 2.0),
            }
        })
        .collect()
}

fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn feed(what: &str, time: &Time, mut make: impl FnMut(usize, &mut Samples)) -> Result<(), Box<dyn Error>> {
    let config = Config {
        bytes_max: time.bytes_max,
        series_max: 1_000_000,
        retention: PromDuration::from_secs(time.hours * 3600),
        thinned_retention: PromDuration::from_secs(time.days * 24 * 3600),
        ..Config::default()
    };
    let at = |tick: usize| Timestamp::from_millis(START_MILLIS + 1000 * time.step * tick as i64);
    let mut samples = Samples::new();
    make(0, &mut samples);
    let region = Region::new(ALLOCATOR);
    let (telemetry, board) = (Telemetry::new(), Board::new());
    let history = History::new(&config, &telemetry);
    let open = |history: &History, telemetry: &Telemetry, tick| {
        time.save.as_ref().and_then(|folder| Archive::open(history, Ok(folder.clone()), &config, telemetry, &board, at(tick)))
    };
    let archive = open(&history, &telemetry, 0);
    let mut saving = 0.0;
    let (mut appending, mut stored, mut refused, mut slowest) = (0.0, 0, 0, 0.0_f64);
    let mut taken: isize = 0;
    for tick in 0..time.ticks {
        make(tick, &mut samples);
        let (began, before) = (cpu(), region.change());
        let appended = history.append(at(tick), &samples);
        let (spent, after) = (cpu() - began, region.change());
        appending += spent;
        slowest = slowest.max(spent);
        stored += appended.stored;
        refused += appended.refused();
        let net = |stats: stats_alloc::Stats| stats.bytes_allocated as isize - stats.bytes_deallocated as isize;
        taken += net(after) - net(before);
        if let Some(archive) = archive.as_ref().filter(|_| tick as i64 * time.step % 60 == 0) {
            let began = cpu();
            archive.save(at(tick));
            saving += cpu() - began;
        }
    }
    let began = cpu();
    let mut read = 0;
    let _ = history.visit(&[], Timestamp::MIN, Timestamp::MAX, &mut |_, samples| {
        read += samples.len();
        std::ops::ControlFlow::Continue(())
    });
    let reading = cpu() - began;
    let per = |total: f64, samples: u64| total / samples.max(1) as f64;
    let kept = read as u64;
    println!(
        "{what}: {stored} samples of {} series in {} ticks of {} s, {refused} refused, {kept} kept; {} bytes by account, {:.3} a sample; {:.3} a sample by the \
         allocator; append {:.0} ns of CPU a sample, the slowest tick {:.1} ms; reading all {:.1} ns a sample",
        history.series_count(),
        time.ticks,
        time.step,
        history.bytes(),
        per(history.bytes() as f64, kept),
        per(taken as f64, kept),
        per(appending * 1e9, stored),
        slowest * 1e3,
        per(reading * 1e9, kept),
    );
    if archive.is_some() {
        let again = Telemetry::new();
        let restored = History::new(&config, &again);
        let _archive = open(&restored, &again, time.ticks);
        let days = (time.ticks as i64 * time.step) as f64 / 86_400.0;
        for metric in ["sidewatch_history_written_bytes_total", "sidewatch_history_disk_bytes"] {
            println!("{metric} {:?}", numbers(&telemetry, metric));
        }
        for metric in ["sidewatch_history_restored_samples", "sidewatch_history_restore_seconds"] {
            println!("{metric} {:?}", numbers(&again, metric));
        }
        let written: f64 = numbers(&telemetry, "sidewatch_history_written_bytes_total").iter().sum();
        println!("{:.0} bytes a day written, {:.1} s of CPU a day", written / days, saving / days);
    }
    Ok(())
}

fn numbers(telemetry: &Telemetry, name: &str) -> Vec<f64> {
    let families = telemetry.families();
    let series = families.iter().filter(|family| &*family.name == name).flat_map(|family| &family.series);
    series.filter_map(|series| if let Value::Number(number) = series.value { Some(number) } else { None }).collect()
}
