//! Mounting a prepared pod and handing over to stage1 (reference §3.2).

use std::path::Path;

use super::LaunchError;
use crate::pod::layers::{STAGE1_ROOTFS, STAGE2};
use crate::pod::{LockedPod, Place};
use crate::stage1::{self, RunArguments, Stage1};
use crate::store::Store;
use crate::tree::Tree;

/// How a prepared pod is to run.
#[derive(Debug)]
pub struct Start<'a> {
    /// What stage1 is told.
    pub arguments: &'a RunArguments,
    /// Content of the pod's resolv.conf, if stage0 provides it.
    pub resolv_conf: Option<&'a str>,
    /// Content of the pod's hosts file, if stage0 provides it.
    pub hosts: Option<&'a str>,
}

/// Starts a prepared pod: this process becomes stage1. Returns only if that fails; the pod has exited then.
pub fn start(mut pod: LockedPod, store: Store, start: &Start<'_>) -> LaunchError {
    match make_ready(&mut pod, &store, start) {
        Ok(arguments) => {
            drop(store);
            stage1::exec(&pod, &arguments).into()
        }
        Err(error) => error,
    }
}

fn make_ready(pod: &mut LockedPod, store: &Store, start: &Start<'_>) -> Result<Vec<String>, LaunchError> {
    pod.move_to(Place::Run)?;
    mount(pod, store, start.arguments.mutable)?;
    let etc = format!("{STAGE1_ROOTFS}/etc");
    for (name, content) in [("rkt-resolv.conf", start.resolv_conf), ("rkt-hosts", start.hosts)] {
        if let Some(content) = content {
            pod.write(&format!("{etc}/{name}"), content.as_bytes())?;
        }
    }
    let version = Stage1::of_pod(&pod.path())?.version()?;
    let (arguments, dropped) = start.arguments.for_version(version);
    for option in dropped {
        tracing::info!(target: "stage0", "warning: {option} option is not supported by stage1");
    }
    Ok(arguments)
}

/// Mounts stage1 and the apps into it, and puts each app's manifest beside its root file system.
fn mount(pod: &LockedPod, store: &Store, mutable: bool) -> Result<(), LaunchError> {
    if pod.uses_overlay() {
        let tree = rendered(store, "stage1", pod.stage1_tree())?;
        pod.mount_stage1(tree.id(), tree.lowers())?;
    }
    if mutable {
        pod.share_stage1()?;
    }
    pod.manifest()?.apps.iter().try_for_each(|app| mount_app(pod, store, app.name.as_str()))
}

/// Mounts an app into stage1.
pub(super) fn mount_app(pod: &LockedPod, store: &Store, app: &str) -> Result<(), LaunchError> {
    if pod.uses_overlay() {
        let tree = rendered(store, app, pod.app_tree(app))?;
        pod.mount_app(app, tree.id(), tree.lowers())?;
    }
    let manifest = Path::new("appsinfo").join(app).join("manifest");
    Ok(pod.copy_file(&manifest, &Path::new(STAGE1_ROOTFS).join(STAGE2).join(app).join("manifest"))?)
}

/// A tree that the pod was prepared with.
pub(super) fn rendered(store: &Store, app: &str, id: Option<String>) -> Result<Tree, LaunchError> {
    let id = id.ok_or_else(|| LaunchError::UnnamedTree(app.to_owned()))?;
    let tree = store.rendered(&id).map_err(|source| LaunchError::Render { app: app.to_owned(), source })?;
    tree.ok_or_else(|| LaunchError::NoTree { app: app.to_owned(), tree: id })
}
