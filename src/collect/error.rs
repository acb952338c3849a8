//! Why a collector could not sample.

use std::io;
use std::path::PathBuf;

/// Why a collector could not sample. Each level states itself only; print it with [`crate::telemetry::chain`].
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// A file of the kernel could not be opened, read or listed.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file of the kernel does not look as its documentation says.
    #[error("{file} has {wanted} missing or malformed: {line:?}")]
    Malformed {
        /// Which file, below its root.
        file: &'static str,
        /// What was looked for.
        wanted: &'static str,
        /// Where it was looked for, shortened.
        line: String,
    },
    /// `sysinfo` gave no answer.
    #[error("sysinfo cannot tell {what}")]
    Sysinfo {
        /// What it was asked for.
        what: &'static str,
        /// What it said, where it said something.
        #[source]
        source: Option<sysinfo::Error>,
    },
    /// The configuration cannot be used; [`super::Config::check`] finds this beforehand.
    #[error("{0}")]
    Config(String),
    /// The collector has a defect. It was made anew.
    #[error("the collector panicked: {0}")]
    Panicked(String),
}

impl CollectError {
    /// All values of the label `reason`.
    pub(super) const REASONS: [&'static str; 5] = ["read", "malformed", "sysinfo", "config", "panic"];

    /// The label `reason` of this error.
    pub(super) const fn reason(&self) -> &'static str {
        match self {
            Self::Read { .. } => "read",
            Self::Malformed { .. } => "malformed",
            Self::Sysinfo { .. } => "sysinfo",
            Self::Config(_) => "config",
            Self::Panicked(_) => "panic",
        }
    }

    /// True where the kernel, or what it runs on, simply has no such file: a value for most collectors, not a failure.
    pub(super) fn is_absent(&self) -> bool {
        // A kernel booted with `psi=0` may have the files and refuse them with EOPNOTSUPP.
        let not_supported = rustix::io::Errno::OPNOTSUPP.raw_os_error();
        matches!(self, Self::Read { source, .. }
            if source.kind() == io::ErrorKind::NotFound || source.raw_os_error() == Some(not_supported))
    }

    pub(super) fn malformed(file: &'static str, wanted: &'static str, line: &str) -> Self {
        Self::Malformed { file, wanted, line: line.chars().take(120).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(source: io::Error) -> CollectError {
        CollectError::Read { path: "/proc/pressure/cpu".into(), source }
    }

    #[test]
    fn absence_is_told_from_failure() {
        assert!(read(io::ErrorKind::NotFound.into()).is_absent());
        assert!(read(io::Error::from_raw_os_error(rustix::io::Errno::OPNOTSUPP.raw_os_error())).is_absent());
        assert!(!read(io::ErrorKind::PermissionDenied.into()).is_absent());
        assert!(!CollectError::malformed("stat", "a number", "x").is_absent());
    }

    #[test]
    fn the_chain_names_the_path_once() {
        let error = read(io::Error::new(io::ErrorKind::PermissionDenied, "permission denied"));
        assert_eq!(crate::telemetry::chain(&error), "cannot read /proc/pressure/cpu: permission denied");
    }
}
