//! Which labels the results of an expression can have.

use std::collections::BTreeSet;

use super::check::metric;
use super::names::Inventory;
use crate::model::{METRIC_NAME, MatchOp, Matcher};
use crate::promql::{Aggregate, AggregateOp, Binary, Call, Cardinality, Expr, ExprKind, VectorSelector};

/// A set of label names, or all names without a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// These at most.
    Only(BTreeSet<String>),
    /// Any but these.
    AllBut(BTreeSet<String>),
}

impl Flow {
    /// Whether a result can have the label.
    pub(super) fn has(&self, label: &str) -> bool {
        match self {
            Self::Only(labels) => labels.contains(label),
            Self::AllBut(labels) => !labels.contains(label),
        }
    }

    fn none() -> Self {
        Self::Only(BTreeSet::new())
    }

    fn add(&mut self, label: &str) {
        match self {
            Self::Only(labels) => drop(labels.insert(label.to_owned())),
            Self::AllBut(labels) => drop(labels.remove(label)),
        }
    }

    fn remove(&mut self, label: &str) {
        match self {
            Self::Only(labels) => drop(labels.remove(label)),
            Self::AllBut(labels) => drop(labels.insert(label.to_owned())),
        }
    }

    fn keep(&self, labels: &[String]) -> Self {
        Self::Only(labels.iter().filter(|label| self.has(label)).cloned().collect())
    }

    fn or(self, other: &Self) -> Self {
        match (self, other) {
            (Self::Only(mut one), Self::Only(two)) => {
                one.extend(two.iter().cloned());
                Self::Only(one)
            }
            (Self::AllBut(one), two) => Self::AllBut(one.into_iter().filter(|label| !two.has(label)).collect()),
            (one, Self::AllBut(two)) => Self::AllBut(two.iter().filter(|label| !one.has(label)).cloned().collect()),
        }
    }
}

/// The labels of an expression's results.
pub(super) fn flow(expr: &Expr, inventory: &Inventory) -> Flow {
    match &expr.kind {
        ExprKind::Number(_) | ExprKind::String(_) => Flow::none(),
        ExprKind::VectorSelector(selector) => selected(selector, inventory),
        ExprKind::MatrixSelector(matrix) => selected(&matrix.selector, inventory),
        ExprKind::Subquery(subquery) => flow(&subquery.expr, inventory),
        ExprKind::Aggregate(aggregate) => aggregated(aggregate, inventory),
        ExprKind::Call(call) => called(call, inventory),
        ExprKind::Binary(binary) => combined(binary, inventory),
        ExprKind::Unary(unary) => nameless(flow(&unary.expr, inventory)),
        ExprKind::Paren(inner) => flow(inner, inventory),
    }
}

fn nameless(mut flow: Flow) -> Flow {
    flow.remove(METRIC_NAME);
    flow
}

fn selected(selector: &VectorSelector, inventory: &Inventory) -> Flow {
    let is_absent = |matcher: &&Matcher| matcher.op() == MatchOp::Equal && matcher.value().is_empty();
    let known = metric(selector).and_then(|name| inventory.all_labels(name));
    let mut flow = known.map_or_else(|| Flow::AllBut(BTreeSet::new()), Flow::Only);
    // Where it is asked for a label that it has not, that is what is wrong.
    selector.matchers.iter().filter(|matcher| !is_absent(matcher)).for_each(|matcher| flow.add(matcher.name()));
    selector.matchers.iter().filter(is_absent).for_each(|matcher| flow.remove(matcher.name()));
    flow
}

fn aggregated(aggregate: &Aggregate, inventory: &Inventory) -> Flow {
    let inner = flow(&aggregate.expr, inventory);
    if matches!(aggregate.op, AggregateOp::TopK | AggregateOp::BottomK | AggregateOp::LimitK | AggregateOp::LimitRatio) {
        return inner;
    }
    let mut flow = if aggregate.without {
        let mut flow = nameless(inner);
        aggregate.grouping.iter().for_each(|label| flow.remove(label));
        flow
    } else {
        inner.keep(&aggregate.grouping)
    };
    if let (AggregateOp::CountValues, Some(ExprKind::String(label))) = (aggregate.op, aggregate.param.as_ref().map(|param| &param.kind)) {
        flow.add(label);
    }
    flow
}

fn called(call: &Call, inventory: &Inventory) -> Flow {
    let vector = || call.args.iter().map(|arg| flow(arg, inventory)).find(|flow| *flow != Flow::none()).unwrap_or_else(Flow::none);
    match call.function.name {
        "label_replace" | "label_join" => {
            let mut flow = vector();
            if let Some(ExprKind::String(label)) = call.args.get(1).map(|label| &label.kind) {
                flow.add(label);
            }
            flow
        }
        "absent" | "absent_over_time" => call.args.first().map_or_else(Flow::none, absent),
        "histogram_quantile" | "histogram_fraction" => {
            let mut flow = nameless(vector());
            flow.remove("le");
            flow
        }
        // It brings labels that stand nowhere.
        "info" => Flow::AllBut(BTreeSet::new()),
        "last_over_time" | "first_over_time" | "sort" | "sort_desc" | "sort_by_label" | "sort_by_label_desc" => vector(),
        _ => nameless(vector()),
    }
}

/// What is absent has the labels that its selector demands.
fn absent(arg: &Expr) -> Flow {
    let selector = match &arg.unwrap_parens().kind {
        ExprKind::VectorSelector(selector) => selector,
        ExprKind::MatrixSelector(matrix) => &matrix.selector,
        _ => return Flow::none(),
    };
    let demanded = selector.matchers.iter().filter(|matcher| matcher.op() == MatchOp::Equal && matcher.name() != METRIC_NAME);
    Flow::Only(demanded.map(|matcher| matcher.name().to_owned()).collect())
}

fn combined(binary: &Binary, inventory: &Inventory) -> Flow {
    let (lhs, rhs) = (flow(&binary.lhs, inventory), flow(&binary.rhs, inventory));
    let Some(matching) = &binary.matching else {
        let flow = if lhs == Flow::none() { rhs } else { lhs };
        return if binary.op.is_comparison() && !binary.return_bool { flow } else { nameless(flow) };
    };
    if binary.op.is_set() {
        return if binary.op.as_str() == "or" { lhs.or(&rhs) } else { lhs };
    }
    let mut flow = match matching.cardinality {
        Cardinality::OneToMany => rhs.clone(),
        _ => lhs.clone(),
    };
    if matching.cardinality == Cardinality::OneToOne {
        if matching.on {
            flow = flow.keep(&matching.labels);
        } else {
            matching.labels.iter().for_each(|label| flow.remove(label));
        }
    } else {
        let one = if matching.cardinality == Cardinality::OneToMany { &lhs } else { &rhs };
        for label in &matching.include {
            if one.has(label) {
                flow.add(label);
            } else {
                flow.remove(label);
            }
        }
    }
    if binary.op.is_comparison() && !binary.return_bool { flow } else { nameless(flow) }
}
