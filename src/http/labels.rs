//! `/api/v1/series`, `/api/v1/labels` and `/api/v1/label/{name}/values`: which series history holds.

use std::collections::BTreeSet;

use super::State;
use super::api::{self, Error, limit, time};
use super::envelope::Success;
use super::params::Params;
use super::reply::Reply;
use super::router::Call;
use crate::model::{Labels, MatchOp, Matcher, Timestamp};
use crate::promql::{QUERY_REGEXES_MAX, parse_selector};

/// The label sets of the series that satisfy one of the selectors.
pub(super) fn series(call: &Call, state: &State) -> Reply {
    api::reply(some_selectors(&call.params).and_then(|selectors| Asked::read(call, selectors)).and_then(|asked| {
        let mut found: BTreeSet<Labels> = BTreeSet::new();
        for matchers in &asked.selectors {
            call.still_asked()?;
            found.extend(state.history.series(matchers, asked.after, asked.until)?);
        }
        Ok(Success::limited(found.into_iter().collect(), asked.limit))
    }))
}

/// Upstream names the parameter here and not where labels are asked for.
fn some_selectors(params: &Params) -> Result<Vec<Vec<Matcher>>, Error> {
    if !params.has("match[]") {
        return Err(Error::BadData("no match[] parameter provided".to_owned()));
    }
    selectors(params).map_err(|error| match error {
        Error::BadData(problem) => Error::parameter("match[]", problem),
        other => other,
    })
}

/// Their label names; those of all series without a selector.
pub(super) fn names(call: &Call, state: &State) -> Reply {
    texts(call, |matchers, asked| Ok(state.history.label_names(matchers, asked.after, asked.until)?))
}

/// The values of one label.
pub(super) fn values(call: &Call, state: &State) -> Reply {
    let name = unescape(&call.segment);
    texts(call, |matchers, asked| Ok(state.history.label_values(&name, matchers, asked.after, asked.until)?))
}

fn texts(call: &Call, ask: impl Fn(&[Matcher], &Asked) -> Result<Vec<String>, Error>) -> Reply {
    api::reply(selectors(&call.params).and_then(|selectors| Asked::read(call, selectors)).and_then(|asked| {
        let mut found: BTreeSet<String> = BTreeSet::new();
        let all = [Vec::new()];
        let selectors = if asked.selectors.is_empty() { all.as_slice() } else { &asked.selectors };
        for matchers in selectors {
            call.still_asked()?;
            found.extend(ask(matchers, &asked)?);
        }
        Ok(Success::limited(found.into_iter().collect(), asked.limit))
    }))
}

/// What all three are asked.
struct Asked {
    selectors: Vec<Vec<Matcher>>,
    /// Exclusive, as history counts.
    after: Timestamp,
    until: Timestamp,
    limit: usize,
}

impl Asked {
    fn read(call: &Call, selectors: Vec<Vec<Matcher>>) -> Result<Self, Error> {
        let start = time(&call.params, "start")?.unwrap_or(Timestamp::MIN);
        let until = time(&call.params, "end")?.unwrap_or(Timestamp::MAX);
        let after = start.plus_millis(-1);
        // An end before the start is no mistake: there is nothing in between.
        Ok(Self { selectors, after, until: until.max(after), limit: limit(&call.params)? })
    }
}

/// The selectors in `match[]`, each with a condition that not every series satisfies.
pub(super) fn selectors(params: &Params) -> Result<Vec<Vec<Matcher>>, Error> {
    let mut selectors = Vec::new();
    let mut regexes = 0;
    for text in params.all("match[]") {
        let matchers = parse_selector(text).map_err(|error| Error::BadData(error.to_string()))?;
        regexes += matchers.iter().filter(|matcher| matches!(matcher.op(), MatchOp::Regex | MatchOp::NotRegex)).count();
        if regexes > QUERY_REGEXES_MAX {
            return Err(Error::BadData(format!("match[] has more than {QUERY_REGEXES_MAX} regular expressions")));
        }
        if matchers.iter().all(|matcher| matcher.matches("")) {
            return Err(Error::BadData("match[] must contain at least one non-empty matcher".to_owned()));
        }
        selectors.push(matchers);
    }
    Ok(selectors)
}

/// A label name in the `values` escaping scheme (`U__` in front, `_` doubled, other characters in hex between `_`), as
/// Grafana sends names that may hold any character. Source: Prometheus documentation "Escaping schemes".
fn unescape(name: &str) -> String {
    let Some(mut rest) = name.strip_prefix("U__") else { return name.to_owned() };
    let mut plain = String::new();
    while let Some((before, behind)) = rest.split_once('_') {
        plain.push_str(before);
        if let Some(tail) = behind.strip_prefix('_') {
            plain.push('_');
            rest = tail;
            continue;
        }
        let code = behind.split_once('_').and_then(|(hex, tail)| Some((char::from_u32(u32::from_str_radix(hex, 16).ok()?)?, tail)));
        let Some((character, tail)) = code else { return name.to_owned() };
        plain.push(character);
        rest = tail;
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_names_are_read() {
        for (escaped, plain) in
            [("U__http_2e_method", "http.method"), ("U____name__", "_name_"), ("U__a__b", "a_b"), ("job", "job"), ("U___zz_", "U___zz_")]
        {
            assert_eq!(unescape(escaped), plain, "{escaped}");
        }
    }
}
