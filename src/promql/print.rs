//! Writes a tree as a query in one line, in the form that Prometheus's `String()` gives: reading it again makes an
//! equal tree.

use std::fmt::{self, Display, Formatter, Write as _};

use crate::model::{FloatStyle, METRIC_NAME, MatchOp, Matcher, format_float, format_millis, is_label_name};

use super::ast::{
    Aggregate, AtModifier, Binary, BinaryOp, Cardinality, DurationArg, DurationExpr, DurationKind, Expr, ExprKind, MatrixSelector, Number,
    Subquery, VectorMatching, VectorSelector,
};
use super::quote::quote;
use super::token::keyword;

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Number(number) => number.fmt(f),
            ExprKind::String(text) => f.write_str(&quote(text)),
            ExprKind::VectorSelector(selector) => selector.fmt(f),
            ExprKind::MatrixSelector(matrix) => matrix.fmt(f),
            ExprKind::Subquery(subquery) => subquery.fmt(f),
            ExprKind::Aggregate(aggregate) => aggregate.fmt(f),
            ExprKind::Call(call) => {
                write!(f, "{}(", call.function.name)?;
                write_list(f, ", ", &call.args)?;
                f.write_char(')')
            }
            ExprKind::Binary(binary) => binary.fmt(f),
            ExprKind::Unary(unary) => write!(f, "{}{}", if unary.negative { '-' } else { '+' }, unary.expr),
            ExprKind::Paren(inner) => write!(f, "({inner})"),
        }
    }
}

fn write_list<T: Display>(f: &mut impl fmt::Write, separator: &str, items: impl IntoIterator<Item = T>) -> fmt::Result {
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            f.write_str(separator)?;
        }
        write!(f, "{item}")?;
    }
    Ok(())
}

/// Labels in parentheses, quoted where a bare word would mean something else.
fn write_labels(f: &mut impl fmt::Write, word: &str, labels: &[String]) -> fmt::Result {
    write!(f, " {word} (")?;
    let written = labels.iter().map(|label| match keyword(label) {
        None if is_label_name(label) => label.clone(),
        Some(kind) if kind.is_label_name() || kind.is_fill() => label.clone(),
        _ => quote(label),
    });
    write_list(f, ", ", written)?;
    f.write_char(')')
}

impl Display for Number {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.is_duration {
            if self.value == 0.0 && self.value.is_sign_negative() {
                return f.write_str("-0s");
            }
            // Durations have whole milliseconds and fewer than 2^53 of them.
            #[allow(clippy::cast_possible_truncation)]
            return f.write_str(&format_millis((self.value * 1e3).round() as i64));
        }
        f.write_str(&format_float(self.value, FloatStyle::Plain))
    }
}

impl Display for VectorSelector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.write_series(f)?;
        write_at(f, self.at)?;
        self.write_extension(f)?;
        write_offset(f, &self.offset)
    }
}

impl VectorSelector {
    fn write_series(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let name = self.name.as_deref().unwrap_or("");
        f.write_str(name)?;
        let is_name = |matcher: &Matcher| (matcher.name(), matcher.op(), matcher.value()) == (METRIC_NAME, MatchOp::Equal, name);
        let mut conditions: Vec<String> =
            self.matchers.iter().filter(|matcher| name.is_empty() || !is_name(matcher)).map(write_matcher).collect();
        if conditions.is_empty() && !name.is_empty() {
            return Ok(());
        }
        conditions.sort_unstable();
        f.write_char('{')?;
        write_list(f, ",", conditions)?;
        f.write_char('}')
    }

    fn write_extension(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.extension.map_or(Ok(()), |extension| write!(f, " {}", extension.as_str()))
    }
}

fn write_matcher(matcher: &Matcher) -> String {
    let label = if is_label_name(matcher.name()) { matcher.name().to_owned() } else { quote(matcher.name()) };
    format!("{label}{}{}", matcher.op().as_str(), quote(matcher.value()))
}

fn write_at(f: &mut impl fmt::Write, at: Option<AtModifier>) -> fmt::Result {
    match at {
        None => Ok(()),
        Some(AtModifier::Start) => f.write_str(" @ start()"),
        Some(AtModifier::End) => f.write_str(" @ end()"),
        Some(AtModifier::Timestamp(time)) => write!(f, " @ {:.3}", time.as_seconds()),
    }
}

