//! Asks the running agent to change something, over its control socket.

use std::io::{Error, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{anyhow, bail};
use hyper::Method;
use hyper::body::Bytes;
use nix::unistd::{Gid, Group};

use super::client::{Answer, request};
use crate::config::Source;
use crate::http::Address;

/// How long the agent may take: a silence waits for its disk.
const TIMEOUT: Duration = Duration::from_secs(15);
/// A reload reads everything again.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(75);

/// Where a reload is asked for.
pub(super) const RELOAD: &str = "/-/reload";

/// Where the agent is.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ControlSocket {
    /// The agent's control socket [default: the configuration's, else the service's]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

impl ControlSocket {
    /// Sends a request and waits for the answer. Whoever may not ask is told what to do.
    pub(super) fn ask(&self, source: &Source, method: &Method, path: &str, body: Vec<u8>) -> anyhow::Result<Answer> {
        let own = || super::configuration(source).control.path.unwrap_or_else(|| source.places.sockets.join("control.sock"));
        let socket = self.socket.clone().unwrap_or_else(|| super::or_the_services(own(), "control.sock"));
        let limit = if path == RELOAD { RELOAD_TIMEOUT } else { TIMEOUT };
        let answer = request(&Address::Unix(socket.clone()), method, path, Bytes::from(body), limit)
            .map_err(|error| anyhow!("no agent answers at {}: {error:#}\n  {}", socket.display(), advice(&error, &socket)))?;
        if answer.status.as_u16() == 403 {
            bail!("{}\n  {}", String::from_utf8_lossy(&answer.body).trim_end(), join(&socket));
        }
        Ok(answer)
    }
}

fn advice(error: &anyhow::Error, socket: &Path) -> String {
    match error.downcast_ref::<Error>().map(Error::kind) {
        Some(ErrorKind::PermissionDenied) => join(socket),
        Some(ErrorKind::TimedOut) => {
            "the agent is busy, or that is its socket for events and not its control socket (control.sock)".to_owned()
        }
        _ => "start one with `sidewatch run`, or say where its control socket is with --socket".to_owned(),
    }
}

/// How to be let in.
fn join(socket: &Path) -> String {
    let group = std::fs::metadata(socket).ok().map(|metadata| Gid::from_raw(metadata.gid()));
    let named = group.and_then(|gid| Group::from_gid(gid).ok().flatten()).map(|group| group.name);
    match named.or_else(|| group.map(|gid| gid.to_string())) {
        Some(group) => format!("members of the group {group} may use it (`usermod --append --groups {group} USER`), and root"),
        None => "members of its group may use it, and root".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_only_listens_is_probably_the_one_for_events() {
        let error = Error::new(ErrorKind::TimedOut, "no answer within 15 s").into();
        assert!(advice(&error, Path::new("/events.sock")).contains("its socket for events"));
    }
}
