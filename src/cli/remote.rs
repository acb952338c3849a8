//! A Prometheus server, or another agent, whose API is asked: plainly, or with TLS and credentials as a file says.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use hyper::Uri;
use hyper::body::Bytes;

use super::client::{get, server};
use super::print_problems;
use crate::config::hide;
use crate::diagnostic::parse_yaml;
use crate::http::Address;
use crate::notify::Client;
use crate::rules::read_file;

/// How long a server may take to answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Where a server is, and how it is to be reached.
pub(super) enum Remote {
    /// Over plain TCP or a Unix socket, with the path that the API stands below.
    Plain(Address, String),
    /// As a file says; the URL ends before the API's paths begin.
    Guarded(Box<Client>, String),
}

impl Remote {
    /// The server of a URL, and of a file in the form of those for promtool's `--http.config.file`.
    pub(super) fn new(url: &str, config: Option<&Path>) -> anyhow::Result<Self> {
        if config.is_none() && !url.starts_with("https://") {
            let (address, prefix) = server(url).map_err(|error| anyhow!(error))?;
            return Ok(Self::Plain(address, prefix));
        }
        if url.starts_with("unix:") {
            bail!("a Unix socket wants neither TLS nor credentials: leave out --http.config.file");
        }
        let client = config.map(read).transpose()?.unwrap_or_default();
        let base = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let base = base.trim_end_matches('/').to_owned();
        if let Some(fault) = client.faults(&base).first() {
            bail!("{}: {fault}", config.map_or_else(|| base.clone(), |file| file.display().to_string()));
        }
        Ok(Self::Guarded(Box::new(client), base))
    }

    /// Sends a GET and waits for the answer: its status and its body.
    pub(super) fn get(&self, path: &str) -> anyhow::Result<(u16, Bytes)> {
        match self {
            Self::Plain(address, prefix) => {
                let answer = get(address, &format!("{prefix}{path}"))?;
                Ok((answer.status.as_u16(), answer.body))
            }
            Self::Guarded(client, base) => {
                let url: Uri = format!("{base}{path}").parse()?;
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                let reply = runtime.block_on(client.get(&url, TIMEOUT)).map_err(|error| anyhow!(error))?;
                Ok((reply.status, reply.body))
            }
        }
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(address, prefix) => write!(f, "{address}{prefix}"),
            Self::Guarded(_, base) => f.write_str(base),
        }
    }
}

/// Reads such a file; what it names is relative to its folder.
fn read(file: &Path) -> anyhow::Result<Client> {
    let text = read_file(file).with_context(|| format!("cannot read {}", file.display()))?;
    match parse_yaml::<Client>(&file.display().to_string(), &text) {
        Ok(client) => Ok(client.relative_to(file.parent().unwrap_or_else(|| Path::new("")))),
        Err(mut problems) => {
            problems.iter_mut().for_each(hide);
            print_problems(&problems);
            bail!("{} cannot be used", file.display())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str, config: Option<&str>) -> Result<String, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("http.yml");
        std::fs::write(&file, config.unwrap_or_default()).expect("written");
        Remote::new(url, config.map(|_| file.as_path())).map(|remote| remote.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_url_says_where_and_a_file_how() {
        assert_eq!(of("http://a:9090/p/", None), Ok("a:9090/p".to_owned()));
        assert_eq!(of("https://a/p/", None), Ok("https://a/p".to_owned()));
        assert_eq!(of("a:9090", Some("basic_auth: {username: a, password: b}")), Ok("http://a:9090".to_owned()));
        assert!(of("unix:/a", Some("")).is_err_and(|error| error.contains("Unix socket")));
        assert!(
            of("https://a", Some("basic_auth: {username: a}"))
                .is_err_and(|error| error.ends_with("it has neither password nor password_file"))
        );
        assert!(of("https://a", Some("oauth2: {}")).is_err_and(|error| error.ends_with("cannot be used")));
    }
}
