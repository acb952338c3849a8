//! Where things are: the folders of a service, or those of a user (XDG base directories).
//! Source: freedesktop.org "XDG Base Directory Specification", systemd.exec(5) for `STATE_DIRECTORY`.

use std::path::{Path, PathBuf};

/// The folders of one agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// The configuration file.
    pub config: PathBuf,
    /// The folder with rule files.
    pub rules: PathBuf,
    /// The folder for sockets.
    pub sockets: PathBuf,
    /// The folder for state.
    pub state: PathBuf,
}

impl Places {
    /// The places of a service: for root, and for whomever systemd gave a state folder.
    #[must_use]
    pub fn of_service(state: Option<&str>) -> Self {
        let config = Path::new("/etc/sidewatch");
        // systemd separates several folders by colons; the first is the agent's.
        let state = state.and_then(|folders| folders.split(':').next()).filter(|folder| !folder.is_empty());
        Self {
            config: config.join("sidewatch.yml"),
            rules: config.join("rules"),
            sockets: PathBuf::from("/run/sidewatch"),
            state: PathBuf::from(state.unwrap_or("/var/lib/sidewatch")),
        }
    }

    /// Finds out whose places are meant. `variable` looks up the environment.
    #[must_use]
    pub fn find(root: bool, variable: impl Fn(&str) -> Option<String>) -> Self {
        let systemd_state = variable("STATE_DIRECTORY");
        if systemd_state.is_some() {
            return Self::of_service(systemd_state.as_deref());
        }
        // The specification: a relative path in one of these is as good as none.
        let folder = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let own = ["XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"].map(folder);
        if root && own.iter().all(Option::is_none) {
            return Self::of_service(None);
        }
        let [config, state, runtime] = own;
        let home = folder("HOME").unwrap_or_else(|| PathBuf::from("/"));
        let config = config.unwrap_or_else(|| home.join(".config")).join("sidewatch");
        let state = state.unwrap_or_else(|| home.join(".local/state")).join("sidewatch");
        let sockets = runtime.map_or_else(|| state.clone(), |runtime| runtime.join("sidewatch"));
        Self { config: config.join("sidewatch.yml"), rules: config.join("rules"), sockets, state }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(root: bool, variables: &[(&str, &str)]) -> Places {
        Places::find(root, |name| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn root_and_systemd_have_the_services_places() {
        assert_eq!(find(true, &[("HOME", "/root")]), Places::of_service(None));
        assert_eq!(find(false, &[("STATE_DIRECTORY", "/var/lib/private/sw:/x")]).state, PathBuf::from("/var/lib/private/sw"));
    }

    #[test]
    fn a_user_has_xdg_folders() {
        let places = find(false, &[("HOME", "/home/a"), ("XDG_RUNTIME_DIR", "/run/user/7")]);
        assert_eq!(places.config, PathBuf::from("/home/a/.config/sidewatch/sidewatch.yml"));
        assert_eq!(places.rules, PathBuf::from("/home/a/.config/sidewatch/rules"));
        assert_eq!(places.state, PathBuf::from("/home/a/.local/state/sidewatch"));
        assert_eq!(places.sockets, PathBuf::from("/run/user/7/sidewatch"));
    }

    #[test]
    fn without_a_runtime_folder_sockets_are_with_the_state() {
        let places = find(false, &[("HOME", "/home/a"), ("XDG_STATE_HOME", "relative")]);
        assert_eq!(places.sockets, places.state);
        assert_eq!(places.state, PathBuf::from("/home/a/.local/state/sidewatch"));
    }
}
