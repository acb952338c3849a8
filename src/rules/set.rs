//! Everything that is to be evaluated: the packs and the files of the rules folder, together.

use std::path::Path;
use std::sync::Arc;

use super::config::Config;
use super::file::{self, Parsed, UnknownKeys};
use super::overlay::{NoData, Overlays};
use super::pack::PACKS;
use super::rule::GroupSpec;
use crate::diagnostic::Diagnostic;
use crate::history::Need;
use crate::promql::{self, EngineConfig, reach_millis};

/// A rule file's name and text.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// Its path, as the user knows it.
    pub(super) name: String,
    /// What it says.
    pub(super) text: String,
    /// It is in the rules folder, where a file takes the place of the pack that has its name.
    pub(super) is_local: bool,
}

/// The groups of all rule files and packs, and what is wrong with the files that are not among them.
#[derive(Debug, Default)]
pub struct RuleSet {
    /// The groups of the files without problems.
    pub groups: Vec<Arc<GroupSpec>>,
    /// Why files are left out.
    pub problems: Vec<Diagnostic>,
    /// What the authors of files should know.
    pub warnings: Vec<Diagnostic>,
    /// The packs that files have taken the place of, each with its file.
    pub(super) replaced: Vec<(&'static str, String)>,
    /// How many files and packs are in force.
    pub loaded: usize,
    /// How many are left out.
    pub broken: usize,
}

impl RuleSet {
    /// How many rules there are.
    #[must_use]
    pub fn rule_count(&self) -> usize {
        self.groups.iter().map(|group| group.rules.len()).sum()
    }

