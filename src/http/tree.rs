//! `/api/v1/parse_query` and `/api/v1/format_query`: a query as a tree, and as a well laid out text.
//! Source: Prometheus documentation "HTTP API", prometheus/prometheus `web/api/v1/translate_ast.go`.

use serde_json::{Value, json};

use super::State;
use super::api::{self, Error};
use super::envelope::Success;
use super::reply::Reply;
use super::router::Call;
use crate::model::{FloatStyle, Matcher, format_float};
use crate::promql::{
    AtModifier, Cardinality, DurationArg, Expr, ExprKind, Extension, ValueType, Variadic, VectorMatching, VectorSelector, parse,
};

/// The tree of a query.
pub(super) fn parsed(call: &Call, _: &State) -> Reply {
    api::reply(read(call).map(|expr| Success::new(&tree(&expr))))
}

/// The query in lines that are not too long.
pub(super) fn formatted(call: &Call, _: &State) -> Reply {
    api::reply(read(call).map(|expr| Success::new(&expr.pretty())))
}

fn read(call: &Call) -> Result<Expr, Error> {
    parse(call.params.get("query").unwrap_or("")).map_err(|error| Error::parameter("query", error))
}

/// As deep as the query, which the parser limits.
fn tree(expr: &Expr) -> Value {
    match &expr.kind {
        ExprKind::Number(number) => json!({"type": "numberLiteral", "val": format_float(number.value, FloatStyle::Plain)}),
        ExprKind::String(text) => json!({"type": "stringLiteral", "val": text}),
        ExprKind::VectorSelector(selector) => selection("vectorSelector", selector),
        ExprKind::MatrixSelector(matrix) => {
            let mut node = selection("matrixSelector", &matrix.selector);
            add(&mut node, "range", millis(&matrix.range));
            node
        }
        ExprKind::Subquery(subquery) => {
            let (timestamp, start_or_end) = at(subquery.at);
            json!({
                "type": "subquery", "expr": tree(&subquery.expr), "range": millis(&subquery.range), "offset": millis(&subquery.offset),
                "step": subquery.step.as_ref().map_or(0, millis), "timestamp": timestamp, "startOrEnd": start_or_end,
            })
        }
        ExprKind::Aggregate(aggregate) => json!({
            "type": "aggregation", "op": aggregate.op.as_str(), "expr": tree(&aggregate.expr), "param": aggregate.param.as_ref().map(tree),
            "grouping": aggregate.grouping, "without": aggregate.without,
        }),
        ExprKind::Call(call) => {
            let function = call.function;
            let variadic = match function.variadic {
                Variadic::No => json!(0),
                Variadic::UpTo(most) => json!(most),
                Variadic::Unlimited => json!(-1),
            };
            let types: Vec<_> = function.args.iter().copied().map(type_name).collect();
            json!({
                "type": "call", "args": call.args.iter().map(tree).collect::<Vec<_>>(), "func": {
                    "name": function.name, "argTypes": types, "variadic": variadic, "returnType": type_name(function.returns),
                },
            })
        }
        ExprKind::Binary(binary) => json!({
            "type": "binaryExpr", "op": binary.op.as_str(), "lhs": tree(&binary.lhs), "rhs": tree(&binary.rhs),
            "matching": binary.matching.as_ref().map(matching), "bool": binary.return_bool,
        }),
        ExprKind::Unary(unary) => json!({"type": "unaryExpr", "op": if unary.negative { "-" } else { "+" }, "expr": tree(&unary.expr)}),
        ExprKind::Paren(inner) => json!({"type": "parenExpr", "expr": tree(inner)}),
    }
}

fn add(node: &mut Value, key: &str, value: i64) {
    if let Some(node) = node.as_object_mut() {
        node.insert(key.to_owned(), value.into());
    }
}

fn selection(kind: &str, selector: &VectorSelector) -> Value {
    let (timestamp, start_or_end) = at(selector.at);
    json!({
        "type": kind, "name": selector.name.as_deref().unwrap_or(""), "offset": millis(&selector.offset),
        "matchers": selector.matchers.iter().map(condition).collect::<Vec<_>>(), "timestamp": timestamp, "startOrEnd": start_or_end,
        "anchored": selector.extension == Some(Extension::Anchored), "smoothed": selector.extension == Some(Extension::Smoothed),
    })
}

