//! Signals: PromQL expressions with a curve from good, which costs nothing, to bad, which costs the whole weight.

use std::collections::{BTreeMap, BTreeSet};

use super::Config;
use crate::model::{Labels, Timestamp};
use crate::promql::{Engine, EvalError, Expr, Value, ValueType, parse};

/// The label that says which service a series is about.
pub(super) const SERVICE: &str = "service_name";

/// Where services beyond the limit are judged together.
pub(super) const OTHER: &str = "__other__";

/// A PromQL expression that costs points as its value goes from good to bad.
#[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Signal {
    /// The expression. Of the series of one service (label `service_name`) the worst counts; series without that label are
    /// about all services.
    pub expr: String,
    /// The value that costs nothing; it may be the larger one.
    pub good: f64,
    /// The value that costs the whole weight; on the way from `good` to here the points grow evenly.
    pub bad: f64,
    /// Points that it costs at most.
    pub weight: f64,
    /// How many events the value rests on, for each service: where that is less than `count_min`, the signal is idle and costs
    /// nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<String>,
    /// The fewest events that are judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count_min: Option<f64>,
    /// Without any value of this signal the state is `unknown`.
    #[serde(default)]
    pub required: bool,
    /// Alerts about the same thing: of them and the signal the most expensive alone costs points.
    #[serde(default)]
    pub alerts: Vec<String>,
    /// One sentence for a person; the expression if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
}

impl Signal {
    /// How far the value is on the way from good to bad, from 0 to 1.
    pub(super) fn fraction(&self, value: f64) -> f64 {
        ((value - self.good) / (self.bad - self.good)).clamp(0.0, 1.0)
    }

    pub(super) fn check(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        let expressions = [("expr", Some(&self.expr)), ("count", self.count.as_ref())];
        for (key, text) in expressions.iter().filter_map(|(key, text)| Some((*key, (*text)?))) {
            match parse(text) {
                Err(error) => problems.push((key, error.to_string())),
                Ok(expr) if matches!(expr.value_type(), ValueType::Scalar | ValueType::Vector) => {}
                Ok(_) => problems.push((key, "it is neither a number nor an instant vector".to_owned())),
            }
        }
        if !self.good.is_finite() || !self.bad.is_finite() || (self.bad - self.good).abs() < f64::MIN_POSITIVE {
            problems.push(("bad", format!("there is no way from good ({}) to bad ({})", self.good, self.bad)));
        }
        if !(0.0..=100.0).contains(&self.weight) {
            problems.push(("weight", "it is not between 0 and 100".to_owned()));
        }
        match self.count_min {
            Some(least) if least.is_nan() || least < 0.0 => problems.push(("count_min", "it is not 0 or more".to_owned())),
            Some(_) if self.count.is_none() => problems.push(("count_min", "there is no count that it could be compared with".to_owned())),
            _ => {}
        }
        problems
    }
}

/// The signals that are there unless the file says otherwise. Each gives the alerts that it has in common with the pack `requests`.
pub(super) fn built_in() -> BTreeMap<String, Option<Signal>> {
    let count = "sum by (service_name) (increase(http_server_request_duration_seconds_count[5m]))";
    let total = "sum by (service_name) (rate(http_server_request_duration_seconds_count[5m]))";
    let failed = "sum by (service_name) (rate(http_server_request_duration_seconds_count{http_response_status_code=~\"5..\"}[5m]) \
                  or rate(http_server_request_duration_seconds_count{error_type!=\"\"}[5m]))";
    let buckets = "sum by (service_name, le) (rate(http_server_request_duration_seconds_bucket[5m]))";
    let signal = |expr: String, good: f64, bad: f64, weight: f64, alerts: [&str; 2], summary: &str| Signal {
        expr,
        good,
        bad,
        weight,
        count: Some(count.to_owned()),
        count_min: Some(20.0),
        required: false,
        alerts: alerts.map(str::to_owned).into(),
        summary: Some(summary.to_owned()),
    };
    let errors = signal(
        format!("({failed} or 0 * {total}) / {total}"),
        0.01,
        0.1,
        40.0,
        ["RequestErrorsHigh", "ServiceErrorsHigh"],
        "The share of requests that failed, with a status of 5xx or an error, over 5 minutes.",
    );
    let latency = signal(
        format!("histogram_quantile(0.95, {buckets})"),
        0.25,
        1.0,
        40.0,
        ["RequestLatencyHigh", "RequestLatencyCritical"],
        "The time in which 95 % of the requests were answered, in seconds, over 5 minutes.",
    );
    [("request_errors", errors), ("request_latency", latency)].map(|(name, signal)| (name.to_owned(), Some(signal))).into()
}

