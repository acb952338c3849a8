//! A rule file's text and a template without files and without an agent: for whoever tries them out.

use std::borrow::Cow;

use super::config::{Config, Packs};
use super::file::UnknownKeys;
use super::instant::Asker;
use super::set::{RuleSet, Source, assemble};
use super::template::{Data, Template};
use crate::model::{Labels, Timestamp};
use crate::promql::Engine;

/// What a rule file's text amounts to, without the packs.
#[must_use]
pub fn check_text(file: &str, text: &str) -> RuleSet {
    let config = Config { packs: Packs::all(false), ..Config::default() };
    assemble(&config, vec![Source { name: file.to_owned(), text: text.to_owned(), is_local: false }], Vec::new(), UnknownKeys::Refused)
}

/// What a template of an alert makes of a result: its labels and its value. `query` in it asks the engine.
///
/// # Errors
/// When it is no template, or cannot be evaluated.
pub fn expand_template(text: &str, labels: &Labels, value: f64, at: Timestamp, engine: &Engine) -> Result<String, String> {
    let template = Template::parse("A", text).map_err(|error| error.to_string())?;
    let asker = Asker::new(engine, at);
    let ask = |query: &str| asker.ask(query);
    let data = Data { labels, external_labels: &Labels::empty(), external_url: "http://sidewatch", value, at, ask: &ask };
    template.expand(&data).map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_checked_and_a_template_is_expanded() {
        assert_eq!(check_text("f.yml", "groups: [{name: g, rules: [{record: a, expr: up}]}]").rule_count(), 1);
        assert_eq!(check_text("f.yml", "groups: [{name: g, rules: [{record: a, expr: up(}]}]").problems.len(), 1);
        let engine = Engine::new(std::sync::Arc::new(crate::rules::scratch()), crate::promql::EngineConfig::default());
        let expand = |text: &str| expand_template(text, &Labels::from_pairs([("a", "b")]), 0.5, Timestamp::default(), &engine);
        assert_eq!(expand("{{ $labels.a }} {{ $value }} {{ query \"up\" | len }}"), Ok("b 0.5 0".to_owned()));
        assert!(expand("{{ $nothing }}").is_err() && expand("{{ 1 | toUpper }}").is_err());
    }
}
