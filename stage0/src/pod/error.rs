//! What can go wrong with a pod's directory.

use std::io;
use std::path::{Path, PathBuf};

use appc::ManifestError;
use uuid::Uuid;

use super::State;

/// What can go wrong with a pod's directory.
#[derive(Debug, thiserror::Error)]
pub enum PodError {
    /// A file or directory could not be used.
    #[error("Cannot {action} \"{}\"", path.display())]
    Io {
        /// What was to be done.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The pod's manifest is damaged.
    #[error("Cannot use the manifest of pod \"{uuid}\"")]
    Manifest {
        /// The pod.
        uuid: Uuid,
        /// The cause.
        source: ManifestError,
    },
    /// No pod begins so.
    #[error("no matches found for \"{0}\"")]
    NoMatch(String),
    /// Several pods begin so.
    #[error("ambiguous uuid, {0} matches")]
    Ambiguous(usize),
    /// Nothing was given.
    #[error("UUID cannot be empty")]
    EmptyUuid,
    /// The pod went away while it was looked at.
    #[error("pod \"{0}\" was not found")]
    Gone(Uuid),
    /// Another process holds the pod.
    #[error("pod \"{uuid}\" is {state} and locked by another process")]
    Busy {
        /// The pod.
        uuid: Uuid,
        /// Its state.
        state: State,
    },
    /// The pod is not a running one.
    #[error("pod {0} is not running anymore")]
    NotRunning(Uuid),
    /// A file of the pod holds something else than it should.
    #[error("File \"{}\" of the pod holds {found:?} instead of {expected}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
        /// What it holds.
        found: String,
    },
}

impl PodError {
    /// For `map_err`: an error of the system with what was done to which file.
    pub(crate) fn io<E: Into<io::Error>>(
        action: &'static str,
        path: &Path,
    ) -> impl FnOnce(E) -> Self + use<E> {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source: source.into() }
    }
}
