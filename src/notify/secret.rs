//! A password or token of the configuration: used, never shown.

use std::borrow::Cow;
use std::fmt;

/// What is shown in a secret's place.
const SHOWN: &str = "<secret>";

/// A text that is neither logged nor shown: it is written as `<secret>` wherever the configuration is.
#[derive(Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(transparent)]
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
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "<secret> Some(<secret>)");
        assert_eq!(serde_json::to_string(&secret).expect("written"), "\"<secret>\"");
    }
}