/// What a signal says about one service, or about all of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// The service; `None` for what is about all of them.
    pub service: Option<String>,
    /// The worst value; `None` where there is none.
    pub value: Option<f64>,
    /// The labels of the series that has it.
    pub labels: Labels,
    /// How many events it rests on, where the signal counts them.
    pub count: Option<f64>,
}

/// What all signals said the last time that they were asked, or why one could not answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Readings {
    /// When that was.
    pub at: Option<Timestamp>,
    /// Each signal's answer, by its name.
    pub signals: BTreeMap<String, Result<Vec<Measured>, String>>,
}

/// A signal whose expressions have been read.
#[derive(Clone, Debug)]
pub(super) struct Probe {
    name: String,
    signal: Signal,
    expr: Expr,
    count: Option<Expr>,
}

/// The signals, ready to be asked. What cannot be read has been refused with the configuration.
pub(super) fn probes(config: &Config) -> Vec<Probe> {
    let probe = |(name, signal): (&str, &Signal)| {
        let count = signal.count.as_ref().map(|count| parse(count).ok());
        let count = match count {
            Some(None) => return None,
            Some(count) => count,
            None => None,
        };
        Some(Probe { name: name.to_owned(), signal: signal.clone(), expr: parse(&signal.expr).ok()?, count })
    };
    config.signals().filter_map(probe).collect()
}

/// Asks all signals. They are about the same services, so that none has one signal's points by its own name and another's among the others.
pub(super) fn read(probes: &[Probe], config: &Config, engine: &Engine, at: Timestamp) -> Readings {
    let ask = |probe: &Probe| probe.ask(engine, at).map_err(|error| error.to_string());
    let found: Vec<_> = probes.iter().map(ask).collect();
    let samples = found.iter().flatten().flat_map(|found| found.values.iter().chain(found.counts.iter().flatten()));
    let mut services = Services::default();
    services.admit(config, samples.filter_map(|(labels, _)| labels.get(SERVICE)));
    let sort = |(probe, found): (&Probe, Result<Found, String>)| (probe.name.clone(), found.map(|found| probe.sort(&services, found)));
    Readings { at: Some(at), signals: probes.iter().zip(found).map(sort).collect() }
}

/// What a signal's expressions give.
struct Found {
    values: Vec<(Labels, f64)>,
    counts: Option<Vec<(Labels, f64)>>,
}

impl Probe {
    fn ask(&self, engine: &Engine, at: Timestamp) -> Result<Found, EvalError> {
        let values = samples(engine, &self.expr, at)?;
        Ok(Found { values, counts: self.count.as_ref().map(|count| samples(engine, count, at)).transpose()? })
    }

    /// By service: the worst value, and the sum of the counts.
    fn sort(&self, services: &Services, Found { values, counts }: Found) -> Vec<Measured> {
        let counted = counts.is_some();
        let counts = counts.unwrap_or_default();
        let mut measured: BTreeMap<Option<String>, Measured> = BTreeMap::new();
        let mut sums: BTreeMap<Option<String>, f64> = BTreeMap::new();
        for (labels, count) in &counts {
            *sums.entry(services.of(labels)).or_default() += count;
        }
        for (labels, value) in values {
            let service = services.of(&labels);
            let found = Measured { service: service.clone(), value: Some(value), labels, count: None };
            let worst = measured.entry(service).or_insert_with(|| found.clone());
            if worst.value.is_none_or(|before| self.signal.fraction(value) > self.signal.fraction(before)) {
                *worst = found;
            }
        }
        for service in sums.keys() {
            let silent = || Measured { service: service.clone(), value: None, labels: Labels::empty(), count: None };
            measured.entry(service.clone()).or_insert_with(silent);
        }
        if counted {
            for (service, measured) in &mut measured {
                // One count without a service is the count of whatever the value is about.
                measured.count = Some(sums.get(service).or_else(|| sums.get(&None)).copied().unwrap_or(0.0));
            }
        }
        measured.into_values().collect()
    }
}