fn write_offset(f: &mut impl fmt::Write, offset: &DurationArg) -> fmt::Result {
    if *offset == DurationArg::default() { Ok(()) } else { write!(f, " offset {offset}") }
}

impl Display for MatrixSelector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.selector.write_series(f)?;
        write!(f, "[{}]", self.range)?;
        self.selector.write_extension(f)?;
        write_at(f, self.selector.at)?;
        write_offset(f, &self.selector.offset)
    }
}

impl Display for Subquery {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.expr.fmt(f)?;
        self.write_times(f)
    }
}

impl Subquery {
    /// All that stands behind the expression.
    pub(super) fn write_times(&self, f: &mut impl fmt::Write) -> fmt::Result {
        write!(f, "[{}:", self.range)?;
        if let Some(step) = &self.step {
            write!(f, "{step}")?;
        }
        f.write_char(']')?;
        write_at(f, self.at)?;
        write_offset(f, &self.offset)
    }
}

impl Display for DurationArg {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Millis(millis) => f.write_str(&format_millis(*millis)),
            Self::Expr(expr) => expr.fmt(f),
        }
    }
}

impl Display for DurationExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            DurationKind::Number(number) => number.fmt(f),
            DurationKind::Step => f.write_str("step()"),
            DurationKind::Range => f.write_str("range()"),
            DurationKind::Min(a, b) => write!(f, "min_of({a}, {b})"),
            DurationKind::Max(a, b) => write!(f, "max_of({a}, {b})"),
            DurationKind::Negate(inner) => write!(f, "-{inner}"),
            DurationKind::Binary(op, a, b) => write!(f, "{a} {} {b}", op.as_str()),
            DurationKind::Paren(inner) => write!(f, "({inner})"),
        }
    }
}

impl Display for Aggregate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.write_operator(f)?;
        f.write_char('(')?;
        write_list(f, ", ", self.param.iter().chain([&self.expr]))?;
        f.write_char(')')
    }
}

impl Aggregate {
    /// All that stands before the parenthesis of the arguments.
    pub(super) fn write_operator(&self, f: &mut impl fmt::Write) -> fmt::Result {
        f.write_str(self.op.as_str())?;
        if self.without || !self.grouping.is_empty() {
            write_labels(f, if self.without { "without" } else { "by" }, &self.grouping)?;
            f.write_char(' ')?;
        }
        Ok(())
    }
}

impl Display for Binary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.lhs.kind {
            // `+Inf ^ x` would read as `+(Inf ^ x)`.
            ExprKind::Number(base) if self.op == BinaryOp::Pow && base.value == f64::INFINITY => f.write_str("Inf")?,
            _ => self.lhs.fmt(f)?,
        }
        f.write_char(' ')?;
        self.write_operator(f)?;
        write!(f, " {}", self.rhs)
    }
}

impl Binary {
    /// The operator and how it finds partners.
    pub(super) fn write_operator(&self, f: &mut impl fmt::Write) -> fmt::Result {
        f.write_str(self.op.as_str())?;
        if self.return_bool {
            f.write_str(" bool")?;
        }
        match &self.matching {
            Some(matching) => write!(f, "{matching}"),
            None => Ok(()),
        }
    }
}

/// Starts with a blank if there is anything to write.
impl Display for VectorMatching {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let group = match self.cardinality {
            Cardinality::OneToOne | Cardinality::ManyToMany => None,
            Cardinality::ManyToOne => Some("group_left"),
            Cardinality::OneToMany => Some("group_right"),
        };
        if self.on || !self.labels.is_empty() || group.is_some() {
            write_labels(f, if self.on { "on" } else { "ignoring" }, &self.labels)?;
        }
        if let Some(group) = group {
            write_labels(f, group, &self.include)?;
        }
        let number = |value| format_float(value, FloatStyle::General);
        match (self.fill.left, self.fill.right) {
            (Some(left), Some(right)) if number(left) == number(right) => write!(f, " fill ({})", number(left)),
            (left, right) => {
                for (word, value) in [("fill_left", left), ("fill_right", right)] {
                    if let Some(value) = value {
                        write!(f, " {word} ({})", number(value))?;
                    }
                }
                Ok(())
            }
        }
    }
}
