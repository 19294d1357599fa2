//! Ports of the host that other pods have: the first of two equal forwards would silently get all connections.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};

use super::{
    ports::{self, PortError},
    record::Record,
};
use crate::pod::directory::{DirectoryError, PodDirectory};

/// Held while ports are compared with those of other pods and noted as this one's.
const LOCK: &str = "networkLock";

/// Why a port could not be compared with those of other pods.
#[derive(Debug, thiserror::Error)]
pub enum NeighbourError {
    /// The lock.
    #[error("Cannot lock the ports of pods")]
    Lock(#[source] io::Error),
    /// Somebody has it.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The pod's directory.
    #[error("Cannot use the pod's directory")]
    Directory(#[from] DirectoryError),
}

/// Notes the networks of a pod, unless somebody has one of its ports.
pub fn reserve(record: &Record, directory: &PodDirectory) -> Result<(), NeighbourError> {
    if record.ports().next().is_none() {
        return Ok(record.save(directory)?);
    }
    let root = directory.root().canonicalize().map_err(NeighbourError::Lock)?;
    let _lock = lock(&root).map_err(NeighbourError::Lock)?;
    for port in record.ports() {
        ports::check_host(port)?;
    }
    for neighbour in neighbours(&root) {
        check(record, &neighbour)?;
    }
    Ok(record.save(directory)?)
}

/// `pods/run/UUID` is below the data directory, in which locks have a directory of their own.
fn lock(root: &Path) -> io::Result<File> {
    let data = root.ancestors().nth(3).unwrap_or(root);
    let directory = data.join("locks");
    fs::create_dir_all(&directory)?;
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(directory.join(LOCK))?;
    flock(&file, FlockOperation::LockExclusive)?;
    Ok(file)
}

/// The directories of other pods that have run and are still there.
fn neighbours(root: &Path) -> Vec<PathBuf> {
    let pods = root.ancestors().nth(2).unwrap_or(root);
    let places = ["run", "exited-garbage"].map(|place| pods.join(place));
    let entries = places.iter().filter_map(|place| fs::read_dir(place).ok()).flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path != root).collect()
}

fn check(record: &Record, neighbour: &Path) -> Result<(), PortError> {
    // Pods come and go while they are looked at; one that cannot be read has no ports.
    let Ok(Some(theirs)) = Record::load(&PodDirectory::at(neighbour)) else { return Ok(()) };
    if theirs.left {
        return Ok(());
    }
    let taken = |port: &&ports::PortMapping| theirs.ports().any(|other| ports::clash(other, port));
    match record.ports().find(taken) {
        None => Ok(()),
        Some(port) => Err(PortError::Pod {
            wanted: port.clone(),
            pod: neighbour.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        }),
    }
}
