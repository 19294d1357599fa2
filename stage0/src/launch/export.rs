//! What an app made of its image, as an image (reference §1.7).

use std::io::Write;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::LaunchError;
use super::start::rendered;
use crate::archive::{Entry, Kind, TarWriter};
use crate::pod::layers::{app_overlay, app_rootfs};
use crate::pod::mounts::mounts_below;
use crate::pod::{Pod, PodError};
use crate::store::Store;
use crate::tree::{ExportError, Stack};

/// Writes the root file system of an app of an exited pod, with the manifest of its image, as a compressed ACI. Needs
/// no mount: the layers of its overlay are merged here.
pub fn export(pod: &Pod, store: &Store, app: &str, out: impl Write) -> Result<(), LaunchError> {
    let layers = layers(pod, store, app)?;
    let stack = Stack::open(&layers).map_err(PodError::io("open a layer of", &pod.path()))?;
    let path = pod.path().join("appsinfo").join(app).join("manifest");
    let manifest = std::fs::read(&path).map_err(PodError::io("read", &path))?;
    Ok(write(&stack, &manifest, out)?)
}

fn write(stack: &Stack, manifest: &[u8], out: impl Write) -> Result<(), ExportError> {
    let mut writer = TarWriter::new(GzEncoder::new(out, Compression::default()));
    let entry = Entry::new(b"manifest", Kind::File, 0o644).sized(manifest.len() as u64);
    writer.entry(&entry, &mut &manifest[..])?;
    stack.visit(b"rootfs", |_, entry, _, content| -> Result<(), ExportError> {
        Ok(writer.entry(entry, content)?)
    })?;
    writer.finish()?.finish()?.flush()?;
    Ok(())
}

/// The directories that make the app's root file system, topmost first.
fn layers(pod: &Pod, store: &Store, app: &str) -> Result<Vec<PathBuf>, LaunchError> {
    if pod.uses_overlay() {
        let tree = rendered(store, app, pod.app_tree(app))?;
        let mut layers = vec![app_overlay(&pod.path(), app, tree.id(), &[]).upper];
        layers.extend_from_slice(tree.lowers());
        return Ok(layers);
    }
    let rootfs = pod.path().join(app_rootfs(app));
    let mounts = mounts_below(&rootfs).map_err(PodError::io("find mounts below", &rootfs))?;
    match mounts.first() {
        Some(mount) => Err(LaunchError::Mounted(mount.clone())),
        None => Ok(vec![rootfs]),
    }
}
