//! Expressions over the classic language, made by chance from a grammar of types.
//!
//! All durations are whole multiples of a second, so that no edge of a range falls on a sample (see `samples`). A subquery has
//! its points at multiples of its step; where it is evaluated at such times itself, it is moved by an offset that is no multiple.

use super::chance::Chance;
use super::samples::{BEGIN_MS, LENGTH_S};

const COUNTERS: &[&str] =
    &["requests_total", "errors_total", "latency_seconds_count", "latency_seconds_sum", "latency_seconds_bucket", "patchy", "born_total"];
const GAUGES: &[&str] = &["temperature", "queue_length", "build_info", "patchy", "requests_total"];
const MATCHERS: &[&str] = &[
    r#"instance="a""#,
    r#"instance!="a""#,
    r#"instance=~"a|b""#,
    r#"method="get""#,
    r#"method=~"p.*""#,
    r#"method!~"p.+""#,
    r#"code=~"[45]..""#,
    r#"code!="200""#,
    r#"code="""#,
    r#"code!="""#,
    r#"room=~".*a.*""#,
    r#"room!~"shed|oven""#,
    r#"kind=~"gaps|late|ended""#,
    r#"queue=~"in|out""#,
    r#"nosuch="""#,
    r#"nosuch="x""#,
    r#"le!="+Inf""#,
];
const LABELS: &[&str] = &["instance", "method", "code", "queue", "job", "room", "kind", "route", "le", "nosuch"];
const RATES: &[&str] = &["rate", "increase", "irate", "delta", "idelta", "deriv", "changes", "resets"];
const OVER_TIME: &[&str] = &[
    "avg_over_time",
    "min_over_time",
    "max_over_time",
    "sum_over_time",
    "count_over_time",
    "stddev_over_time",
    "stdvar_over_time",
    "last_over_time",
    "present_over_time",
];
const MATH: &[&str] = &[
    "abs", "ceil", "floor", "exp", "sqrt", "ln", "log2", "log10", "sgn", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh",
    "tanh", "asinh", "acosh", "atanh", "deg", "rad", "round",
];
const DATES: &[&str] = &["minute", "hour", "day_of_week", "day_of_month", "day_of_year", "days_in_month", "month", "year"];
const AGGREGATIONS: &[&str] = &["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"];
const ARITHMETIC: &[&str] = &["+", "-", "*", "/", "%", "^", "atan2"];
const COMPARISONS: &[&str] = &["==", "!=", "<", "<=", ">", ">="];
const NUMBERS: &[&str] = &["0", "1", "2", "-1", "0.5", "3.25", "100", "1e3", "5000", "-7", "NaN", "Inf", "-Inf"];
const RANGES_S: &[&str] = &["15s", "30s", "1m", "2m", "5m", "10m", "25m"];
const STEPS: &[&str] = &["", "10s", "20s", "30s", "1m"];

/// A time with milliseconds that no sample has, in seconds.
pub(super) fn time_ms(chance: &mut Chance) -> i64 {
    BEGIN_MS + 1000 * (60 + chance.below(LENGTH_S as u64 + 300) as i64) + 389
}

/// An expression of the type vector or scalar.
pub(super) fn expression(chance: &mut Chance) -> String {
    let depth = 1 + chance.below(3);
    let mut made = Made { chance, inside_subquery: false };
    match made.chance.below(20) {
        0 => made.scalar(depth),
        1 => format!("{}({})", made.pick(&["sort", "sort_desc"]), made.vector(depth)),
        _ => made.vector(depth),
    }
}

struct Made<'a> {
    chance: &'a mut Chance,
    inside_subquery: bool,
}

