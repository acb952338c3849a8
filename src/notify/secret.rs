//! A password or token of the configuration: used, never shown.

use std::borrow::Cow;
use std::fmt;

use serde::de::Error;

/// What is shown in a secret's place.
const SHOWN: &str = "<secret>";
const NO_TEXT: &str = "a secret is a text; put it in quotes";

/// A text that is neither logged nor shown: it is written as `<secret>` wherever the configuration is.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for whoever sends it.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SHOWN)
    }
}

impl<'de> serde::Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Text)
    }
}

/// Takes a text, and does not repeat what else there is: a password of digits is one all the same.
struct Text;

impl serde::de::Visitor<'_> for Text {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text in quotes")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Secret, E> {
        Ok(Secret(text.to_owned()))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Secret, E> {
        Err(E::custom(NO_TEXT))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Secret, E> {
        Err(E::custom(NO_TEXT))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Secret, E> {
        Err(E::custom(NO_TEXT))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Secret, E> {
        Err(E::custom(NO_TEXT))
    }
}

impl serde::Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(SHOWN)
    }
}

impl schemars::JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": "A password or token; it is never shown." })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_and_never_shown() {
        let secret: Secret = serde_yaml::from_str("hunter2").expect("a text");
        assert_eq!(secret.reveal(), "hunter2");
        for digits in ["918273645", "-918273645", "91827.3645", "true"] {
            let error = serde_json::from_str::<Secret>(digits).expect_err("no text").to_string();
            assert!(error.contains(NO_TEXT) && !error.contains(digits), "{error}");
        }
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "<secret> Some(<secret>)");
        assert_eq!(serde_json::to_string(&secret).expect("written"), "\"<secret>\"");
    }
}
