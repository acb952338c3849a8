//! A test file as commands. A command is a line, and what it needs stands in the lines below until an empty one.

use sidewatch::model::{Labels, parse_millis};

use sidewatch::promql::{self, Slot};

/// A test file.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) commands: Vec<Command>,
}

#[derive(Debug)]
pub(crate) enum Command {
    Clear,
    Load(Load),
    Eval(Box<Case>),
}

/// Series to be added; the i-th value is that of the time i·step.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) step: i64,
    /// Native histograms with custom buckets are to be made of the classic ones too.
    pub(crate) with_nhcb: bool,
    pub(crate) series: Vec<(Labels, Vec<Slot>)>,
    /// Those of the series whose samples say since when they count, which is not read.
    pub(crate) started: Vec<Labels>,
}

/// A query and what it should answer.
#[derive(Debug, Default)]
pub(crate) struct Case {
    pub(crate) line: usize,
    pub(crate) expr: String,
    pub(crate) when: When,
    /// The times that an expected matrix has values for: from, to, step.
    pub(crate) times: Option<(i64, i64, i64)>,
    pub(crate) expected: Expected,
    pub(crate) fail: Option<Text>,
    pub(crate) ordered: bool,
    pub(crate) warnings: Vec<Text>,
    pub(crate) infos: Vec<Text>,
    pub(crate) no_warnings: bool,
    pub(crate) no_infos: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    Instant { at: i64 },
    Range { from: i64, to: i64, step: i64 },
}

impl Default for When {
    fn default() -> Self {
        Self::Instant { at: 0 }
    }
}

#[derive(Debug, Default)]
pub(crate) enum Expected {
    #[default]
    Nothing,
    Scalar(f64),
    String(String),
    Series(Vec<(Labels, Vec<Slot>)>),
}

/// A condition on a text.
#[derive(Clone, Debug)]
pub(crate) enum Text {
    Any,
    Is(String),
    Matches(regex::Regex),
}

impl Text {
    pub(crate) fn holds(&self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Is(expected) => expected == text,
            Self::Matches(regex) => regex.is_match(text),
        }
    }
}

impl Script {
    /// Reads a file.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let lines: Vec<&str> = text.lines().map(|line| if line.trim().starts_with('#') { "" } else { line.trim() }).collect();
        let mut commands = Vec::new();
        let mut rest = lines.iter().enumerate().peekable();
        while let Some((index, line)) = rest.next() {
            let mut block = Vec::new();
            if line.is_empty() {
                continue;
            }
            let word = line.split_whitespace().next().unwrap_or("").to_ascii_lowercase();
            // Comments are empty lines to upstream too, but do not end a block of expectations there.
            while let Some((index, _)) = rest.peek().copied() {
                let original = text.lines().nth(index).unwrap_or("").trim();
                if original.is_empty() || word == "clear" {
                    break;
                }
                rest.next();
                if !original.starts_with('#') {
                    block.push(original);
                }
            }
            let command = command(&word, line, &block, index + 1).map_err(|error| format!("line {}: {error}", index + 1))?;
            commands.push(command);
        }
        Ok(Self { commands })
    }
}

fn command(word: &str, line: &str, block: &[&str], number: usize) -> Result<Command, String> {
    match word {
        "clear" => Ok(Command::Clear),
        "load" | "load_with_nhcb" => load(word, line, block).map(Command::Load),
        _ if word.starts_with("eval") => case(word, line, block, number).map(|case| Command::Eval(Box::new(case))),
        _ => Err(format!("no command: {line}")),
    }
}

fn load(word: &str, line: &str, block: &[&str]) -> Result<Load, String> {
    let step = line.split_whitespace().nth(1).ok_or("load without a step")?;
    let (mut series, mut started) = (Vec::new(), Vec::new());
    // Start timestamps are written in a line in front of the series, or once for all that follow.
    let (mut next, mut all) = (false, false);
    for line in block {
        if line.starts_with("@st") {
            all = true;
            continue;
        }
        let (labels, rest) = promql::read_series(line)?;
        if rest.starts_with("@st") {
            next = true;
            continue;
        }
        if std::mem::take(&mut next) || all {
            started.push(labels.clone());
        }
        series.push((labels, promql::read_values(rest)?));
    }
    Ok(Load { step: duration(step)?, with_nhcb: word == "load_with_nhcb", series, started })
}