fn condition(matcher: &Matcher) -> Value {
    json!({"name": matcher.name(), "value": matcher.value(), "type": matcher.op().as_str()})
}

/// A fixed time in milliseconds, and the word where it is one of the query's.
const fn at(modifier: Option<AtModifier>) -> (Option<i64>, Option<&'static str>) {
    match modifier {
        None => (None, None),
        Some(AtModifier::Timestamp(time)) => (Some(time.as_millis()), None),
        Some(AtModifier::Start) => (None, Some("start")),
        Some(AtModifier::End) => (None, Some("end")),
    }
}

/// What is computed when the query is evaluated is not known here, and is 0 as it is upstream.
const fn millis(duration: &DurationArg) -> i64 {
    match duration {
        DurationArg::Millis(millis) => *millis,
        DurationArg::Expr(_) => 0,
    }
}

fn matching(matching: &VectorMatching) -> Value {
    let card = match matching.cardinality {
        Cardinality::OneToOne => "one-to-one",
        Cardinality::ManyToOne => "many-to-one",
        Cardinality::OneToMany => "one-to-many",
        Cardinality::ManyToMany => "many-to-many",
    };
    json!({
        "card": card, "labels": matching.labels, "on": matching.on, "include": matching.include,
        "fillValues": {"lhs": matching.fill.left, "rhs": matching.fill.right},
    })
}

const fn type_name(of: ValueType) -> &'static str {
    match of {
        ValueType::Scalar => "scalar",
        ValueType::String => "string",
        ValueType::Vector => "vector",
        ValueType::Matrix => "matrix",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(query: &str) -> Value {
        tree(&parse(query).expect("valid"))
    }

    fn up(rest: &Value) -> Value {
        let mut node = json!({
            "type": "vectorSelector", "name": "up", "offset": 0, "timestamp": null, "startOrEnd": null, "anchored": false, "smoothed": false,
            "matchers": [{"name": "__name__", "value": "up", "type": "="}],
        });
        for (key, value) in rest.as_object().expect("an object") {
            node[key] = value.clone();
        }
        node
    }

    #[test]
    fn every_kind_of_node_has_its_shape() {
        let plain = up(&json!({}));
        assert_eq!(of("up"), plain);
        assert_eq!(
            of("up{job!~\"a\"} @ 1.5 offset -5m"),
            up(&json!({"offset": -300_000, "timestamp": 1500,
                "matchers": [{"name": "job", "value": "a", "type": "!~"}, {"name": "__name__", "value": "up", "type": "="}]}))
        );
        assert_eq!(of("up[5m] @ end()"), up(&json!({"type": "matrixSelector", "range": 300_000, "startOrEnd": "end"})));
        assert_eq!(
            of("(up)[1h:]"),
            json!({"type": "subquery", "expr": {"type": "parenExpr", "expr": plain}, "range": 3_600_000, "offset": 0, "step": 0,
                "timestamp": null, "startOrEnd": null})
        );
        assert_eq!(
            of("topk by (job) (3, up)"),
            json!({"type": "aggregation", "op": "topk", "expr": plain, "param": {"type": "numberLiteral", "val": "3"},
                "grouping": ["job"], "without": false})
        );
        assert_eq!(
            of("round(up)"),
            json!({"type": "call", "args": [plain],
                "func": {"name": "round", "argTypes": ["vector", "scalar"], "variadic": 1, "returnType": "vector"}})
        );
        assert_eq!(of("label_join(up, \"a\", \"b\")")["func"]["variadic"], -1);
        assert_eq!(of("label_join(up, \"a\", \"b\")")["args"][1], json!({"type": "stringLiteral", "val": "a"}));
        assert_eq!(of("-up"), json!({"type": "unaryExpr", "op": "-", "expr": plain}));
    }

    #[test]
    fn a_binary_expression_tells_how_series_match() {
        assert_eq!(of("1 > bool 2")["matching"], Value::Null);
        assert_eq!(of("1 > bool 2")["bool"], true);
        assert_eq!(
            of("up / on (job) group_left (zone) up")["matching"],
            json!({"card": "many-to-one", "labels": ["job"], "on": true, "include": ["zone"], "fillValues": {"lhs": null, "rhs": null}})
        );
        assert_eq!(of("up and up")["matching"]["card"], "many-to-many");
    }
}
