//! Carries out the steps of [`super::plan`] in the mount namespace of the calling process.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::{Mode, SFlag, makedev, mknodat};
use nix::unistd::{chdir, fchdir, pivot_root};

use super::plan::{Step, Volume};
use super::walk::{Root, is_directory, through};
use crate::layout::{HIDDEN_DIRECTORY, HIDDEN_FILE};

/// Why an app's root file system cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// The directory itself.
    #[error("Cannot use \"{path}\" as root file system")]
    Rootfs {
        /// The agent's path of it.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A step.
    #[error("Cannot {action} \"{path}\" in the app's root file system")]
    Step {
        /// What was tried.
        action: &'static str,
        /// The app's path.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The last step.
    #[error("Cannot make the app's root file system the root")]
    Pivot(#[source] io::Error),
}

/// Makes the directory `rootfs` the root of the calling process, which must have a mount namespace of its own.
pub fn enter(rootfs: &Path, steps: &[Step], read_only: bool) -> Result<(), RootError> {
    let failed = |source: io::Error| RootError::Rootfs { path: rootfs.display().to_string(), source };
    let bind = MsFlags::MS_BIND | MsFlags::MS_REC;
    plain_mount(Some(rootfs), rootfs, bind).map_err(failed)?;
    let root = Root::open(rootfs).map_err(failed)?;
    for step in steps {
        apply(&root, step).map_err(|source| describe(step, source))?;
    }
    if read_only {
        plain_mount(None, rootfs, MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY)
            .map_err(failed)?;
    }
    pivot(&root).map_err(|error| RootError::Pivot(error.into()))
}

/// The old root ends up below the new one, from where it is cut off: nothing of the agent's stays in reach.
fn pivot(root: &Root) -> nix::Result<()> {
    fchdir(root.as_fd())?;
    pivot_root(".", ".")?;
    umount2(".", MntFlags::MNT_DETACH)?;
    chdir("/")
}

fn describe(step: &Step, source: io::Error) -> RootError {
    let (action, path) = match step {
        Step::Directory { path, .. } => ("make directory", *path),
        Step::Mount { path, .. } => ("mount on", *path),
        Step::Device { path, .. } => ("make device", *path),
        Step::Link { path, .. } => ("make link", *path),
        Step::Bind { path, .. } => ("bind over", path.as_str()),
        Step::Volume(volume) => ("mount a volume on", volume.path.as_str()),
        Step::Hide { path } => ("hide", *path),
        Step::Freeze { path } => ("protect", *path),
    };
    RootError::Step { action, path: path.to_owned(), source }
}

fn apply(root: &Root, step: &Step) -> io::Result<()> {
    match step {
        Step::Directory { path, mode } => root.ensure_directory(path, *mode).map(drop),
        Step::Mount { kind, path, flags, options } => {
            let target = root.ensure_directory(path, 0o755)?;
            let options = (!options.is_empty()).then_some(*options);
            Ok(mount(Some(*kind), &through(&target), Some(*kind), *flags, options)?)
        }
        Step::Device { path, number } => device(root, path, *number),
        Step::Link { path, target } => absent_is_fine(root.ensure_link(path, target)),
        Step::Bind { source, path, only_if_missing } => bind(root, source, path, *only_if_missing),
        Step::Volume(Volume { source, path, read_only, .. }) => volume(root, source, path, *read_only),
        Step::Hide { path } => absent_is_fine(hide(root, path)),
        Step::Freeze { path } => absent_is_fine(freeze(root, path)),
    }
}

fn device(root: &Root, path: &str, (major, minor): (u64, u64)) -> io::Result<()> {
    let path = Path::new(path);
    let parent = root.find(&path.parent().unwrap_or(Path::new("/")).to_string_lossy())?;
    let name = path.file_name().ok_or(Errno::EINVAL)?;
    let mode = Mode::from_bits_truncate(0o666);
    Ok(mknodat(parent, name, SFlag::S_IFCHR, mode, makedev(major, minor))?)
}

fn bind(root: &Root, source: &str, path: &str, only_if_missing: bool) -> io::Result<()> {
    if only_if_missing && root.find(path).is_ok() {
        return Ok(());
    }
    let source = Path::new(source);
    plain_mount(Some(source), &through(&target_like(root, source, path)?), MsFlags::MS_BIND)
}

fn volume(root: &Root, source: &Path, path: &str, read_only: bool) -> io::Result<()> {
    let target = target_like(root, source, path)?;
    plain_mount(Some(source), &through(&target), MsFlags::MS_BIND | MsFlags::MS_REC)?;
    if !read_only {
        return Ok(());
    }
    let remount = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
    plain_mount(None, &through(&root.find(path)?), remount)
}

/// What `path` names, made as a directory or file like `source` if there is nothing.
fn target_like(root: &Root, source: &Path, path: &str) -> io::Result<OwnedFd> {
    if source.metadata()?.is_dir() { root.ensure_directory(path, 0o755) } else { root.ensure_file(path) }
}

fn hide(root: &Root, path: &str) -> io::Result<()> {
    let target = root.find(path)?;
    let cover = if is_directory(&target)? { HIDDEN_DIRECTORY } else { HIDDEN_FILE };
    plain_mount(Some(Path::new(cover)), &through(&target), MsFlags::MS_BIND)
}

fn freeze(root: &Root, path: &str) -> io::Result<()> {
    let covered = root.find(path)?;
    plain_mount(Some(&through(&covered)), &through(&covered), MsFlags::MS_BIND)?;
    // The descriptor still names what the new mount covers.
    let target = root.find(path)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let remount = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
    plain_mount(None, &through(&target), remount | flags)
}

fn plain_mount(source: Option<&Path>, target: &Path, flags: MsFlags) -> io::Result<()> {
    Ok(mount(source, target, None::<&str>, flags, None::<&str>)?)
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
