//! The pod's directory: what stage1 finds there and what it leaves (`rkt-reference` §3.3, §3.4).

#[cfg(test)]
mod tests;

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use appc::{ImageManifest, ManifestError, PodManifest};

use super::{arguments::FileSource, clients::wire::SOCKET};

/// The largest pod manifest that is read, in bytes; the protocol could not carry more to the guest.
const MAX_MANIFEST: u64 = agent::protocol::MAX_FRAME as u64 / 2;
/// The largest image manifest that is read, in bytes.
const MAX_IMAGE_MANIFEST: u64 = 4 << 20;
/// The largest resolv.conf or hosts file that is given to apps, in bytes.
const MAX_NAME_FILE: u64 = 64 << 10;

/// A pod's directory.
#[derive(Debug, Clone)]
pub struct PodDirectory {
    root: PathBuf,
}

/// Why the pod's directory could not be used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// A file could not be read.
    #[error("Cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("Cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is larger than any honest one.
    #[error("File {} has more than {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// How many are read.
        limit: u64,
    },
    /// The manifest of an app's image is not valid.
    #[error("Invalid image manifest {}", path.display())]
    ImageManifest {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<ManifestError>,
    },
    /// The pod manifest is not valid.
    #[error("Invalid pod manifest")]
    Manifest(#[source] ManifestError),
}

impl PodDirectory {
    /// The directory stage0 called us in.
    pub fn current() -> Self {
        Self::at(Path::new("."))
    }

    /// The pod's directory at a path.
    pub fn at(root: &Path) -> Self {
        PodDirectory { root: root.to_owned() }
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What the guest sees as its root share: one directory per app.
    pub fn apps(&self) -> PathBuf {
        self.root.join("stage1/rootfs/opt/stage2")
    }

    /// The root file system of an app.
    pub fn app_rootfs(&self, app: &str) -> PathBuf {
        self.apps().join(app).join("rootfs")
    }

    /// What the guest sees as its share of volumes.
    pub fn volumes(&self) -> PathBuf {
        self.rkt().join("volumes")
    }

    /// Where an empty volume of the pod is.
    pub fn shared_volume(&self, name: &str) -> PathBuf {
        self.root.join("sharedVolumes").join(name)
    }

    /// Reads the manifest of an app's image.
    pub fn image_manifest(&self, app: &str) -> Result<ImageManifest, DirectoryError> {
        let path = self.root.join("appsinfo").join(app).join("manifest");
        let text = read(&path, MAX_IMAGE_MANIFEST)?;
        ImageManifest::from_slice(text.as_bytes())
            .map_err(|source| DirectoryError::ImageManifest { path, source: Box::new(source) })
    }

    /// A file that came with the stage1 image, like the guest's kernel.
    pub fn stage1_file(&self, name: &str) -> PathBuf {
        self.root.join("stage1/rootfs/usr/lib/rkt/stage1").join(name)
    }

    /// The socket over which other entrypoints reach the running pod.
    pub fn socket(&self) -> PathBuf {
        self.root.join(SOCKET)
    }

    /// Where what the apps wrote is kept.
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// Reads the pod manifest.
    pub fn manifest(&self) -> Result<PodManifest, DirectoryError> {
        let text = read(&self.root.join("pod"), MAX_MANIFEST)?;
        PodManifest::from_slice(text.as_bytes()).map_err(DirectoryError::Manifest)
    }

    /// Writes this process's id; the file's age is the pod's.
    pub fn write_pid(&self, pid: u32) -> Result<(), DirectoryError> {
        self.write_file("pid", &format!("{pid}\n"))
    }

    /// Reads the id of the process that runs the pod; `None` before it has written it.
    pub fn pid(&self) -> Result<Option<i32>, DirectoryError> {
        let Some(text) = self.read_file("pid", 32)? else { return Ok(None) };
        match text.trim().parse() {
            Ok(pid) if pid > 0 => Ok(Some(pid)),
            _ => Err(DirectoryError::Read {
                path: self.root.join("pid"),
                source: io::ErrorKind::InvalidData.into(),
            }),
        }
    }

    /// Notes an app's exit status.
    pub fn write_status(&self, app: &str, status: i32) -> Result<(), DirectoryError> {
        self.write_mark(app, &format!("{status}\n"))
    }

    /// Notes how an app fares, as JSON. It is noted often, so not kept from a crash of the host.
    pub fn write_condition(&self, app: &str, json: &str) -> Result<(), DirectoryError> {
        let directory = self.status_directory()?;
        let (name, aside) = (condition(app), format!(".{}.new", condition(app)));
        let path = directory.join(name);
        let aside = directory.join(aside);
        fs::write(&aside, json)
            .and_then(|()| fs::rename(&aside, &path))
            .map_err(|source| DirectoryError::Write { path, source })
    }

    /// Takes back what was noted of an app's end, and with `all` what was noted of it at all.
    pub fn clear_status(&self, app: &str, all: bool) -> Result<(), DirectoryError> {
        let marks = [
            Some(app.to_owned()),
            Some(condition(app)),
            all.then(|| created(app)),
            all.then(|| started(app)),
        ];
        for name in marks.into_iter().flatten() {
            remove(self.rkt().join("status").join(name))?;
        }
        Ok(())
    }

    /// Notes that an app has been added to the pod; the file's age is the app's.
    pub fn mark_created(&self, app: &str) -> Result<(), DirectoryError> {
        self.write_mark(&created(app), "")
    }

    /// Notes that an app of a mutable pod runs; the file's age tells since when.
    pub fn mark_started(&self, app: &str) -> Result<(), DirectoryError> {
        self.write_mark(&started(app), "")
    }

    fn write_mark(&self, name: &str, content: &str) -> Result<(), DirectoryError> {
        write_aside(&self.status_directory()?, name, content)
    }

    fn status_directory(&self) -> Result<PathBuf, DirectoryError> {
        let directory = self.rkt().join("status");
        match fs::create_dir_all(&directory) {
            Ok(()) => Ok(directory),
            Err(source) => Err(DirectoryError::Write { path: directory, source }),
        }
    }

    /// Says that every app has been started.
    pub fn mark_ready(&self) -> Result<(), DirectoryError> {
        let path = self.rkt().join("supervisor-status");
        let aside = self.rkt().join(".supervisor-status");
        let link = || {
            match fs::remove_file(&aside) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => symlink("ready", &aside)?,
            }
            fs::rename(&aside, &path)
        };
        link().map_err(|source| DirectoryError::Write { path: path.clone(), source })
    }

