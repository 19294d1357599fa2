//! Volumes of apps that are added to a running pod: mounted in the host's mount namespace, from where they reach that of
//! the pod's stage1.

use std::{fs, io};

use agent::protocol::VolumeMount;
use appc::{ImageManifest, PodManifest, RuntimeApp, VolumeKind};

use super::{VolumeError, lives, plan, plan::Volume, share, source, tree};
use crate::pod::directory::PodDirectory;

/// What an added app mounts where, and lines for the user.
pub type Added = (Vec<VolumeMount>, Vec<String>);

/// Makes the volumes of one app ready. Those of the pod that an earlier app mounts are there already.
pub fn add(
    manifest: &PodManifest,
    app: &RuntimeApp,
    image: &ImageManifest,
    directory: &PodDirectory,
) -> Result<Added, VolumeError> {
    let mut plan = of_app(manifest, app, image)?;
    let mut names = Vec::new();
    for volume in &plan.volumes {
        let name = match is_apps_own(manifest, volume) {
            true => {
                take_away(volume, directory)?;
                lives::name(&volume.name)
            }
            false => volume.name.clone(),
        };
        let target = directory.volumes().join(&name);
        names.push(name);
        if target.exists() {
            continue;
        }
        let path = source::make(volume, directory)?;
        let mount = tree::clone_tree(&path, volume.access()).map_err(|source| VolumeError::Source {
            volume: volume.name.clone(),
            path: path.display().to_string(),
            source,
        })?;
        share::attach(&target, &mount).map_err(VolumeError::Share)?;
    }
    let mut mounts = plan.mounts.pop().unwrap_or_default();
    for mount in mounts.iter_mut().filter(|mount| mount.memory.is_none()) {
        // In this share they have their names.
        if let Some(name) = mount.source.parse::<usize>().ok().and_then(|index| names.get(index)) {
            mount.source.clone_from(name);
        }
    }
    Ok((mounts, plan.warnings))
}

/// Takes the volumes away that only this app had.
pub fn remove(
    manifest: &PodManifest,
    app: &RuntimeApp,
    image: &ImageManifest,
    directory: &PodDirectory,
) -> Result<(), VolumeError> {
    let plan = of_app(manifest, app, image)?;
    let mut own = plan.volumes.iter().filter(|volume| is_apps_own(manifest, volume));
    own.try_for_each(|volume| take_away(volume, directory))
}

fn of_app(
    manifest: &PodManifest,
    app: &RuntimeApp,
    image: &ImageManifest,
) -> Result<plan::Plan, VolumeError> {
    let alone = PodManifest { apps: vec![app.clone()], ..manifest.clone() };
    plan::plan(&alone, std::slice::from_ref(image))
}

fn is_apps_own(manifest: &PodManifest, volume: &Volume) -> bool {
    !manifest.volumes.iter().any(|of_pod| of_pod.name.as_str() == volume.name)
}

fn take_away(volume: &Volume, directory: &PodDirectory) -> Result<(), VolumeError> {
    lives::detach_lives(&directory.volumes(), &volume.name).map_err(VolumeError::Share)?;
    if !matches!(volume.kind, VolumeKind::Empty { .. }) {
        return Ok(());
    }
    match fs::remove_dir_all(directory.shared_volume(&volume.name)) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(VolumeError::Empty { volume: volume.name.clone(), source })
        }
        _ => Ok(()),
    }
}