/// The samples of an expression that are numbers.
fn samples(engine: &Engine, expr: &Expr, at: Timestamp) -> Result<Vec<(Labels, f64)>, EvalError> {
    let samples = match engine.instant(expr, at)?.value {
        Value::Scalar(value) => vec![(Labels::empty(), value)],
        Value::Vector(samples) => samples.into_iter().map(|sample| (sample.labels, sample.value)).collect(),
        Value::String(_) | Value::Matrix(_) => Vec::new(),
    };
    Ok(samples.into_iter().filter(|(_, value)| !value.is_nan()).collect())
}

/// Which services are judged by themselves.
#[derive(Debug, Default)]
pub(super) struct Services(BTreeSet<String>);

impl Services {
    /// Those that the signals' answers name.
    pub(super) fn of_signals<'a>(measured: impl Iterator<Item = &'a Measured>) -> Self {
        Self(measured.filter_map(|one| one.service.clone()).filter(|name| name != OTHER).collect())
    }

    /// Those that are asked about, then the first ones by name as long as there is room, so that they are the same each time.
    pub(super) fn admit<'a>(&mut self, config: &Config, names: impl Iterator<Item = &'a str>) {
        let mut names: BTreeSet<&str> = names.filter(|name| *name != OTHER && !self.0.contains(*name)).collect();
        let asked: Vec<&str> = config.asked().filter_map(|asked| names.take(asked)).collect();
        self.0.extend(asked.into_iter().map(str::to_owned));
        let room = config.services_max.saturating_sub(self.0.len());
        self.0.extend(names.into_iter().take(room).map(str::to_owned));
    }

    /// The service that a series is about.
    pub(super) fn of(&self, labels: &Labels) -> Option<String> {
        let name = labels.get(SERVICE)?;
        Some(if self.0.contains(name) { name } else { OTHER }.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::history::{self, Append, History};
    use crate::promql::EngineConfig;
    use crate::telemetry::Telemetry;

    /// Of `shop` half of 200 requests failed, and all took less than 0.5 s; `blog` had 10, and no service is `idle`'s.
    fn engine() -> Engine {
        let history = History::new(&history::Config::default(), &Telemetry::new());
        for step in 0..=60 {
            let part = f64::from(step) / 60.0;
            let count = |service: &str, code: &str, at_end: f64| {
                let name = "http_server_request_duration_seconds_count";
                let labels = [("__name__", name), ("service_name", service), ("http_response_status_code", code)];
                (Labels::from_pairs(labels), at_end * part)
            };
            let bucket = |service: &str, le: &str, at_end: f64| {
                let labels = [("__name__", "http_server_request_duration_seconds_bucket"), ("service_name", service), ("le", le)];
                (Labels::from_pairs(labels), at_end * part)
            };
            let gauge = |name: &str, service: &str, i: &str, value: f64| {
                (Labels::from_pairs([("__name__", name), ("service_name", service), ("i", i)]), value)
            };
            let samples = [
                count("shop", "200", 100.0),
                count("shop", "500", 100.0),
                count("blog", "200", 10.0),
                bucket("shop", "0.25", 0.0),
                bucket("shop", "0.5", 200.0),
                bucket("shop", "+Inf", 200.0),
                gauge("g", "a", "1", 1.0),
                gauge("g", "a", "2", 3.0),
                gauge("g", "b", "1", f64::NAN),
                gauge("n", "a", "1", 4.0),
                gauge("n", "a", "2", 5.0),
                gauge("n", "b", "1", 6.0),
            ];
            history.append(Timestamp::from_millis(step.into()).plus_millis(i64::from(step) * 4_999), &samples);
        }
        Engine::new(Arc::new(history), EngineConfig::default())
    }

    fn ask(signals: &str, services_max: usize) -> Readings {
        ask_also(signals, services_max, "")
    }

    fn ask_also(signals: &str, services_max: usize, more: &str) -> Readings {
        let config = format!("{{signals: {{{signals}}}, services_max: {services_max}{more}}}");
        let config: Config = serde_yaml::from_str(&config).expect("readable");
        assert_eq!(config.check(), Vec::new());
        read(&probes(&config), &config, &engine(), Timestamp::from_millis(300_000))
    }

    fn shown(readings: &Readings, name: &str) -> Vec<(Option<String>, Option<f64>, Option<f64>)> {
        let tenths = |number: f64| (number * 10.0).round() / 10.0;
        let measured = readings.signals[name].as_ref().expect("evaluated").iter();
        measured.map(|one| (one.service.clone(), one.value.map(tenths), one.count.map(tenths))).collect()
    }

    fn some(service: &str, value: Option<f64>, count: f64) -> (Option<String>, Option<f64>, Option<f64>) {
        (Some(service.to_owned()), value, Some(count))
    }

    #[test]
    fn the_built_in_signals_see_failures_latency_and_how_much_there_was() {
        let readings = ask("", 10);
        let [errors, latency] = ["request_errors", "request_latency"].map(|name| shown(&readings, name));
        let counts = |shown: &[(Option<String>, Option<f64>, Option<f64>)]| shown.iter().map(|one| one.2).collect::<Vec<_>>();
        assert!(counts(&errors).iter().all(|count| count.is_some()), "{errors:?}");
        assert_eq!(
            errors.iter().map(|one| (one.0.as_deref(), one.1)).collect::<Vec<_>>(),
            [(Some("blog"), Some(0.0)), (Some("shop"), Some(0.5))]
        );
        assert_eq!(
            latency.iter().map(|one| (one.0.as_deref(), one.1)).collect::<Vec<_>>(),
            [(Some("blog"), None), (Some("shop"), Some(0.5))]
        );
        let of_blog = errors[0].2.expect("counted");
        assert!((10.0..20.0).contains(&of_blog), "too few to judge: {of_blog}");
    }

    #[test]
    fn of_a_service_the_worst_value_counts_and_all_its_events() {
        let more_is_bad = ask("s: {expr: g, good: 0, bad: 10, weight: 5, count: n, count_min: 1}", 10);
        assert_eq!(shown(&more_is_bad, "s"), [some("a", Some(3.0), 9.0), some("b", None, 6.0)]);
        let less_is_bad = ask("s: {expr: g, good: 10, bad: 0, weight: 5, count: sum(n)}", 10);
        assert_eq!(shown(&less_is_bad, "s"), [(None, None, Some(15.0)), some("a", Some(1.0), 15.0)]);
        let none = ask("s: {expr: nothing, good: 10, bad: 0, weight: 5}, t: {expr: scalar(sum(n)), good: 10, bad: 0, weight: 5}", 10);
        assert_eq!((shown(&none, "s"), shown(&none, "t")), (Vec::new(), vec![(None, Some(15.0), None)]));
    }

    #[test]
    fn services_beyond_the_limit_are_one() {
        let signals = "s: {expr: n, good: 0, bad: 10, weight: 5}, t: {expr: 'n{service_name=\"b\"}', good: 0, bad: 10, weight: 5}";
        let [other, a, b] = [OTHER, "a", "b"].map(|name| move |value| (Some(name.to_owned()), Some(value), None));
        let readings = ask(signals, 1);
        assert_eq!((shown(&readings, "s"), shown(&readings, "t")), (vec![other(6.0), a(5.0)], vec![other(6.0)]), "the same in all signals");
        let asked = ask_also(signals, 1, ", agent_check: {listen: [{address: '127.0.0.1:1', service: b}]}");
        assert_eq!((shown(&asked, "s"), shown(&asked, "t")), (vec![other(5.0), b(6.0)], vec![b(6.0)]), "who is asked about goes first");
    }

    #[test]
    fn what_cannot_be_evaluated_says_why() {
        let readings = ask("s: {expr: n + on (service_name) n, good: 0, bad: 10, weight: 5}", 10);
        assert!(readings.signals["s"].as_ref().is_err_and(|error| error.contains("many-to-many") || error.contains("duplicate")));
        assert!(readings.signals["request_errors"].is_ok());
    }
}