    /// How far back the rule looks that looks furthest.
    pub(super) fn need(&self, config: &EngineConfig) -> Need {
        let needs = self.groups.iter().flat_map(|group| {
            let offset = group.query_offset_millis;
            group.rules.iter().map(move |rule| (reach_millis(&rule.expr, config).saturating_add(offset), rule, group))
        });
        let furthest = needs.max_by_key(|(millis, ..)| *millis);
        furthest.map_or_else(Need::default, |(millis, rule, group)| Need {
            millis,
            by: format!("rule {:?} of {}", rule.text.name, group.file()),
        })
    }
}

/// Puts packs and files together. `unread` are the problems of files that could not be read, `unknown` is what becomes of keys in the others
/// that nobody knows.
pub(super) fn assemble(config: &Config, files: Vec<Source>, unread: Vec<Diagnostic>, unknown: UnknownKeys) -> RuleSet {
    let mut set = RuleSet { broken: unread.len(), problems: unread, ..RuleSet::default() };
    let parse = |source: Source| (file::parse_with(&source.name, &source.text, config.interval.as_millis(), unknown), source);
    let files: Vec<_> = files.into_iter().map(parse).collect();
    for pack in PACKS.iter().filter(|pack| pack.enabled(&config.packs)) {
        let named = |source: &Source| source.is_local && Path::new(&source.name).file_stem().is_some_and(|stem| stem == pack.name);
        // One that is broken has nothing to put in the pack's place.
        match files.iter().find(|(parsed, source)| named(source) && parsed.problems.is_empty()) {
            Some((parsed, source)) => {
                set.replaced.push((pack.name, source.name.clone()));
                if parsed.groups.iter().all(|group| group.rules.is_empty()) {
                    let name = pack.name;
                    let message =
                        format!("it has no rules and takes the place of the built-in pack {name:?}: nothing of that is evaluated");
                    let hint = format!("to switch it off say so with rules.packs.{name}: false, else remove the file");
                    set.warnings.push(Diagnostic::of_file(&source.name, message).with_hint(hint));
                }
            }
            None => {
                let parsed = file::parse(&pack.file(), pack.text, config.interval.as_millis());
                add(&mut set, parsed, Some(config.pack_interval.as_millis().max(1)));
            }
        }
    }
    for (parsed, _) in files {
        add(&mut set, parsed, None);
    }
    lay_over(&mut set, &config.overlay);
    set
}

/// Tells the rules what the configuration says of them.
fn lay_over(set: &mut RuleSet, overlays: &Overlays) {
    for (group, alerts) in overlays {
        for (alert, overlay) in alerts {
            let mut found = false;
            for spec in set.groups.iter_mut().filter(|spec| spec.name == *group) {
                // Nobody else has them yet.
                let Some(spec) = Arc::get_mut(spec) else { continue };
                for rule in spec.rules.iter_mut().filter(|rule| rule.text.timing.is_some() && rule.text.name == *alert) {
                    found = true;
                    rule.overlay = overlay.clone();
                    // The configuration is refused where it cannot be parsed.
                    rule.resolve = overlay.resolve.as_deref().and_then(|text| promql::parse(text).ok());
                    if overlay.no_data != NoData::Resolve && rule.tells_of_data().is_none() {
                        let message = format!(
                            "rules.overlay: group {group:?}, alert {alert:?}: its expression compares no series with a number, so that nobody can tell \
                             a condition that does not hold from missing data: `resolve` has to say what is measured"
                        );
                        set.warnings.push(Diagnostic::of_file(&spec.file, message));
                    }
                }
            }
            // It may be in a file that is broken now.
            if !found && set.problems.is_empty() {
                let message = format!("there is no alert {alert:?} in a group {group:?}");
                set.warnings.push(Diagnostic::of_setting("rules.overlay", message));
            }
        }
    }
}

/// `interval` overrides what the file says.
fn add(set: &mut RuleSet, mut parsed: Parsed, interval: Option<i64>) {
    set.warnings.append(&mut parsed.warnings);
    if parsed.problems.is_empty() {
        set.loaded += 1;
        set.groups.extend(parsed.groups.into_iter().map(|mut group| {
            if let (Some(interval), Some(group)) = (interval, Arc::get_mut(&mut group)) {
                group.interval_millis = interval;
            }
            group
        }));
    } else {
        set.broken += 1;
        set.problems.append(&mut parsed.problems);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PromDuration;
    use crate::rules::config::Packs;
    use crate::rules::pack::Pack;

    fn assemble(config: &Config, files: Vec<Source>, unread: Vec<Diagnostic>) -> RuleSet {
        super::assemble(config, files, unread, UnknownKeys::Refused)
    }

    fn source(name: &str, text: &str) -> Source {
        Source { name: name.into(), text: text.into(), is_local: name.starts_with("/etc/x/") }
    }

    fn files(set: &RuleSet) -> Vec<&str> {
        set.groups.iter().map(|group| group.file()).collect()
    }

    #[test]
    fn the_packs_are_on_unless_switched_off() {
        let config = Config { pack_interval: PromDuration::from_secs(3), ..Config::default() };
        let set = assemble(&config, Vec::new(), Vec::new());
        assert!(set.problems.is_empty(), "{:?}", set.problems);
        assert_eq!(files(&set), PACKS.iter().map(Pack::file).collect::<Vec<_>>());
        assert!(set.groups.iter().all(|group| group.interval_millis == 3_000));
        let config = Config { packs: Packs { errors: true, ..Packs::all(false) }, ..Config::default() };
        assert_eq!(files(&assemble(&config, Vec::new(), Vec::new())), ["pack:errors"]);
    }

    #[test]
    fn a_valid_file_of_the_same_name_in_the_folder_replaces_a_pack() {
        let config = Config { packs: Packs { errors: true, host: true, ..Packs::all(false) }, ..Config::default() };
        let good = assemble(&config, vec![source("/etc/x/host.yaml", "groups: [{name: mine}]")], Vec::new());
        assert_eq!(files(&good), ["pack:errors", "/etc/x/host.yaml"]);
        assert_eq!(good.replaced, [("host", "/etc/x/host.yaml".to_owned())]);
        let elsewhere = assemble(&config, vec![source("/srv/host.json", "groups: [{name: mine}]")], Vec::new());
        assert_eq!((elsewhere.replaced.len(), elsewhere.loaded), (0, 3));
        assert_eq!(elsewhere.groups.last().map(|group| group.file()), Some("/srv/host.json"));
        let broken = assemble(&config, vec![source("/etc/x/host.yml", "nonsense")], Vec::new());
        assert_eq!((broken.loaded, broken.broken, broken.replaced.len()), (2, 1, 0));
        assert!(files(&broken).contains(&"pack:host"), "what works is better than nothing");
    }

    #[test]
    fn a_file_without_rules_does_not_switch_a_pack_off_unnoticed() {
        let config = Config { packs: Packs { errors: true, ..Packs::all(false) }, ..Config::default() };
        let warnings = |config: &Config, text: &str| -> Vec<String> {
            let set = assemble(config, vec![source("/etc/x/errors.yml", text)], Vec::new());
            set.warnings.iter().map(ToString::to_string).collect()
        };
        for text in ["", "groups: []", "groups: [{name: g}]"] {
            let told = warnings(&config, text);
            assert!(told.len() == 1 && told[0].contains("takes the place of the built-in pack \"errors\""), "{text}: {told:?}");
        }
        assert_eq!(warnings(&config, "groups: [{name: g, rules: [{record: a, expr: up}]}]"), Vec::<String>::new());
        assert_eq!(warnings(&Config { packs: Packs::all(false), ..Config::default() }, ""), Vec::<String>::new());
    }

    #[test]
    fn the_rule_that_looks_furthest_says_what_is_needed() {
        let config = Config { packs: Packs::all(false), ..Config::default() };
        let need = |text: &str| assemble(&config, vec![source("a.yml", text)], Vec::new()).need(&EngineConfig::default());
        let rules = "[{record: a, expr: 'rate(x_total[1h])'}, {record: b, expr: 'up offset 1d'}, {alert: C, expr: 'up == 0'}]";
        let of_b = |millis| Need { millis, by: "rule \"b\" of a.yml".to_owned() };
        assert_eq!(need(&format!("groups: [{{name: g, rules: {rules}}}]")), of_b(86_700_000));
        assert_eq!(need(&format!("groups: [{{name: g, query_offset: 1m, rules: {rules}}}]")), of_b(86_760_000));
        assert_eq!(need("groups: []"), Need::default());
    }

    #[test]
    fn what_the_configuration_says_of_an_alert_reaches_its_rules() {
        let overlay =
            serde_yaml::from_str("g: {A: {no_data: keep, owner: core}, B: {no_data: fire, resolve: y}, C: {no_data: keep}, D: {}}")
                .expect("readable");
        let config = Config { packs: Packs::all(false), overlay, ..Config::default() };
        let text = "groups: [{name: g, rules: [{alert: A, expr: x > 1}, {alert: B, expr: absent(y)}, {alert: C, expr: x > y}]}, {name: h, rules: [{alert: A, expr: x}]}]";
        let set = assemble(&config, vec![source("a.yml", text)], Vec::new());
        let owners: Vec<_> = set.groups.iter().flat_map(|group| &group.rules).map(|rule| rule.overlay.owner.as_deref()).collect();
        assert_eq!(owners, [Some("core"), None, None, None]);
        let warnings: Vec<_> = set.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(warnings[0].contains("alert \"C\": its expression compares no series with a number"), "{warnings:?}");
        assert_eq!(warnings[1], "rules.overlay: there is no alert \"D\" in a group \"g\"");
    }

    #[test]
    fn a_broken_file_is_left_out_whole() {
        let two = "groups: [{name: a}, {name: a}]";
        let config = Config { packs: Packs::all(false), ..Config::default() };
        let set = assemble(&config, vec![source("a.yml", two), source("b.yml", "groups: [{name: b}]")], Vec::new());
        assert_eq!((files(&set), set.loaded, set.broken), (vec!["b.yml"], 1, 1));
    }
}