    /// The text of a file of name resolution; `stage0_name` is what stage0 calls the one it made.
    pub fn name_file(
        &self,
        source: FileSource,
        host: &Path,
        stage0_name: &str,
    ) -> Result<Option<String>, DirectoryError> {
        match source {
            FileSource::Default | FileSource::None => Ok(None),
            FileSource::Host => read(host, MAX_NAME_FILE).map(Some),
            FileSource::Stage0 => {
                read(&self.root.join("stage1/rootfs/etc").join(stage0_name), MAX_NAME_FILE).map(Some)
            }
        }
    }

    /// The text of a file directly in the directory; `None` if there is none.
    pub fn read_file(&self, name: &str, limit: u64) -> Result<Option<String>, DirectoryError> {
        match read(&self.root.join(name), limit) {
            Err(DirectoryError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            result => result.map(Some),
        }
    }

    /// Writes a file directly in the directory, whole or not at all.
    pub fn write_file(&self, name: &str, content: &str) -> Result<(), DirectoryError> {
        write_aside(&self.root, name, content)
    }

    /// Removes a file directly in the directory, if there is one.
    pub fn remove_file(&self, name: &str) -> Result<(), DirectoryError> {
        remove(self.root.join(name))
    }

    /// What stage1 tells others about the pod: statuses and the like.
    pub fn rkt(&self) -> PathBuf {
        self.root.join("stage1/rootfs/rkt")
    }
}

/// The mark of an app that has been added to a mutable pod (`rkt-reference` §1.4).
fn created(app: &str) -> String {
    format!("{app}-created")
}

/// How an app fares. No app's name has a dot.
fn condition(app: &str) -> String {
    format!("{app}.condition")
}

/// The mark of an app of a mutable pod that has been started.
fn started(app: &str) -> String {
    format!("{app}-started")
}

fn remove(path: PathBuf) -> Result<(), DirectoryError> {
    match fs::remove_file(&path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(DirectoryError::Write { path, source })
        }
        _ => Ok(()),
    }
}

fn read(path: &Path, limit: u64) -> Result<String, DirectoryError> {
    let mut text = String::new();
    let result = File::open(path).and_then(|file| file.take(limit + 1).read_to_string(&mut text));
    result.map_err(|source| DirectoryError::Read { path: path.into(), source })?;
    if text.len() as u64 > limit {
        return Err(DirectoryError::TooLarge { path: path.into(), limit });
    }
    Ok(text)
}

/// Writes a file so that readers, and a crash, see all of it or none.
fn write_aside(directory: &Path, name: &str, content: &str) -> Result<(), DirectoryError> {
    let path = directory.join(name);
    let aside = directory.join(format!(".{name}.new"));
    let write = || {
        let mut file = File::create(&aside)?;
        file.write_all(content.as_bytes())?;
        file.sync_all()?;
        fs::rename(&aside, &path)?;
        File::open(directory)?.sync_all()
    };
    write().map_err(|source| DirectoryError::Write { path: path.clone(), source })
}
