//! Which alerts are about one thing: a warning at 80 % and a critical one at 90 % of the same measure are, and cost once.

use std::collections::HashMap;

use super::Config;
use crate::model::RuleSnapshot;
use crate::promql::{Expr, ExprKind, Number, parse};

/// The annotation by which rules say that they are about one thing.
const ANNOTATION: &str = "cause";

/// Knows the cause of each alert.
#[derive(Clone, Debug, Default)]
pub(super) struct Causes {
    of_expressions: HashMap<String, String>,
}

/// Which causes are one, because rules of one name have them. Each leads to an earlier one, or to itself.
#[derive(Default)]
struct Joined {
    causes: Vec<String>,
    earlier: Vec<usize>,
}

impl Joined {
    fn add(&mut self, cause: &str) -> usize {
        self.causes.push(cause.to_owned());
        self.earlier.push(self.earlier.len());
        self.earlier.len() - 1
    }

    fn first(&self, mut cause: usize) -> usize {
        while let Some(earlier) = self.earlier.get(cause).filter(|earlier| **earlier != cause) {
            cause = *earlier;
        }
        cause
    }

    fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.first(one), self.first(other));
        if let Some(earlier) = self.earlier.get_mut(one.max(other)) {
            *earlier = one.min(other);
        }
    }
}

impl Causes {
    /// The cause of each name's alerts. Rules of one name have one cause, and so has whatever else shares a cause with one of them: this
    /// does not depend on which of them fire, else one more alert could join two causes and so raise the score.
    pub(super) fn by_name<'r>(&mut self, config: &Config, rules: impl Iterator<Item = &'r RuleSnapshot>) -> HashMap<&'r str, String> {
        let (mut joined, mut of_causes, mut of_names) = (Joined::default(), HashMap::new(), HashMap::new());
        let mut count = 0_usize;
        for rule in rules {
            count += 1;
            let cause = self.of(config, rule);
            let of_cause = *of_causes.entry(cause).or_insert_with_key(|cause| joined.add(cause));
            let of_name = *of_names.entry(rule.name.as_str()).or_insert(of_cause);
            joined.join(of_name, of_cause);
        }
        // Most are of rules that are gone.
        if self.of_expressions.len() > count.saturating_mul(2) {
            self.of_expressions.clear();
        }
        let cause = |of_name: usize| joined.causes.get(joined.first(of_name)).cloned().unwrap_or_default();
        of_names.into_iter().map(|(name, of_name)| (name, cause(of_name))).collect()
    }

    /// The cause of a rule's alerts: the signal that names it, else its annotation `cause`, else its expression without the numbers that
    /// it compares with.
    fn of(&mut self, config: &Config, rule: &RuleSnapshot) -> String {
        if let Some((name, _)) = config.signals().find(|(_, signal)| signal.alerts.contains(&rule.name)) {
            return of_signal(name);
        }
        if let Some(cause) = rule.annotations.get(ANNOTATION).filter(|cause| !cause.is_empty()) {
            return format!("cause:{cause}");
        }
        if let Some(cause) = self.of_expressions.get(&rule.query) {
            return cause.clone();
        }
        let cause = match parse(&rule.query) {
            Ok(mut expr) => {
                forget_thresholds(&mut expr);
                format!("expr:{expr}")
            }
            Err(_) => format!("alert:{}", rule.name),
        };
        self.of_expressions.insert(rule.query.clone(), cause.clone());
        cause
    }
}

/// The cause that a signal is.
pub(super) fn of_signal(name: &str) -> String {
    format!("signal:{name}")
}

/// Puts zeros in the place of all numbers that something is compared with.
fn forget_thresholds(expr: &mut Expr) {
    if let ExprKind::Binary(binary) = &mut expr.kind
        && binary.op.is_comparison()
    {
        forget_number(&mut binary.lhs);
        forget_number(&mut binary.rhs);
    }
    expr.children_mut().into_iter().for_each(forget_thresholds);
}

fn forget_number(expr: &mut Expr) {
    match &mut expr.kind {
        ExprKind::Paren(inner) => forget_number(inner),
        ExprKind::Number(number) => *number = Number { value: 0.0, is_duration: false },
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Labels, RuleHealth, RuleKind};

    fn rule(name: &str, query: &str, annotations: Labels) -> RuleSnapshot {
        RuleSnapshot {
            name: name.into(),
            query: query.into(),
            labels: Labels::empty(),
            annotations,
            health: RuleHealth::Ok,
            last_evaluation: None,
            evaluation_seconds: 0.0,
            kind: RuleKind::Recording,
        }
    }

    fn cause(name: &str, query: &str, annotations: Labels) -> String {
        Causes::default().of(&Config::default(), &rule(name, query, annotations))
    }

    fn of_query(query: &str) -> String {
        cause("A", query, Labels::empty())
    }

    #[test]
    fn alerts_that_differ_in_their_thresholds_alone_have_one_cause() {
        let warning = of_query("rate(a[1m]) / 2 > 0.8 and on () count(b) >= 10");
        assert_eq!(warning, of_query("rate(a[1m]) / 2 > 0.95 and on () count(b) >= 20"));
        for other in ["rate(a[1m]) / 3 > 0.8", "rate(a[1m]) / 2 < 0.8 and on () count(b) >= 10", "rate(a[5m]) / 2 > 0.8"] {
            assert_ne!(warning, of_query(other), "{other}");
        }
        assert_ne!(of_query("absent(a)"), of_query("absent(b)"));
    }

    #[test]
    fn alerts_of_one_name_have_one_cause_and_so_has_what_they_share_theirs_with() {
        let rules = [("A", "a > 1"), ("B", "b > 1"), ("C", "c > 1"), ("D", "c > 2"), ("D", "b > 3"), ("B", "d > 1"), ("E", "e > 1")];
        let rules = rules.map(|(name, query)| rule(name, query, Labels::empty()));
        let causes = Causes::default().by_name(&Config::default(), rules.iter());
        let alike = |one: &str, other: &str| causes.get(one) == causes.get(other);
        assert!(alike("B", "C") && alike("B", "D"), "{causes:?}");
        assert!(!alike("A", "B") && !alike("E", "B") && !alike("A", "E"), "{causes:?}");
    }

    #[test]
    fn what_is_said_goes_before_what_is_found() {
        let annotated = |query: &str| cause("A", query, Labels::from_pairs([("cause", "disk")]));
        assert_eq!(annotated("a > 1"), annotated("b < 2"));
        assert_eq!(cause("A", "a > 1", Labels::from_sorted([("cause", "")].into_iter())), of_query("a > 1"));
        assert_eq!(cause("RequestLatencyHigh", "a > 1", Labels::empty()), of_signal("request_latency"));
    }
}
