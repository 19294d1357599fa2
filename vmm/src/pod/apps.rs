//! The entrypoints `app/add`, `app/start`, `app/stop` and `app/rm`: they change the apps of a running pod.
//!
//! The pod itself looks at no file for that: whoever adds an app describes it to the pod, and mounts its volumes where
//! they reach the pod's mount namespace. stage0 has mounted its root file system likewise.

use std::io::{self, Write};

use agent::protocol::AppSpec;
use appc::{ImageManifest, PodManifest, RuntimeApp};

use super::{
    arguments::AppArguments,
    clients::wire::{Change, Reply, Request},
    directory::{DirectoryError, PodDirectory},
    enter::{self, EnterError},
    error::PodError,
    hints::Hints,
    signals::Ending,
    spec,
    volumes::{self, VolumeError, later},
};

/// The status of `app/stop` when the app does not run (`rkt-reference` §3.2).
const NOT_RUNNING: i32 = 5;

/// Why the apps of a pod could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The manifest, the image's manifest, or marks.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The manifest does not have it.
    #[error("Pod manifest has no app \"{0}\"")]
    NotInManifest(String),
    /// Where the guest sees its root file system.
    #[error("Cannot mount the app's root file system for the guest")]
    Rootfs(#[source] io::Error),
    /// Its volumes.
    #[error("Cannot provide the volumes of app \"{app}\"")]
    Volumes {
        /// The app.
        app: String,
        /// Why.
        source: VolumeError,
    },
    /// The pod does not do it, or is not there.
    #[error(transparent)]
    Call(#[from] EnterError),
}

/// Adds an app, which the pod manifest has already, to the running pod. It is not started.
pub fn add(arguments: &AppArguments) -> Result<Ending, PodError> {
    let directory = PodDirectory::current();
    let (manifest, image) = described(&directory, &arguments.app)?;
    let app = in_manifest(&manifest, &arguments.app)?;
    let hints = Hints::of(app, &image);
    let failed = |source| AppError::Volumes { app: arguments.app.clone(), source };
    let (mounts, warnings) = later::add(&manifest, app, &image, &directory).map_err(failed)?;
    for line in hints.warnings.iter().chain(&warnings) {
        // Nobody may be there to read it.
        let _ = writeln!(io::stderr(), "{line}");
    }
    let rootfs = volumes::show_rootfs(&arguments.app, &directory).map_err(AppError::Rootfs)?;
    let spec = AppSpec { rootfs, ..spec::describe(app, false, &hints, &mounts) };
    let add = Change::Add { runtime: Box::new(app.clone()), spec: Box::new(spec) };
    if let Err(error) = change(&directory, add) {
        volumes::hide_rootfs(&arguments.app, &directory).map_err(AppError::Rootfs)?;
        later::remove(&manifest, app, &image, &directory).map_err(failed)?;
        return Err(error.into());
    }
    directory.mark_created(&arguments.app).map_err(AppError::from)?;
    Ok(Ending::Status(0))
}

/// Starts an app, and waits until its program is executed.
pub fn start(arguments: &AppArguments) -> Result<Ending, PodError> {
    change(&PodDirectory::current(), Change::Start { app: arguments.app.clone() })?;
    Ok(Ending::Status(0))
}

/// Ends an app, and waits for its end.
pub fn stop(arguments: &AppArguments) -> Result<Ending, PodError> {
    let app = arguments.app.clone();
    Ok(match change(&PodDirectory::current(), Change::Stop { app })? {
        Reply::NotRunning => Ending::Status(NOT_RUNNING),
        _ => Ending::Status(0),
    })
}

/// Removes an app that does not run, with its volumes; its root file system is stage0's to unmount. One that the pod does
/// not know, because it could not be added, is as good as removed.
pub fn remove(arguments: &AppArguments) -> Result<Ending, PodError> {
    let directory = PodDirectory::current();
    match change(&directory, Change::Remove { app: arguments.app.clone() }) {
        Ok(_) => {}
        Err(EnterError::Refused(_)) if !is_known(&directory, &arguments.app)? => {}
        Err(error) => return Err(AppError::from(error).into()),
    }
    volumes::hide_rootfs(&arguments.app, &directory).map_err(AppError::Rootfs)?;
    let (manifest, image) = described(&directory, &arguments.app)?;
    let app = in_manifest(&manifest, &arguments.app)?;
    later::remove(&manifest, app, &image, &directory)
        .map_err(|source| AppError::Volumes { app: arguments.app.clone(), source })?;
    directory.clear_status(&arguments.app, true).map_err(AppError::from)?;
    Ok(Ending::Status(0))
}

/// Whether the running pod has the app.
fn is_known(directory: &PodDirectory, app: &str) -> Result<bool, EnterError> {
    match enter::ask(directory, &Request::Streams { app: app.to_owned() }) {
        Ok(_) => Ok(true),
        Err(EnterError::Refused(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

fn described(directory: &PodDirectory, app: &str) -> Result<(PodManifest, ImageManifest), AppError> {
    Ok((directory.manifest()?, directory.image_manifest(app)?))
}

fn in_manifest<'a>(manifest: &'a PodManifest, app: &str) -> Result<&'a RuntimeApp, AppError> {
    manifest.app(app).ok_or_else(|| AppError::NotInManifest(app.to_owned()))
}

fn change(directory: &PodDirectory, change: Change) -> Result<Reply, EnterError> {
    enter::ask(directory, &Request::Change(change))
}
