//! The pod's manifest as a whole.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use appc::isolator::Resource;
use appc::{
    AcName, ImageManifest, Isolator, ManifestError, Mount, PodManifest, Quantity, RuntimeApp, ValueError,
    Volume,
};

use super::app::{AppError, AppRequest, runtime_app};
use super::ports::exposed;
use super::{EnvLayers, KeyValue, PodPortFlag, PortError, PortFlag};

/// The annotation of pods whose set of apps may change at run time.
pub const MUTABLE: &str = "coreos.com/rkt/stage1/mutable";

/// What the pod's own flags ask for.
#[derive(Debug, Clone, Default)]
pub struct PodRequest {
    /// Volumes.
    pub volumes: Vec<Volume>,
    /// Mounts into every app.
    pub mounts: Vec<Mount>,
    /// Forwarded ports.
    pub ports: Vec<PortFlag>,
    /// Variables of every app.
    pub environment: EnvLayers,
    /// Whether the app gets the user's terminal.
    pub interactive: bool,
}

/// Why there is no manifest.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// An image cannot become an app.
    #[error(transparent)]
    App(#[from] AppError),
    /// Two apps of one name.
    #[error("error: multiple apps with name {0}")]
    DuplicateApp(AcName),
    /// A mount of a volume that does not exist.
    #[error("dangling mount point \"{path}\": volume \"{volume}\" not found")]
    DanglingMount {
        /// The mount's target.
        path: String,
        /// The volume's name.
        volume: AcName,
    },
    /// A port that cannot be forwarded.
    #[error(transparent)]
    Port(#[from] PortError),
    /// One app can have the terminal.
    #[error("interactive option only supports one image")]
    InteractiveSeveral,
    /// A given manifest names an image without an app section.
    #[error("no app section in the pod manifest or the image manifest of app \"{0}\"")]
    NoAppSection(AcName),
    /// The annotation's name breaks its rule.
    #[error("Invalid annotation")]
    Annotation(#[from] ValueError),
    /// The result breaks the specification's rules.
    #[error("Invalid pod manifest")]
    Manifest(#[from] ManifestError),
}

/// Assembles the manifest of a pod.
pub fn pod_manifest(apps: &[AppRequest<'_>], request: &PodRequest) -> Result<PodManifest, AssembleError> {
    if request.interactive && apps.len() > 1 {
        return Err(AssembleError::InteractiveSeveral);
    }
    let mut manifest = PodManifest { volumes: request.volumes.clone(), ..PodManifest::default() };
    for app in apps {
        let mut app = runtime_app(app, &request.environment, request.interactive)?;
        if manifest.apps.iter().any(|earlier| earlier.name == app.name) {
            return Err(AssembleError::DuplicateApp(app.name));
        }
        add_pod_wide_mounts(&mut app, &request.mounts);
        manifest.apps.push(app);
    }
    manifest.ports = exposed(&request.ports, &manifest.apps)?;
    manifest.annotations.set(MUTABLE.parse()?, "false");
    check(&manifest)?;
    Ok(manifest)
}

/// Completes a manifest that the user gave: apps without a section take their image's. `images` are the manifests of
/// the apps' images by app name.
pub fn complete_given_manifest(
    mut manifest: PodManifest,
    images: &BTreeMap<AcName, ImageManifest>,
) -> Result<PodManifest, AssembleError> {
    for app in &mut manifest.apps {
        if app.app.is_none() {
            app.app = images.get(&app.name).and_then(|image| image.app.clone());
        }
        if app.app.is_none() {
            return Err(AssembleError::NoAppSection(app.name.clone()));
        }
    }
    check(&manifest)?;
    Ok(manifest)
}

/// What is asked for a pod without apps, to which some will be added.
#[derive(Debug, Clone, Default)]
pub struct SandboxRequest {
    /// Forwarded ports.
    pub ports: Vec<PodPortFlag>,
    /// How much memory the apps get together.
    pub memory: Option<Quantity>,
    /// How many CPUs.
    pub cpu: Option<Quantity>,
    /// Annotations.
    pub annotations: Vec<KeyValue>,
    /// Annotations for users.
    pub user_annotations: Vec<KeyValue>,
    /// Labels for users.
    pub user_labels: Vec<KeyValue>,
}

/// The manifest of a pod without apps.
pub fn sandbox_manifest(request: SandboxRequest) -> Result<PodManifest, AssembleError> {
    let pairs = |list: Vec<KeyValue>| list.into_iter().map(|KeyValue { key, value }| (key, value)).collect();
    let mut manifest = PodManifest {
        ports: request.ports.into_iter().map(|PodPortFlag(port)| port).collect(),
        user_annotations: pairs(request.user_annotations),
        user_labels: pairs(request.user_labels),
        ..PodManifest::default()
    };
    let memory = request.memory.map(|limit| Isolator::Memory(Resource::limit(limit)));
    let cpu = request.cpu.map(|limit| Isolator::Cpu(Resource::limit(limit)));
    manifest.isolators.0.extend(memory.into_iter().chain(cpu));
    for KeyValue { key, value } in request.annotations {
        manifest.annotations.set(key.parse()?, value);
    }
    manifest.annotations.set(MUTABLE.parse()?, "true");
    check(&manifest)?;
    Ok(manifest)
}

/// The manifest with one more app.
pub fn with_app(mut manifest: PodManifest, app: RuntimeApp) -> Result<PodManifest, AssembleError> {
    if manifest.app(app.name.as_str()).is_some() {
        return Err(AssembleError::DuplicateApp(app.name));
    }
    manifest.apps.push(app);
    check(&manifest)?;
    Ok(manifest)
}

/// A pod-wide mount yields to the app's own at the same place.
fn add_pod_wide_mounts(app: &mut RuntimeApp, mounts: &[Mount]) {
    for mount in mounts {
        let target = clean(&mount.path);
        if !app.mounts.iter().any(|own| clean(&own.path) == target) {
            app.mounts.push(mount.clone());
        }
    }
}

/// The path without `.`, `..` and repeated slashes, as text: it is a path of the guest.
fn clean(path: &str) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                clean.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    clean
}

fn check(manifest: &PodManifest) -> Result<(), AssembleError> {
    for mount in manifest.apps.iter().flat_map(|app| &app.mounts) {
        let known = manifest.volumes.iter().any(|volume| volume.name == mount.volume);
        if !known && mount.app_volume.is_none() {
            return Err(AssembleError::DanglingMount {
                path: mount.path.clone(),
                volume: mount.volume.clone(),
            });
        }
    }
    Ok(manifest.validate()?)
}

impl EnvLayers {
    /// The environment of this process; what is not UTF-8 cannot be passed on.
    pub fn inherit() -> Vec<KeyValue> {
        std::env::vars_os()
            .filter_map(|(key, value)| {
                Some(KeyValue { key: key.into_string().ok()?, value: value.into_string().ok()? })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
