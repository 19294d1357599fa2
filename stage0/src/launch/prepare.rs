//! Filling a pod's directory (reference §3.4).

use std::path::Path;

use appc::{AcName, ImageManifest, PodManifest};

use super::{LaunchError, check_image};
use crate::pod::layers::{STAGE1_ROOTFS, app_rootfs};
use crate::pod::overlay::copy_attributes;
use crate::pod::{LockedPod, PodError};
use crate::store::{Key, Store};
use crate::tree::{RenderError, Tree};

/// The name under which stage1 appears in messages about images.
const STAGE1: &str = "stage1";

/// What a pod is made of.
#[derive(Debug)]
pub struct Preparation<'a> {
    /// The pod's manifest.
    pub manifest: &'a PodManifest,
    /// The images of its apps.
    pub apps: &'a [(AcName, Key)],
    /// The image of stage1.
    pub stage1: &'a Key,
    /// Whether the pod writes above shared trees, or has copies of its own.
    pub overlay: bool,
}

/// Fills the directory of a pod. The caller holds the store's prepare lock.
pub fn prepare(pod: &LockedPod, store: &Store, preparation: &Preparation<'_>) -> Result<(), LaunchError> {
    pod.write_manifest(preparation.manifest)?;
    for (name, key) in preparation.apps {
        check(store, name, key)?;
    }
    let overlay = preparation.overlay;
    let stage1 = render(store, STAGE1, preparation.stage1)?;
    pod.write("stage1/manifest", &store.manifest_bytes(preparation.stage1)?)?;
    pod.write("stage1TreeStoreID", stage1.id().as_bytes())?;
    if !overlay {
        copy(pod, STAGE1, &stage1, Path::new(STAGE1_ROOTFS))?;
    }
    for (name, key) in preparation.apps {
        place(pod, store, name, key, overlay)?;
    }
    if overlay {
        pod.write("overlay-prepared", b"")?;
    }
    Ok(())
}

/// Fills what belongs to one app.
pub(super) fn place(
    pod: &LockedPod,
    store: &Store,
    name: &AcName,
    key: &Key,
    overlay: bool,
) -> Result<(), LaunchError> {
    let tree = render(store, name.as_str(), key)?;
    pod.write(&format!("appsinfo/{name}/manifest"), &store.manifest_bytes(key)?)?;
    if overlay {
        return Ok(pod.write(&format!("appsinfo/{name}/treeStoreID"), tree.id().as_bytes())?);
    }
    copy(pod, name.as_str(), &tree, &app_rootfs(name.as_str()))
}

/// Whether an app's image can run here.
pub(super) fn check(store: &Store, app: &AcName, key: &Key) -> Result<(), LaunchError> {
    let manifest: ImageManifest = store.manifest(key)?;
    check_image(&manifest.labels).map_err(|source| LaunchError::Incompatible { app: app.to_string(), source })
}

fn render(store: &Store, app: &str, key: &Key) -> Result<Tree, LaunchError> {
    store.render(key).map_err(|source| LaunchError::Render { app: app.to_owned(), source })
}

fn copy(pod: &LockedPod, app: &str, tree: &Tree, to: &Path) -> Result<(), LaunchError> {
    let failed = |source: RenderError| LaunchError::Render { app: app.to_owned(), source };
    let path = pod.make_dir(to)?;
    tree.copy_to(&path).map_err(failed)?;
    if let Some(top) = tree.lowers().first() {
        copy_attributes(top, &path).map_err(PodError::io("set the attributes of", &path))?;
    }
    Ok(())
}
