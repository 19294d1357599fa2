//! A pod that this process holds exclusively.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Write as _};
use std::ops::Deref;
use std::os::fd::RawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::lock::{start_writing, sync_dir};
use super::pods::{make_dir_all, rename_durably};
use super::{Place, Pod, PodError};
use appc::PodManifest;

const FILE_MODE: u32 = 0o640;
const LOCK_FILE_MODE: u32 = 0o600;

/// A pod that this process holds exclusively: it may change and move it.
#[derive(Debug)]
pub struct LockedPod {
    pod: Pod,
    /// The lock of changes, of a pod that was taken over by it.
    _changes: Option<File>,
    /// What has been written in the preparation: on disk, all at once, before the pod leaves that.
    written: RefCell<Vec<File>>,
}

impl Deref for LockedPod {
    type Target = Pod;

    fn deref(&self) -> &Pod {
        &self.pod
    }
}

impl LockedPod {
    /// The lock of the pod's directory has been taken, or that of changes.
    pub(super) fn new(pod: Pod, changes: Option<File>) -> Self {
        Self { pod, _changes: changes, written: RefCell::default() }
    }

    /// Moves the pod; its state is that of the new place when this returns, even after a crash, and its files are what they are now.
    pub fn move_to(&mut self, place: Place) -> Result<(), PodError> {
        let parent = self.pod.pods.place(place);
        make_dir_all(&parent).map_err(PodError::io("make directory", &parent))?;
        let (from, to) = (self.path(), self.pod.pods.path(place, self.uuid()));
        if place.outlives_crashes() {
            sync_together(&self.written.take()).map_err(PodError::io("write to disk", &from))?;
            rename_durably(&from, &to)?;
        } else {
            std::fs::rename(&from, &to).map_err(PodError::io("rename", &from))?;
        }
        self.pod.place = place;
        Ok(())
    }

    /// Lets the lock survive `exec`; returns the descriptor that carries it.
    pub fn keep_across_exec(&self) -> Result<RawFd, PodError> {
        self.pod.dir.keep_across_exec().map_err(PodError::io("keep the lock of", &self.path()))
    }

    /// Writes the file whose age is the pod's, and the lock file of later changes to its manifest.
    pub(super) fn mark_created(&mut self) -> Result<(), PodError> {
        self.write("pod-created", b"")?;
        self.write_with_mode("pod.lck", b"", LOCK_FILE_MODE)
    }

    /// Validates and writes the pod's manifest.
    pub fn write_manifest(&self, manifest: &PodManifest) -> Result<(), PodError> {
        let json = manifest.to_vec().map_err(|source| PodError::Manifest { uuid: self.uuid(), source })?;
        self.write("pod", &json)
    }

    /// Writes a file of the pod, making its directories. Readers see, and a crash leaves, the old or the new file, never a part: without
    /// these files a pod could neither be listed nor its networks be left. In a pod in preparation a crash may leave anything.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<(), PodError> {
        self.write_with_mode(name, content, FILE_MODE)
    }

    fn write_with_mode(&self, name: &str, content: &[u8], mode: u32) -> Result<(), PodError> {
        let path = self.path().join(name);
        if let Some(parent) = path.parent() {
            make_dir_all(parent).map_err(PodError::io("make directory", parent))?;
        }
        let durable = self.place.outlives_crashes();
        let file = replace(&path, content, mode, durable).map_err(PodError::io("write", &path))?;
        if !durable && !content.is_empty() {
            self.written.borrow_mut().push(file);
        }
        Ok(())
    }

    /// Copies a file of the pod.
    pub fn copy_file(&self, from: &Path, to: &Path) -> Result<(), PodError> {
        let (from, to) = (self.path().join(from), self.path().join(to));
        std::fs::copy(&from, &to).map_err(PodError::io("write", &to))?;
        Ok(())
    }

    /// Everything written to the pod so far is on disk when this returns.
    pub fn sync(&self) -> Result<(), PodError> {
        self.pod.dir.sync_file_system().map_err(PodError::io("write to disk", &self.path()))
    }

    /// Makes a directory of the pod with its parents.
    pub fn make_dir(&self, name: &Path) -> Result<PathBuf, PodError> {
        let path = self.path().join(name);
        make_dir_all(&path).map_err(PodError::io("make directory", &path))?;
        Ok(path)
    }
}

/// Writes aside, and renames: readers see the old or the new file. If it is `durable`, what is renamed is on disk, and a crash leaves
/// one of them, too.
fn replace(path: &Path, content: &[u8], mode: u32, durable: bool) -> io::Result<File> {
    let aside = aside(path);
    let file = write_new(&aside, content, mode)?;
    if durable && !content.is_empty() {
        file.sync_data()?;
    }
    std::fs::rename(&aside, path)?;
    Ok(file)
}

/// The same; when this returns, a crash leaves the new file.
pub(super) fn replace_durably(path: &Path, content: &[u8]) -> io::Result<()> {
    replace(path, content, FILE_MODE, true)?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// Begun together: a file system that syncs each as it is written commits its journal for each.
fn sync_together(files: &[File]) -> io::Result<()> {
    files.iter().try_for_each(start_writing)?;
    files.iter().try_for_each(File::sync_data)
}

fn aside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    path.with_file_name(name)
}

fn write_new(path: &Path, content: &[u8], mode: u32) -> io::Result<File> {
    let mut file = File::options().write(true).create(true).truncate(true).mode(mode).open(path)?;
    file.write_all(content)?;
    Ok(file)
}
