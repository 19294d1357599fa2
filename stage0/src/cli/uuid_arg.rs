//! Pods named on the command line.

use std::path::{Path, PathBuf};

use crate::pod::{Pod, PodError, Pods};
use anyhow::Context as _;

/// Reads the UUID that a file holds, as `--uuid-file-save` wrote it.
fn from_file(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("unable to read UUID from file \"{}\"", path.display()))?;
    Ok(text.trim().to_owned())
}

/// The pod that a command is about.
#[derive(Debug, clap::Args)]
pub struct PodArg {
    /// Read the UUID from this file
    #[arg(long, value_name = "FILE")]
    uuid_file: Option<PathBuf>,

    /// The pod
    #[arg(value_name = "UUID")]
    uuid: Option<String>,
}

impl PodArg {
    /// The one pod that is named, by the argument or by the file.
    pub fn find(&self, pods: &Pods) -> anyhow::Result<Pod> {
        one(pods, self.uuid.as_ref(), self.uuid_file.as_ref())
    }

    /// Whether the file can be read, if it is to name the pod.
    pub fn check_file(&self) -> anyhow::Result<()> {
        match (&self.uuid, &self.uuid_file) {
            (None, Some(path)) => from_file(path).map(drop),
            _ => Ok(()),
        }
    }
}

/// The pods that a command is about.
#[derive(Debug, clap::Args)]
pub struct PodArgs {
    /// Read the UUID from this file
    #[arg(long, value_name = "FILE")]
    uuid_file: Option<PathBuf>,

    /// The pods
    #[arg(value_name = "UUID")]
    uuids: Vec<String>,
}

impl PodArgs {
    /// Whether none is named.
    pub fn are_none(&self) -> bool {
        self.uuids.is_empty() && self.uuid_file.is_none()
    }

    /// Whether a file is to name them.
    pub fn are_in_file(&self) -> bool {
        self.uuid_file.is_some()
    }

    /// Their UUIDs, or beginnings of them, for [`find`].
    pub fn prefixes(&self) -> anyhow::Result<Vec<String>> {
        match (self.uuids.as_slice(), &self.uuid_file) {
            ([], None) => anyhow::bail!("at least one UUID must be given"),
            ([], Some(path)) => Ok(vec![from_file(path)?]),
            (uuids, None) => Ok(uuids.to_vec()),
            (_, Some(_)) => anyhow::bail!("UUIDs and --uuid-file are mutually exclusive"),
        }
    }
}

/// The pod that an argument or a file names.
pub fn one(pods: &Pods, argument: Option<&String>, file: Option<&PathBuf>) -> anyhow::Result<Pod> {
    match (argument, file) {
        (Some(_), Some(_)) => anyhow::bail!("a UUID and --uuid-file are mutually exclusive"),
        (Some(prefix), None) => find(pods, prefix),
        (None, Some(path)) => find(pods, &from_file(path)?),
        (None, None) => anyhow::bail!("a UUID must be given"),
    }
}

/// The one pod whose UUID begins like that.
pub fn find(pods: &Pods, prefix: &str) -> anyhow::Result<Pod> {
    let uuid = pods.find(prefix).map_err(|error| match error {
        PodError::EmptyUuid => anyhow::Error::new(error),
        other => anyhow::Error::new(other).context("unable to resolve UUID"),
    })?;
    pods.open(uuid).with_context(|| format!("problem getting pod \"{uuid}\""))
}
