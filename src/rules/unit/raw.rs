//! The YAML of a test file as it stands. Scalars are texts, nothing is an empty value, and merge keys bring what has no key of its own,
//! as in rule files.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

use crate::rules::file::{Bases, Exact, Field, Texts};

/// What can be brought by a merge key, too.
pub(super) trait Merged: Sized {
    /// Itself, with what its merge keys bring.
    fn merged(self) -> Self;
}

macro_rules! shape {
    ($name:ident { $($field:ident: $type:ty),* $(,)? }) => {
        #[derive(Debug, Default, serde::Deserialize)]
        #[serde(default, deny_unknown_fields, bound(deserialize = "T: Deserialize<'de> + Default"))]
        pub(super) struct $name<T = Exact> {
            $(pub(super) $field: Field<$type>,)*
            #[serde(rename = "<<")]
            bases: Bases<Self>,
        }

        impl<T> Merged for $name<T> {
            fn merged(mut self) -> Self {
                for base in self.bases.take() {
                    let base = base.merged();
                    $(self.$field.or(base.$field);)*
                }
                self
            }
        }
    };
}

shape!(RawFile {
    rule_files: Vec<T>,
    evaluation_interval: T,
    fuzzy_compare: bool,
    group_eval_order: Vec<T>,
    tests: Vec<Option<RawTest<T>>>,
});

shape!(RawTest {
    name: T,
    interval: T,
    start_timestamp: T,
    input_series: Vec<Option<RawSeries<T>>>,
    alert_rule_test: Vec<Option<RawAlertCase<T>>>,
    promql_expr_test: Vec<Option<RawExpressionCase<T>>>,
    external_labels: Texts<T>,
    external_url: T,
});

shape!(RawSeries { series: T, values: T });

shape!(RawAlertCase {
    eval_time: T,
    alertname: T,
    exp_alerts: Vec<Option<RawAlert<T>>>,
});

shape!(RawAlert {
    exp_labels: Texts<T>,
    exp_annotations: Texts<T>,
});

shape!(RawExpressionCase {
    expr: T,
    eval_time: T,
    exp_samples: Vec<Option<RawSample<T>>>,
});

shape!(RawSample { labels: T, value: Number, histogram: T });

/// The text; nothing is an empty one.
pub(super) fn text(field: Field<Exact>) -> String {
    field.value().unwrap_or_default().0
}

/// The entries; nothing in place of one is an empty one.
pub(super) fn items<T: Merged + Default>(field: Field<Vec<Option<T>>>) -> impl Iterator<Item = T> {
    field.value().unwrap_or_default().into_iter().map(|item| item.unwrap_or_default().merged())
}

/// The entries of a map.
pub(super) fn map(field: Field<Texts<Exact>>) -> BTreeMap<String, String> {
    field.value().map(|texts| texts.0).unwrap_or_default().into_iter().map(|(name, text)| (name, text.0)).collect()
}

/// A number as YAML 1.1 writes it, too: `017` is octal, `1_000` has a thousand, `0b11` three.
#[derive(Debug, Default)]
pub(super) struct Number(pub(super) f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self::default())
    }
}

#[allow(clippy::cast_precision_loss)]
impl Visitor<'_> for Number {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self, E> {
        Ok(Self(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self, E> {
        Ok(Self(number as f64))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self, E> {
        Ok(Self(number as f64))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self, E> {
        old_number(text).map(Self).ok_or_else(|| E::custom(format!("invalid type: string {text:?}, expected a number")))
    }
}

/// What is a number in YAML 1.1 and a text in YAML 1.2.
#[allow(clippy::cast_precision_loss)]
fn old_number(text: &str) -> Option<f64> {
    let clean = text.replace('_', "");
    let unsigned = clean.strip_prefix(['+', '-']).unwrap_or(&clean);
    let lower = unsigned.to_ascii_lowercase();
    let zero = lower.strip_prefix('0').filter(|rest| !rest.is_empty());
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-')) || clean == text && zero.is_none() {
        return None;
    }
    let integer = zero.and_then(|rest| match rest.split_at_checked(1) {
        Some(("x", digits)) => i64::from_str_radix(digits, 16).ok(),
        Some(("b", digits)) => i64::from_str_radix(digits, 2).ok(),
        Some(("o", digits)) => i64::from_str_radix(digits, 8).ok(),
        _ => i64::from_str_radix(rest, 8).ok(),
    });
    let magnitude = match integer {
        Some(integer) => integer as f64,
        None if lower.bytes().all(|byte| byte.is_ascii_digit() || b".e+-".contains(&byte)) => lower.parse().ok()?,
        None => return None,
    };
    Some(if clean.starts_with('-') { -magnitude } else { magnitude })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_yaml_1_1_too() {
        let value = |text: &str| serde_yaml::from_str::<Number>(text).ok().map(|number| number.0);
        for (text, number) in [
            ("5", 5.0),
            ("-1.5e1", -15.0),
            ("0x10", 16.0),
            ("-0x10", -16.0),
            ("0b11", 3.0),
            ("0o17", 15.0),
            ("017", 15.0),
            ("08", 8.0),
            ("1_000", 1000.0),
            ("1_0.5", 10.5),
            (".inf", f64::INFINITY),
        ] {
            assert_eq!(value(text), Some(number), "{text}");
        }
        for text in ["'5'", "five", "true", "_1", "0xg", "1_000s", "[1]", "2001-01-01"] {
            assert_eq!(value(text), None, "{text}");
        }
    }
}
