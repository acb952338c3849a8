//! Files that change under a running agent, in every way that files change.

use std::fs;
use std::os::unix::fs::symlink;

use crate::stage::{Agent, Setup, until};

/// A rule file with one alert that always fires.
fn rule(alert: &str) -> String {
    format!("groups:\n  - name: {alert}\n    interval: 1s\n    rules:\n      - alert: {alert}\n        expr: vector(1) > 0\n")
}

fn await_firing(agent: &Agent, alert: &str) {
    until(&format!("{alert} to fire"), || (agent.alert_state(alert)? == "firing").then_some(()));
}

#[test]
fn a_broken_rule_file_keeps_the_running_rules_and_says_where_it_is_wrong() {
    let agent = Setup::new().start();
    agent.write_rules("shop.yml", &rule("Standing"));
    await_firing(&agent, "Standing");

    // The expression of the alert is on line 6, from column 15 on, and breaks off after its operator.
    agent.write_rules("shop.yml", &rule("Standing").replace("vector(1) > 0", "vector(1) >"));
    let verbose = until("the agent to say where the file is wrong", || {
        let verbose = agent.get("/readyz?verbose").body;
        verbose.contains("shop.yml:6:").then_some(verbose)
    });
    assert_eq!(agent.get("/readyz").status, 200, "{verbose}");
    assert_eq!(agent.alert_state("Standing").as_deref(), Some("firing"));
    assert_eq!(agent.metrics().value("sidewatch_rules_last_reload_successful"), Some(0.0));

    agent.write_rules("shop.yml", &rule("Mended"));
    await_firing(&agent, "Mended");
    assert_eq!(agent.alert_state("Standing"), None);
    assert_eq!(agent.metrics().value("sidewatch_rules_last_reload_successful"), Some(1.0));
    assert!(!agent.get("/readyz?verbose").body.contains("shop.yml:6:"));
}

#[test]
fn a_configuration_that_an_editor_renames_into_place_is_taken() {
    let mut agent = Setup::new().start();
    agent.setup.instance = "edited".to_owned();
    let text = agent.setup.configuration();
    fs::write(agent.path("sidewatch.yml~new"), text).unwrap();
    fs::rename(agent.path("sidewatch.yml~new"), agent.path("sidewatch.yml")).unwrap();
    until("the new name in history", || agent.query("up{job=\"node\",instance=\"edited\"}").get(0).cloned());
}

#[test]
fn a_broken_configuration_leaves_the_running_one_in_force() {
    let agent = Setup::new().start();
    let mut broken = agent.setup.configuration();
    broken.push_str("htpp:\n  listen: []\n");
    fs::write(agent.path("sidewatch.yml"), broken).unwrap();
    until("the metric to say so", || (agent.metrics().value("sidewatch_config_last_reload_successful")? == 0.0).then_some(()));
    let verbose = agent.get("/readyz?verbose").body;
    assert!(verbose.contains("sidewatch.yml:"), "{verbose}");
    assert!(agent.log().contains("htpp"), "{}", agent.log());
    assert_eq!(agent.get("/readyz").status, 200);

    fs::write(agent.path("sidewatch.yml"), agent.setup.configuration()).unwrap();
    until("the metric to be 1 again", || (agent.metrics().value("sidewatch_config_last_reload_successful")? == 1.0).then_some(()));
}

/// Kubernetes mounts a ConfigMap as `file -> ..data/file`, `..data -> ..<time>`, and changes it by renaming a new `..data`
/// over the old one: the file itself sees nothing.
#[test]
fn a_swap_of_kubernetes_symbolic_links_is_taken() {
    let mut setup = Setup::new();
    let mount = |setup: &Setup, version: &str| {
        let folder = setup.path(&format!("..{version}"));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("sidewatch.yml"), setup.configuration()).unwrap();
        symlink(format!("..{version}"), setup.path("..data_tmp")).unwrap();
        fs::rename(setup.path("..data_tmp"), setup.path("..data")).unwrap();
    };
    setup.instance = "first".to_owned();
    mount(&setup, "v1");
    symlink("..data/sidewatch.yml", setup.path("sidewatch.yml")).unwrap();
    let mut agent = setup.start();
    until("the first name in history", || agent.query("up{job=\"node\",instance=\"first\"}").get(0).cloned());

    agent.setup.instance = "second".to_owned();
    mount(&agent.setup, "v2");
    fs::remove_dir_all(agent.path("..v1")).unwrap();
    until("the second name in history", || agent.query("up{job=\"node\",instance=\"second\"}").get(0).cloned());
}
