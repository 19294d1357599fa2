//! Pods named on the command line.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use uuid::Uuid;

use crate::pod::{Pod, PodError, Pods};

/// Reads the UUID that a file holds, as `--uuid-file-save` wrote it.
pub fn from_file(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("unable to read UUID from file \"{}\"", path.display()))?;
    Ok(text.trim().to_owned())
}

/// The one pod that a command is about: named by an argument, or by a file.
pub fn one(pods: &Pods, argument: Option<&String>, file: Option<&PathBuf>) -> anyhow::Result<Pod> {
    let prefix = match (argument, file) {
        (Some(_), Some(_)) => anyhow::bail!("a UUID and --uuid-file are mutually exclusive"),
        (Some(prefix), None) => prefix.clone(),
        (None, Some(path)) => from_file(path)?,
        (None, None) => anyhow::bail!("a UUID must be given"),
    };
    let uuid = find(pods, &prefix)?;
    pods.open(uuid).with_context(|| format!("problem getting pod \"{uuid}\""))
}

/// The pods that a command is about. Those that cannot be found are reported one by one.
pub fn several(arguments: &[String], file: Option<&PathBuf>) -> anyhow::Result<Vec<String>> {
    match (arguments, file) {
        ([], None) => anyhow::bail!("at least one UUID must be given"),
        ([], Some(path)) => Ok(vec![from_file(path)?]),
        (arguments, None) => Ok(arguments.to_vec()),
        (_, Some(_)) => anyhow::bail!("UUIDs and --uuid-file are mutually exclusive"),
    }
}

fn find(pods: &Pods, prefix: &str) -> anyhow::Result<Uuid> {
    pods.find(prefix).map_err(|error| match error {
        PodError::EmptyUuid => anyhow::Error::new(error),
        other => anyhow::Error::new(other).context("unable to resolve UUID"),
    })
}
