//! Removing what nothing needs any more (rkt-reference 1.3, `image gc`).

use super::layer::{self, LayerLock};
use super::{IMAGE, LAYERS, RenderError, remove_tree};
use crate::store::{FileLock, Key, Store, StoreError};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What pods refer to.
#[derive(Debug, Default)]
pub struct Used {
    /// Trees of all pods, running or not.
    pub trees: BTreeSet<String>,
    /// Images of running pods.
    pub images: BTreeSet<Key>,
}

impl Used {
    /// Adds the pod in directory `pod`: the trees below its overlays, and if it `runs` their images.
    pub fn add_pod(&mut self, store: &Store, pod: &Path, runs: bool) {
        let mut files = vec![pod.join("stage1TreeStoreID")];
        files.extend(
            names(&pod.join("appsinfo"))
                .into_iter()
                .map(|app| pod.join("appsinfo").join(app).join("treeStoreID")),
        );
        for id in files.iter().filter_map(|file| std::fs::read_to_string(file).ok()) {
            let id = id.trim().to_owned();
            let image = store.dirs().trees().join(&id).join(IMAGE);
            if let Some(key) = std::fs::read_to_string(image).ok().filter(|_| runs) {
                self.images.extend(key.trim().parse());
            }
            self.trees.insert(id);
        }
    }
}

/// Names in a directory; none if there is no directory.
fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

impl Store {
    /// Removes trees that are not in `used`, and layers no remaining tree is made of; returns their ids. The caller
    /// holds the [removal lock](Store::removal_lock). What another process works on stays.
    pub fn remove_unused_trees(&self, used: &Used) -> Result<Vec<String>, RenderError> {
        let mut removed = Vec::new();
        let (layers, trees): (Vec<_>, Vec<_>) =
            names(&self.dirs().trees()).into_iter().partition(|id| id.starts_with("layer-"));
        let mut kept_layers = BTreeSet::new();
        for id in trees {
            if !used.trees.contains(&id) && self.remove_unlocked_tree(&id)? {
                removed.push(id);
                continue;
            }
            let list = self.dirs().trees().join(&id).join(LAYERS);
            let text = std::fs::read_to_string(list).unwrap_or_default();
            kept_layers.extend(text.lines().map(str::to_owned));
        }
        for id in layers {
            if !kept_layers.contains(&id) && self.remove_unlocked_tree(&id)? {
                removed.push(id);
            }
        }
        Ok(removed)
    }

    /// Removes an image that cannot be rendered, with the layers only it had.
    pub fn reject(&self, key: &Key) -> Result<(), RenderError> {
        let layers = self.index().layers(key)?;
        self.remove(key)?;
        for info in layers {
            let lock = LayerLock::new(self, &info.diff_id)?;
            // Whoever waited for the lock and got it first has made the layer part of an image by now.
            if self.index().layer(&info.diff_id)?.is_none() {
                lock.discard(self)?;
            }
        }
        Ok(())
    }

    fn remove_unlocked_tree(&self, id: &str) -> Result<bool, RenderError> {
        let path = self.dirs().tree_lock(id);
        let lock = FileLock::try_exclusive(&path).map_err(StoreError::io("lock", &path))?;
        if lock.is_some() {
            remove_tree(self, id)?;
        }
        Ok(lock.is_some())
    }

    /// Removes files no image in the index has, and what killed processes left. The caller holds the removal lock.
    pub fn sweep(&self) -> Result<(), RenderError> {
        let known: BTreeSet<String> = self.index().images()?.into_iter().map(|i| i.key.to_string()).collect();
        for top in [self.dirs().blobs(), self.dirs().manifests()] {
            for file in files(&top).filter(|file| !is_named(file, &known)) {
                remove_file(&file)?;
            }
        }
        self.index().remove_unused_layers()?;
        let layers: BTreeSet<String> = self.index().all_layers()?.into_iter().map(|l| l.diff_id).collect();
        for file in files(&self.dirs().layers()).filter(|file| !is_named(file, &layers)) {
            let name = file.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            self.remove_unless_locked(&file, &self.dirs().tree_lock(&layer::tree_id(name)))?;
        }
        for name in names(&self.dirs().tmp()) {
            // A layer's download is guarded by the layer's lock, any other by a lock of its name.
            let lock = match name.strip_prefix("layer-").and_then(|rest| rest.get(..64)) {
                Some(diff_id) => self.dirs().tree_lock(&layer::tree_id(diff_id)),
                None => self.dirs().image_lock(name.split('.').next().unwrap_or_default()),
            };
            self.remove_unless_locked(&self.dirs().tmp().join(&name), &lock)?;
        }
        Ok(())
    }

    fn remove_unless_locked(&self, file: &Path, lock: &Path) -> Result<(), RenderError> {
        match FileLock::try_exclusive(lock).map_err(StoreError::io("lock", lock))? {
            Some(_lock) => remove_file(file),
            None => Ok(()),
        }
    }
}

/// Files in the fan-out directories of `top`.
fn files(top: &Path) -> impl Iterator<Item = PathBuf> {
    let dirs: Vec<PathBuf> = names(top).into_iter().map(|name| top.join(name)).collect();
    dirs.into_iter().flat_map(|dir| names(&dir).into_iter().map(move |name| dir.join(name)))
}

fn is_named(file: &Path, known: &BTreeSet<String>) -> bool {
    file.file_name().and_then(|n| n.to_str()).is_some_and(|name| known.contains(name))
}

fn remove_file(path: &Path) -> Result<(), RenderError> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(RenderError::io("remove", path)(e)),
        _ => Ok(()),
    }
}
