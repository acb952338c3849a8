//! Writes a tree over several lines where one would be too long, as Prometheus's `format_query` does.
//! Source: Prometheus documentation "HTTP API", "Formatting query expressions".

use std::fmt;

use super::ast::{BinaryOp, Expr, ExprKind};

/// What is longer is divided, where it can be.
const LINE_BYTES: usize = 100;

impl Expr {
    /// The query in lines of up to 100 bytes where its parts allow it, each level two blanks further in. Reading it again
    /// makes an equal tree.
    #[must_use]
    pub fn pretty(&self) -> String {
        let mut text = String::new();
        // Writing into memory cannot fail.
        let _written = self.write_pretty(0, &mut text);
        text
    }

    fn write_pretty(&self, level: usize, out: &mut String) -> fmt::Result {
        let line = self.to_string();
        let short = line.len() <= LINE_BYTES;
        match &self.kind {
            // Upstream leaves out the indentation here, and formats have to agree.
            ExprKind::Subquery(_) if short => out.push_str(&line),
            ExprKind::Subquery(subquery) => {
                subquery.expr.write_pretty(level, out)?;
                subquery.write_times(out)?;
            }
            ExprKind::Unary(unary) => {
                let mut operand = String::new();
                unary.expr.write_pretty(level, &mut operand)?;
                indent(level, out);
                out.push(if unary.negative { '-' } else { '+' });
                out.push_str(operand.trim());
            }
            ExprKind::Aggregate(aggregate) if !short => {
                indent(level, out);
                aggregate.write_operator(out)?;
                write_arguments(aggregate.param.iter().chain([&aggregate.expr]), level, out)?;
            }
            ExprKind::Call(call) if !short => {
                indent(level, out);
                out.push_str(call.function.name);
                write_arguments(&call.args, level, out)?;
            }
            ExprKind::Paren(inner) if !short => {
                indent(level, out);
                write_arguments([inner.as_ref()], level, out)?;
            }
            ExprKind::Binary(binary) if !short => {
                match &binary.lhs.kind {
                    // `+Inf ^ x` would read as `+(Inf ^ x)`.
                    ExprKind::Number(base) if binary.op == BinaryOp::Pow && base.value == f64::INFINITY => {
                        indent(level + 1, out);
                        out.push_str("Inf");
                    }
                    _ => binary.lhs.write_pretty(level + 1, out)?,
                }
                out.push('\n');
                indent(level, out);
                binary.write_operator(out)?;
                out.push('\n');
                binary.rhs.write_pretty(level + 1, out)?;
            }
            _ => {
                indent(level, out);
                out.push_str(&line);
            }
        }
        Ok(())
    }
}

fn write_arguments<'a>(arguments: impl IntoIterator<Item = &'a Expr>, level: usize, out: &mut String) -> fmt::Result {
    out.push('(');
    for (index, argument) in arguments.into_iter().enumerate() {
        out.push_str(if index > 0 { ",\n" } else { "\n" });
        argument.write_pretty(level + 1, out)?;
    }
    out.push('\n');
    indent(level, out);
    out.push(')');
    Ok(())
}

fn indent(level: usize, out: &mut String) {
    out.extend(std::iter::repeat_n("  ", level));
}

#[cfg(test)]
mod tests {
    use crate::promql::parse;

    /// Each expected text is what Prometheus 2.42 answers at `/api/v1/format_query`.
    const LONG: &[(&str, &str)] = &[
        (
            r#"sum by (service_name, http_route, http_request_method) (rate(http_server_request_duration_seconds_bucket{service_name="shop"}[5m]))"#,
            "sum by (service_name, http_route, http_request_method) (\n\
             \x20 rate(http_server_request_duration_seconds_bucket{service_name=\"shop\"}[5m])\n\
             )",
        ),
        (
            r#"histogram_quantile(0.99, sum by (le, http_route) (rate(http_server_request_duration_seconds_bucket{service_name="shop",deployment="production"}[5m])))"#,
            "histogram_quantile(\n\
             \x20 0.99,\n\
             \x20 sum by (le, http_route) (\n\
             \x20   rate(http_server_request_duration_seconds_bucket{deployment=\"production\",service_name=\"shop\"}[5m])\n\
             \x20 )\n\
             )",
        ),
        (
            r#"topk(5, sum without (instance) (rate(http_server_request_duration_seconds_count{service_name="shop"}[5m]))) > bool on (job, zone) group_left (owner) sum by (job, zone, owner) (some_other_metric_with_a_long_name{a="b"})"#,
            "  topk(\n\
             \x20   5,\n\
             \x20   sum without (instance) (rate(http_server_request_duration_seconds_count{service_name=\"shop\"}[5m]))\n\
             \x20 )\n\
             > bool on (job, zone) group_left (owner)\n\
             \x20 sum by (job, zone, owner) (some_other_metric_with_a_long_name{a=\"b\"})",
        ),
        (
            r#"-(sum(first_metric_with_a_rather_long_name{job="a"}) + sum(second_metric_with_a_rather_long_name{job="a"}) * 3)"#,
            "-(\n\
             \x20   sum(first_metric_with_a_rather_long_name{job=\"a\"})\n\
             \x20 +\n\
             \x20   sum(second_metric_with_a_rather_long_name{job=\"a\"}) * 3\n\
             )",
        ),
        (
            r#"max_over_time(sum by (service_name) (rate(http_server_request_duration_seconds_count{service_name="shop",http_route="/items"}[5m]))[1h:1m] @ end() offset 5m)"#,
            "max_over_time(\n\
             \x20 sum by (service_name) (\n\
             \x20   rate(http_server_request_duration_seconds_count{http_route=\"/items\",service_name=\"shop\"}[5m])\n\
             \x20 )[1h:1m] @ end() offset 5m\n\
             )",
        ),
        (
            r#"label_replace(max_over_time(rate(short[5m])[1h:1m]), "destination_label_with_a_name", "$1-and-something-more", "source_label", "(.*)")"#,
            "label_replace(\n\
             \x20 max_over_time(rate(short[5m])[1h:1m]),\n\
             \x20 \"destination_label_with_a_name\",\n\
             \x20 \"$1-and-something-more\",\n\
             \x20 \"source_label\",\n\
             \x20 \"(.*)\"\n\
             )",
        ),
        (
            r#"first_metric_with_a_rather_long_name{job="a"} ^ second_metric_with_a_rather_long_name ^ third_metric_with_a_rather_long_name"#,
            "  first_metric_with_a_rather_long_name{job=\"a\"}\n\
             ^\n\
             \x20 second_metric_with_a_rather_long_name ^ third_metric_with_a_rather_long_name",
        ),
        (
            r#"count_values("version_of_the_build", build_information_of_every_running_instance{environment="production",zone="eu-1"})"#,
            "count_values(\n\
             \x20 \"version_of_the_build\",\n\
             \x20 build_information_of_every_running_instance{environment=\"production\",zone=\"eu-1\"}\n\
             )",
        ),
    ];

    #[test]
    fn long_queries_are_divided_as_prometheus_does() {
        for (query, expected) in LONG {
            let expr = parse(query).expect("valid");
            assert_eq!(expr.pretty(), *expected);
            assert_eq!(parse(&expr.pretty()).expect("valid"), expr);
        }
    }

    #[test]
    fn what_fits_a_line_stays_in_one() {
        for query in ["sum by (job) (rate(x[5m]))", "foo / bar", "-(a + b)", "max_over_time(rate(x[5m])[1h:1m])"] {
            assert_eq!(parse(query).expect("valid").pretty(), query);
        }
    }
}
