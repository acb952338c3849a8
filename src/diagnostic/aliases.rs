//! What aliases (`*name`) may make of a text: a few lines of YAML can stand for billions of values.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, EnumAccess, IgnoredAny, MapAccess, SeqAccess, VariantAccess, Visitor};

use super::{Diagnostic, Position};

/// So many values any text may have. Without aliases there are fewer than bytes; with them Go's YAML reader begins to refuse here.
const VALUES_MAX: usize = 400_000;

/// How the library begins to speak of aliases within aliases.
const REPEATED: &str = "repetition limit exceeded";

/// The problem of a text whose aliases stand for far more than is written. It is read once more for that, but only where it has any.
#[must_use]
pub(super) fn excessive_aliases(file: &str, text: &str) -> Option<Diagnostic> {
    excess(file, text, VALUES_MAX)
}

fn excess(file: &str, text: &str, values_max: usize) -> Option<Diagnostic> {
    if !text.contains('&') || !text.contains('*') {
        return None;
    }
    let values_max = values_max.max(text.len());
    let mut values = 0;
    let error = Count { values: &mut values, values_max }.deserialize(serde_yaml::Deserializer::from_str(text)).err()?;
    // Whatever else is wrong is found where it is read in earnest.
    if values <= values_max && !error.to_string().starts_with(REPEATED) {
        return None;
    }
    let place = error.location().map_or(Position::START, |l| Position { line: l.line(), column: l.column() });
    Some(Diagnostic::new(file, text, place, format!("excessive aliasing: the aliases stand for more than {values_max} values")))
}

/// Counts values, those behind aliases each time.
struct Count<'c> {
    values: &'c mut usize,
    values_max: usize,
}

impl Count<'_> {
    fn next(&mut self) -> Count<'_> {
        Count { values: self.values, values_max: self.values_max }
    }
}

impl<'de> DeserializeSeed<'de> for Count<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        *self.values += 1;
        if *self.values > self.values_max {
            return Err(de::Error::custom("too many values"));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Count<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while map.next_key_seed(self.next())?.is_some() {
            map.next_value_seed(self.next())?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(self.next())?.is_some() {}
        Ok(())
    }

    /// A value with a tag (`!name`).
    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<(), A::Error> {
        let (_, value) = tagged.variant::<IgnoredAny>()?;
        value.newtype_variant_seed(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lists of lists: 2^`depth` values in a few lines.
    fn bomb(depth: usize) -> String {
        let lists = (1..=depth).map(|level| format!("a{level}: &a{level} [*a{0}, *a{0}]\n", level - 1));
        std::iter::once("a0: &a0 [x, !t y]\n".to_owned()).chain(lists).collect()
    }

    #[test]
    fn values_behind_aliases_count_each_time() {
        assert!(excess("f", &bomb(4), 400).is_none());
        let problem = excess("f", &bomb(8), 400).expect("too many");
        assert_eq!(problem.message, "excessive aliasing: the aliases stand for more than 400 values");
        assert!(excess("f", &bomb(40), usize::MAX).is_some(), "the library gives up first");
    }

    #[test]
    fn a_text_without_aliases_may_have_as_many_as_it_has() {
        let text = format!("a: '&*'\nb: [{}]\n", "x,".repeat(1_000));
        assert!(excess("f", &text, 10).is_none());
        assert!(excess("f", "a: &a [\nb: *c\n", 10).is_none(), "broken texts are not for here");
    }
}