impl Made<'_> {
    fn pick(&mut self, all: &[&'static str]) -> &'static str {
        self.chance.of(all)
    }

    fn labels(&mut self) -> String {
        let count = self.chance.below(4);
        let labels: Vec<&str> = (0..count).map(|_| self.pick(LABELS)).collect();
        labels.join(", ")
    }

    fn scalar(&mut self, depth: u64) -> String {
        match self.chance.below(if depth == 0 { 3 } else { 6 }) {
            0 | 1 => self.pick(NUMBERS).to_owned(),
            2 => self.pick(&["time()", "pi()", "time() - 1700000000"]).to_owned(),
            3 => format!("scalar({})", self.vector(depth - 1)),
            4 => format!("({} {} {})", self.scalar(depth - 1), self.pick(ARITHMETIC), self.scalar(depth - 1)),
            _ => format!("({} {} bool {})", self.scalar(depth - 1), self.pick(COMPARISONS), self.scalar(depth - 1)),
        }
    }

    /// A selector with its braces, without a range.
    fn selector(&mut self, names: &[&'static str]) -> String {
        let matchers: Vec<&str> = (0..self.chance.below(3)).map(|_| self.pick(MATCHERS)).collect();
        if self.chance.one_in(25) {
            let all = [&[r#"__name__=~"requests_total|errors_total""#], matchers.as_slice()].concat();
            return format!("{{{}}}", all.join(","));
        }
        let name = self.pick(names);
        if matchers.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", matchers.join(",")) }
    }

    fn moved(&mut self) -> String {
        let offset = match self.chance.below(10) {
            0 => format!(" offset {}", self.pick(&["30s", "1m", "5m", "13m"])),
            1 => format!(" offset -{}", self.pick(&["30s", "2m"])),
            _ => String::new(),
        };
        let at = match self.chance.below(14) {
            0 => " @ start()".to_owned(),
            1 => " @ end()".to_owned(),
            2 => {
                let at = time_ms(self.chance);
                format!(" @ {}.{:03}", at / 1000, at % 1000)
            }
            _ => String::new(),
        };
        offset + &at
    }

    fn range(&mut self, depth: u64, names: &[&'static str]) -> String {
        let range = self.pick(RANGES_S);
        if depth == 0 || !self.chance.one_in(4) {
            return format!("{}[{range}]{}", self.selector(names), self.moved());
        }
        let step = self.pick(STEPS);
        let outer = std::mem::replace(&mut self.inside_subquery, true);
        let inner = self.vector(depth - 1);
        self.inside_subquery = outer;
        let moved = if outer { self.pick(&[" offset 3s", " offset 1m7s"]).to_owned() } else { self.moved() };
        format!("({inner})[{range}:{step}]{moved}")
    }

    fn vector(&mut self, depth: u64) -> String {
        if depth == 0 {
            return self.selector(GAUGES) + &self.moved();
        }
        let inner = depth - 1;
        match self.chance.below(34) {
            0 | 1 => self.selector(GAUGES) + &self.moved(),
            2..=6 => format!("{}({})", self.pick(RATES), self.range(inner, COUNTERS)),
            7..=9 => format!("{}({})", self.pick(OVER_TIME), self.range(inner, GAUGES)),
            10 => match self.chance.below(3) {
                0 => format!("predict_linear({}, {})", self.range(inner, GAUGES), self.pick(&["60", "600", "-300", "0"])),
                1 => format!("quantile_over_time({}, {})", self.pick(&["0", "0.3", "0.9", "1", "2", "-1"]), self.range(inner, GAUGES)),
                _ => format!("absent_over_time({})", self.range(inner, GAUGES)),
            },
            11..=15 => self.aggregation(inner),
            16..=21 => self.binary(inner),
            22 | 23 => self.quantile(inner),
            24 | 25 => self.relabelled(inner),
            26 | 27 => format!("{}({})", self.pick(MATH), self.vector(inner)),
            28 => match self.chance.below(4) {
                0 => format!("clamp({}, {}, {})", self.vector(inner), self.pick(NUMBERS), self.scalar(inner)),
                1 => format!("clamp_min({}, {})", self.vector(inner), self.scalar(inner)),
                2 => format!("clamp_max({}, {})", self.vector(inner), self.scalar(inner)),
                _ => format!("round({}, {})", self.vector(inner), self.pick(&["0.1", "5", "7", "1000"])),
            },
            29 => match self.chance.below(3) {
                0 => format!("{}()", self.pick(DATES)),
                1 => format!("timestamp({})", self.vector(inner)),
                // Of times that a calendar has.
                _ => format!("{}(timestamp({}) * {})", self.pick(DATES), self.vector(inner), self.pick(&["1", "0.5", "0.93", "-0.3"])),
            },
            30 => format!("absent({})", self.vector(inner)),
            31 => format!("vector({})", self.scalar(inner)),
            32 => format!("-{}", self.selector(GAUGES)),
            _ => format!("({})", self.vector(inner)),
        }
    }

    fn aggregation(&mut self, depth: u64) -> String {
        let grouping = match self.chance.below(4) {
            0 => String::new(),
            1 => format!(" without ({})", self.labels()),
            _ => format!(" by ({})", self.labels()),
        };
        let (name, parameter) = match self.chance.below(8) {
            0 => (self.pick(&["topk", "bottomk"]), format!("{}, ", self.pick(&["1", "2", "3", "0", "-1"]))),
            1 => ("quantile", format!("{}, ", self.pick(&["0", "0.25", "0.5", "0.9", "1", "1.5", "-0.1"]))),
            2 => ("count_values", format!("\"{}\", ", self.pick(&["value", "instance", "version"]))),
            _ => (self.pick(AGGREGATIONS), String::new()),
        };
        format!("{name}{grouping} ({parameter}{})", self.vector(depth))
    }

    fn binary(&mut self, depth: u64) -> String {
        match self.chance.below(12) {
            0 | 1 => format!("({} {} {})", self.vector(depth), self.pick(ARITHMETIC), self.scalar(depth)),
            2 => format!("({} {} {})", self.scalar(depth), self.pick(ARITHMETIC), self.vector(depth)),
            3 | 4 => {
                let bool = self.pick(&["", " bool"]);
                format!("({} {}{bool} {})", self.vector(depth), self.pick(COMPARISONS), self.scalar(depth))
            }
            5 => format!("({} {}{} {})", self.scalar(depth), self.pick(COMPARISONS), self.pick(&["", " bool"]), self.vector(depth)),
            6 | 7 => {
                let matching = match self.chance.below(3) {
                    0 => String::new(),
                    1 => format!(" on ({})", self.labels()),
                    _ => format!(" ignoring ({})", self.labels()),
                };
                format!("({} {}{matching} {})", self.vector(depth), self.pick(&["and", "or", "unless"]), self.vector(depth))
            }
            8 => self.joined(),
            // The same set on both sides matches one to one.
            9 => {
                let labels = self.labels();
                let side = |made: &mut Self| format!("{} by ({labels}) ({})", made.pick(AGGREGATIONS), made.vector(depth));
                let (left, right) = (side(self), side(self));
                format!("({left} {} {right})", self.operator())
            }
            _ => {
                let matching = match self.chance.below(3) {
                    0 => String::new(),
                    1 => format!(" on (instance, {})", self.pick(LABELS)),
                    _ => format!(" ignoring ({})", self.pick(LABELS)),
                };
                format!("({} {}{matching} {})", self.vector(depth), self.operator(), self.vector(depth))
            }
        }
    }

    fn operator(&mut self) -> String {
        match self.chance.below(4) {
            0 => self.pick(COMPARISONS).to_owned(),
            1 => format!("{} bool", self.pick(COMPARISONS)),
            _ => self.pick(ARITHMETIC).to_owned(),
        }
    }

    /// Many to one, as people join what a series is with what it measures.
    fn joined(&mut self) -> String {
        let (many, one, on) = match self.chance.below(4) {
            0 => ("requests_total", "build_info", "on (instance) group_left (version)"),
            1 => ("rate(requests_total[2m])", "rate(errors_total[2m])", "ignoring (code) group_left"),
            2 => ("queue_length", "sum by (instance) (temperature{room!~\"shed\"})", "on (instance) group_left"),
            _ => ("requests_total", "errors_total", "on (instance, method) group_left (nosuch)"),
        };
        let operator = self.operator();
        if self.chance.one_in(2) {
            return format!("({many} {operator} {on} {one})");
        }
        format!("({one} {operator} {} {many})", on.replace("group_left", "group_right"))
    }

    fn quantile(&mut self, depth: u64) -> String {
        let quantile = self.pick(&["0.5", "0.9", "0.99", "0", "1", "0.01", "1.2", "-1", "scalar(vector(0.7))"]);
        let range = self.pick(RANGES_S);
        let moved = self.moved();
        let buckets = match self.chance.below(5) {
            0 => format!("latency_seconds_bucket{moved}"),
            1 => format!("rate(latency_seconds_bucket[{range}]{moved})"),
            2 => format!("sum by (le) (rate(latency_seconds_bucket[{range}]{moved}))"),
            3 => format!("sum by (le, {}) (increase(latency_seconds_bucket{{le!=\"0.5\"}}[{range}]{moved}))", self.pick(LABELS)),
            _ => self.vector(depth),
        };
        format!("histogram_quantile({quantile}, {buckets})")
    }

    fn relabelled(&mut self, depth: u64) -> String {
        let vector = self.vector(depth);
        match self.chance.below(5) {
            0 => format!(r#"label_replace({vector}, "host", "$1-x", "instance", "(.*)")"#),
            1 => format!(r#"label_replace({vector}, "method", "${{1}}", "method", "(.).*")"#),
            2 => format!(r#"label_replace({vector}, "instance", "", "code", "2..")"#),
            3 => format!(r#"label_join({vector}, "all", "-", "instance", "method", "nosuch")"#),
            _ => format!(r#"label_join({vector}, "method", "", "nosuch")"#),
        }
    }
}
