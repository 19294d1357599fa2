//! Deleting pods together with what stage1 has made for them.

use anyhow::Context as _;

use super::GlobalFlags;
use crate::log;
use crate::pod::{LockedPod, Place};
use crate::stage1::{self, Entrypoint, Stage1};
use crate::store::Store;

/// The version of the interface from which on `gc` takes the configuration directory.
const LOCAL_CONFIG_SINCE: u32 = 5;

/// Deletes pods.
#[derive(Debug)]
pub struct Collector {
    global: GlobalFlags,
}

impl Collector {
    /// For pods of the data directory the flags name.
    pub fn new(global: &GlobalFlags) -> Self {
        Self { global: global.clone() }
    }

    /// Deletes a pod. stage1 cleans up first if the pod has run; that it fails must not keep the pod for ever.
    pub fn delete(&self, pod: LockedPod) -> anyhow::Result<()> {
        if pod.place() == Place::ExitedGarbage
            && let Err(error) = self.clean_up(&pod)
        {
            log::error("gc", &error.context(format!("problem performing stage1 GC on \"{}\"", pod.uuid())));
        }
        Ok(pod.delete()?)
    }

    fn clean_up(&self, pod: &LockedPod) -> anyhow::Result<()> {
        self.restore_stage1(pod)?;
        let dir = pod.path();
        let mut arguments = Vec::new();
        if self.global.debug {
            arguments.push("--debug".to_owned());
        }
        if Stage1::of_pod(&dir)?.version()? >= LOCAL_CONFIG_SINCE {
            arguments.extend(["--local-config".to_owned(), self.global.local_config.display().to_string()]);
        }
        arguments.push(pod.uuid().to_string());
        Ok(stage1::call(&dir, Entrypoint::Gc, &arguments, false)?)
    }

    /// Mounts the overlay of stage1 if it is not: the host was started anew, or somebody unmounted it.
    fn restore_stage1(&self, pod: &LockedPod) -> anyhow::Result<()> {
        if pod.has_stage1()? {
            return Ok(());
        }
        let id = pod.stage1_tree().context("the pod does not name its stage1 tree")?;
        let store = Store::open_to_make_room(&self.global.data_dir()?)?;
        let tree =
            store.rendered(&id)?.with_context(|| format!("stage1 tree {id} is not in the tree store"))?;
        Ok(pod.mount_stage1(tree.id(), tree.lowers())?)
    }
}