fn case(word: &str, line: &str, block: &[&str], number: usize) -> Result<Case, String> {
    let mut case = Case { line: number, ..Case::default() };
    match word {
        "eval_fail" => case.fail = Some(Text::Any),
        "eval_warn" => case.warnings.push(Text::Any),
        "eval_info" => case.infos.push(Text::Any),
        "eval_ordered" => case.ordered = true,
        _ => {}
    }
    let rest = line.split_once(char::is_whitespace).map_or("", |(_, rest)| rest.trim());
    if let Some(rest) = rest.strip_prefix("instant") {
        let rest = rest.trim();
        (case.when, case.expr) = match rest.strip_prefix("at ").and_then(|rest| rest.trim().split_once(char::is_whitespace)) {
            Some((at, expr)) => (When::Instant { at: duration(at)? }, expr.trim().to_owned()),
            None => (When::Instant { at: 0 }, rest.to_owned()),
        };
    } else if let Some(rest) = rest.strip_prefix("range") {
        let words: Vec<&str> = rest.split_whitespace().take(6).collect();
        let ["from", from, "to", to, "step", step] = words.as_slice() else { return Err(format!("no range: {line}")) };
        let (from, to, step) = (duration(from)?, duration(to)?, duration(step)?);
        case.when = When::Range { from, to, step };
        case.times = Some((from, to, step));
        let mut expr = rest;
        for word in words {
            expr = expr.trim_start().strip_prefix(word).unwrap_or(expr);
        }
        case.expr = expr.trim().to_owned();
    } else {
        return Err(format!("no kind of evaluation: {line}"));
    }
    let mut series = Vec::new();
    for line in block {
        expectation(&mut case, &mut series, line)?;
    }
    if !series.is_empty() {
        case.expected = Expected::Series(series);
    }
    Ok(case)
}

fn expectation(case: &mut Case, series: &mut Vec<(Labels, Vec<Slot>)>, line: &str) -> Result<(), String> {
    if let Some(message) = line.strip_prefix("expected_fail_message") {
        case.fail = Some(Text::Is(message.trim().to_owned()));
        return Ok(());
    }
    if let Some(pattern) = line.strip_prefix("expected_fail_regexp") {
        case.fail = Some(condition(&format!("regex:{}", pattern.trim()))?);
        return Ok(());
    }
    if let Some(rest) = line.strip_prefix("expect ") {
        let (what, rest) = rest.trim().split_once(char::is_whitespace).unwrap_or((rest.trim(), ""));
        match what {
            "fail" => case.fail = Some(condition(rest)?),
            "warn" => case.warnings.push(condition(rest)?),
            "info" => case.infos.push(condition(rest)?),
            "no_warn" => case.no_warnings = true,
            "no_info" => case.no_infos = true,
            "ordered" => case.ordered = true,
            "string" => case.expected = Expected::String(promql::read_quoted(rest.trim())?.0),
            "range" => {
                let words: Vec<&str> = rest.split_whitespace().collect();
                let ["vector", "from", from, "to", to, "step", step] = words.as_slice() else { return Err(format!("no range: {line}")) };
                let times = (duration(from)?, duration(to)?, duration(step)?);
                case.when = When::Instant { at: times.1 };
                case.times = Some(times);
            }
            _ => return Err(format!("no expectation: {line}")),
        }
        return Ok(());
    }
    if let Some((value, "")) = promql::read_number(line) {
        case.expected = Expected::Scalar(value);
        return Ok(());
    }
    let (labels, rest) = promql::read_series(line)?;
    series.push((labels, promql::read_values(rest)?));
    Ok(())
}

fn condition(text: &str) -> Result<Text, String> {
    let text = text.trim();
    if let Some(message) = text.strip_prefix("msg:") {
        Ok(Text::Is(message.trim().to_owned()))
    } else if let Some(pattern) = text.strip_prefix("regex:") {
        regex::Regex::new(pattern.trim()).map(Text::Matches).map_err(|error| error.to_string())
    } else {
        Ok(Text::Any)
    }
}

fn duration(text: &str) -> Result<i64, String> {
    parse_millis(text).map_err(|error| error.to_string())
}
