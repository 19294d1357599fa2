//! The files of apps that are added to a running pod, and removed from it.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use appc::AcName;

use super::LaunchError;
use super::prepare::{check, place};
use super::start::mount_app;
use crate::pod::delete::remove;
use crate::pod::layers::{STAGE1_ROOTFS, STAGE2};
use crate::pod::mounts::unmount_below;
use crate::pod::{ChangingPod, PodError};
use crate::store::{Key, Store};

/// Makes the files of an app and mounts its root file system where the running pod sees it. What is left of an earlier one of
/// that name is removed. The caller holds the store's prepare lock.
pub fn place_app(pod: &ChangingPod, store: &Store, name: &AcName, key: &Key) -> Result<(), LaunchError> {
    check(store, name, key)?;
    clear_app(pod, name)?;
    place(pod, store, name, key, pod.uses_overlay())?;
    mount_app(pod, store, name.as_str())
}

/// Unmounts and deletes the files of an app that the pod does not use any more. Can be repeated when it was interrupted.
pub fn clear_app(pod: &ChangingPod, name: &AcName) -> Result<(), PodError> {
    let dir = pod.path();
    let app = dir.join(STAGE1_ROOTFS).join(STAGE2).join(name.as_str());
    // Mounts are known by their real path. What nobody has unmounts nothing.
    if let Ok(real) = app.canonicalize() {
        unmount_below(&real).map_err(PodError::io("unmount", &app))?;
    }
    remove(&app)?;
    // The layers of stage1, too, are in a directory named after their tree.
    let stage1 = pod.stage1_tree();
    for layers in entries(&dir.join("overlay"))? {
        if stage1.as_deref().map(Path::new) != layers.file_name().map(Path::new) {
            remove(&layers.join("upper").join(name.as_str()))?;
            remove(&layers.join("work").join(name.as_str()))?;
        }
    }
    remove(&dir.join("appsinfo").join(name.as_str()))
}

fn entries(dir: &Path) -> Result<Vec<std::path::PathBuf>, PodError> {
    match fs::read_dir(dir) {
        Ok(entries) => Ok(entries.flatten().map(|entry| entry.path()).collect()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(PodError::io("read directory", dir)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pod::Pods;

    #[test]
    fn an_app_named_like_a_directory_of_stage1_takes_only_its_own_files() {
        let dir = tempfile::tempdir().unwrap();
        let pods = Pods::new(dir.path());
        let made = pods.create().unwrap();
        made.write("stage1TreeStoreID", b"deps-stage1").unwrap();
        for file in ["deps-stage1/upper/rkt/status/x", "deps-app/upper/rkt/x", "deps-app/work/rkt/work/x"] {
            made.write(&format!("overlay/{file}"), b"").unwrap();
        }
        made.write("appsinfo/rkt/manifest", b"").unwrap();
        made.write("appsinfo/other/manifest", b"").unwrap();
        let pod = pods.open(made.uuid()).unwrap().lock_changes().unwrap();
        for _ in 0..2 {
            clear_app(&pod, &"rkt".parse().unwrap()).unwrap();
            let exists = |path: &str| pod.path().join(path).exists();
            assert!(exists("overlay/deps-stage1/upper/rkt/status/x") && exists("appsinfo/other/manifest"));
            assert!(!exists("overlay/deps-app/upper/rkt") && !exists("overlay/deps-app/work/rkt"));
            assert!(!exists("appsinfo/rkt"));
        }
    }
}
