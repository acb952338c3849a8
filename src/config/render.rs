//! The configuration described from its own types: the documentation's table, and a JSON Schema for editors.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::Config;

/// A JSON Schema of the configuration file.
#[must_use]
pub fn json_schema() -> Value {
    schemars::schema_for!(Config).to_value()
}

/// All keys with their defaults and meanings, as a Markdown table, in the order of the types.
#[must_use]
pub fn options_table() -> String {
    let schema = json_schema();
    let mut table = String::from("| key | default | meaning |\n| --- | --- | --- |\n");
    let defaults = serde_json::to_value(Config::default()).unwrap_or_default();
    describe(&schema, &schema, "", &defaults, &mut table);
    table
}

fn describe(root: &Value, schema: &Value, path: &str, defaults: &Value, table: &mut String) {
    let Some(properties) = resolve(root, schema).get("properties").and_then(Value::as_object) else { return };
    for (key, property) in properties {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let default = defaults.get(key).or_else(|| property.get("default")).unwrap_or(&Value::Null);
        let meaning = text(property).or_else(|| text(resolve(root, property))).unwrap_or_default();
        let nested = resolve(root, property).get("properties").is_some();
        let shown = if nested { String::new() } else { format!("`{}`", yaml(default)) };
        // Writing into a string cannot fail.
        let _infallible = writeln!(table, "| `{path}` | {shown} | {} |", meaning.replace('\n', " ").replace('|', "\\|"));
        describe(root, property, &path, default, table);
        if let Some(element) = resolve(root, property).get("items") {
            describe(root, element, &format!("{path}[]"), &Value::Null, table);
        }
    }
}

/// A default as one would write it in the file.
fn yaml(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) if text.is_empty() => "\"\"".to_owned(),
        Value::String(text) => text.replace('|', "\\|"),
        other => other.to_string().replace('|', "\\|"),
    }
}

fn text(schema: &Value) -> Option<String> {
    schema.get("description").and_then(Value::as_str).map(str::to_owned)
}

/// Follows a `$ref`, also one that stands in an `anyOf` beside null or alone in an `allOf`.
fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let variants = ["anyOf", "allOf"].iter().find_map(|key| schema.get(*key)?.as_array());
    let schema = variants.and_then(|all| all.iter().find(|one| one.get("$ref").is_some())).unwrap_or(schema);
    let target = schema.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix("#/$defs/"));
    target
        .and_then(|name| root.get("$defs").and_then(Value::as_object).and_then(|defs: &Map<String, Value>| defs.get(name)))
        .unwrap_or(schema)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_a_meaning() {
        let table = options_table();
        assert!(table.contains("| `history.resolution` | `5s` | How often"), "{table}");
        let silent: Vec<_> = table.lines().filter(|line| line.ends_with("|  |")).collect();
        assert!(silent.is_empty(), "without a meaning: {silent:#?}");
    }
}
