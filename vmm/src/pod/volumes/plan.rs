//! Which volumes the pod has and where its apps want them, as data.

#[cfg(test)]
mod tests;

use std::path::{Component, Path, PathBuf};

use agent::protocol::{MemoryVolume, VolumeMount};
use appc::{AcName, ImageManifest, MountPoint, PodManifest, RuntimeApp, VolumeKind};

use super::{VolumeError, tree::Access};
use crate::pod::hints::from_docker;

/// The volumes of a pod.
#[derive(Debug, Default)]
pub struct Plan {
    /// In the order of their names in the share: `0`, `1` and so on.
    pub volumes: Vec<Volume>,
    /// For each app, what is mounted where; a directory comes before what lies below it.
    pub mounts: Vec<Vec<VolumeMount>>,
    /// Lines for the user.
    pub warnings: Vec<String>,
}

/// A volume of the host that at least one app mounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its name. Volumes of one mount alone have a dot in it, which no name of the pod's has.
    pub name: String,
    /// What it is.
    pub kind: VolumeKind,
    /// Whether an app may write. A machine in which one app may write to a volume is as a whole able to.
    pub writable: bool,
    /// Whether mounts below its source come along.
    pub recursive: bool,
    /// Begins with what an image has.
    pub fill: Option<Fill>,
}

/// What a volume begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fill {
    /// The app whose image it is.
    pub app: AcName,
    /// The path in the image.
    pub path: String,
}

impl Volume {
    /// What the host lets the guest do with it.
    pub fn access(&self) -> Access {
        Access { writable: self.writable, recursive: self.recursive }
    }
}

/// Plans the volumes of a pod; `images` are the manifests of its apps' images.
pub fn plan(manifest: &PodManifest, images: &[ImageManifest]) -> Result<Plan, VolumeError> {
    let mut plan = Plan::default();
    for (app, image) in manifest.apps.iter().zip(images) {
        let mut mounts = explicit(&mut plan, manifest, app)?;
        for point in mount_points(app) {
            let target = clean(&point.path);
            if !mounts.iter().any(|mount| clean(&mount.path) == target) {
                mounts.push(by_name(&mut plan, manifest, app, image, point));
            }
        }
        mounts.sort_by_key(|mount| clean(&mount.path).components().count());
        plan.mounts.push(mounts);
    }
    Ok(plan)
}

/// The mounts that the pod manifest lists.
fn explicit(
    plan: &mut Plan,
    manifest: &PodManifest,
    app: &RuntimeApp,
) -> Result<Vec<VolumeMount>, VolumeError> {
    let mut mounts = Vec::new();
    for (index, mount) in app.mounts.iter().enumerate() {
        let (name, volume) = match &mount.app_volume {
            Some(volume) => (format!("{}.{index}.{}", app.name, volume.name), volume),
            None => {
                let volume = manifest.volumes.iter().find(|volume| volume.name == mount.volume);
                let unknown = || VolumeError::Unknown {
                    app: app.name.clone(),
                    path: mount.path.clone(),
                    volume: mount.volume.clone(),
                };
                (mount.volume.to_string(), volume.ok_or_else(unknown)?)
            }
        };
        let promised = mount_points(app).iter().any(|point| point.name == mount.volume && point.read_only);
        let read_only = volume.read_only.unwrap_or(promised);
        mounts.push(plan.mount(name, volume, &mount.path, read_only, None));
    }
    Ok(mounts)
}

/// The mount of an image's mount point: of the pod's volume of that name, or of one made for it alone.
fn by_name(
    plan: &mut Plan,
    manifest: &PodManifest,
    app: &RuntimeApp,
    image: &ImageManifest,
    point: &MountPoint,
) -> VolumeMount {
    if let Some(volume) = manifest.volumes.iter().find(|volume| volume.name == point.name) {
        let read_only = volume.read_only.unwrap_or(point.read_only);
        return plan.mount(volume.name.to_string(), volume, &point.path, read_only, None);
    }
    let fill = from_docker(image).then(|| Fill { app: app.name.clone(), path: point.path.clone() });
    plan.warnings.push(format!(
        "warning: no volume specified for mount point \"{}\" of app {}, implicitly creating an \"empty\" volume; \
         it will be removed when the pod is garbage-collected",
        point.name, app.name
    ));
    let volume = appc::Volume {
        name: point.name.clone(),
        kind: VolumeKind::Empty { mode: 0o755, uid: 0, gid: 0 },
        read_only: None,
        recursive: None,
    };
    let name = format!("{}-{}", app.name, point.name);
    plan.mount(name, &volume, &point.path, point.read_only, fill)
}

impl Plan {
    /// A mount of a volume, which several mounts may share. One in memory is the guest's affair alone.
    fn mount(
        &mut self,
        name: String,
        volume: &appc::Volume,
        path: &str,
        read_only: bool,
        fill: Option<Fill>,
    ) -> VolumeMount {
        if let VolumeKind::Memory { mode, uid, gid, size } = volume.kind {
            let memory = MemoryVolume { mode, uid, gid, size, own: name != volume.name.as_str() };
            return VolumeMount { source: name, path: path.to_owned(), read_only, memory: Some(memory) };
        }
        let index = match self.volumes.iter().position(|known| known.name == name) {
            Some(index) => index,
            None => {
                let recursive = volume.recursive.unwrap_or(true);
                let kind = volume.kind.clone();
                self.volumes.push(Volume { name, kind, writable: false, recursive, fill });
                self.volumes.len() - 1
            }
        };
        self.volumes[index].writable |= !read_only;
        VolumeMount { source: index.to_string(), path: path.to_owned(), read_only, memory: None }
    }
}

fn mount_points(app: &RuntimeApp) -> &[MountPoint] {
    app.app.as_ref().map_or(&[], |app| &app.mount_points)
}

/// The path without `.`, `..` and repeated slashes, as text: it is a path of the guest.
fn clean(path: &str) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => drop(clean.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    clean
}
