//! Runs files of Prometheus's test language against the engine:
//! `cargo run --release --example promqltest -- FILE…`. Failures are listed; the exit code is 0 when there are none.

#[path = "../tests/promqltest/mod.rs"]
mod promqltest;

use std::process::ExitCode;

use promqltest::{Outcome, Script, Tally, run};

fn main() -> ExitCode {
    let files: Vec<String> = std::env::args().skip(1).collect();
    if files.is_empty() {
        eprintln!("usage: promqltest FILE…");
        return ExitCode::from(2);
    }
    let mut total = Tally::default();
    let mut unreadable = false;
    for file in &files {
        let script = std::fs::read_to_string(file).map_err(|error| error.to_string()).and_then(|text| Script::parse(&text));
        match script {
            Ok(script) => {
                let tally = run(&script, &mut |line, expr, outcome| {
                    if let Outcome::Failed(why) = outcome {
                        println!("{file}:{line}: {expr}\n    {why}");
                    }
                });
                println!("{file}: {tally}");
                total.add(tally);
            }
            Err(error) => {
                println!("{file}: {error}");
                unreadable = true;
            }
        }
    }
    println!("total: {total}");
    if total.failed > 0 || unreadable { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
