//! Finding the image of stage1 (reference §3.7).

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use appc::{AcIdentifier, Labels};

use super::images::Images;
use crate::stage1::Choice;
use crate::store::Key;

/// The name of the stage1 image that belongs to this rkt.
const DEFAULT_NAME: &str = "coreos.com/rkt/stage1-kvm";
/// Its version.
const DEFAULT_VERSION: &str = env!("CARGO_PKG_VERSION");
/// Its file.
const DEFAULT_FILE: &str = "stage1-kvm.aci";
/// Where stage1 images are installed, unless the build says otherwise.
const IMAGES_DIR: &str = match option_env!("RKT_STAGE1_IMAGES_DIR") {
    Some(dir) => dir,
    None => "/usr/lib/rkt/stage1-images",
};

/// The image of the stage1 the user wants.
pub fn find(images: &Images<'_>, choice: &Choice) -> anyhow::Result<Key> {
    match choice {
        Choice::Default => default(images),
        Choice::Path(path) if is_installed(path) => images.import(path),
        Choice::Path(path) => images.find(&existing(path)?.to_string_lossy(), None),
        Choice::Url(url) => images.find(url, None),
        Choice::Name(name) => images.find(name, None),
        Choice::Hash(hash) => images.find(hash, None),
        Choice::FromDir(file) => images.import(&Path::new(IMAGES_DIR).join(file)),
    }
    .context("error finding stage1 image")
}

/// The file, as an absolute path: as a relative one it could be taken for the name of an image.
fn existing(path: &Path) -> anyhow::Result<PathBuf> {
    path.canonicalize().with_context(|| format!("Cannot open stage1 image \"{}\"", path.display()))
}

/// Images that came with rkt need no signature.
fn is_installed(path: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    real(path).zip(real(Path::new(IMAGES_DIR))).is_some_and(|(path, dir)| path.starts_with(dir))
}

/// The installed image, and the one beside the running program.
fn locations() -> Vec<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|program| Some(program.parent()?.join(DEFAULT_FILE)));
    std::iter::once(Path::new(IMAGES_DIR).join(DEFAULT_FILE)).chain(beside).collect()
}

fn default(images: &Images<'_>) -> anyhow::Result<Key> {
    let name: AcIdentifier = DEFAULT_NAME.parse()?;
    let mut labels = Labels::default();
    labels.set("version".parse()?, DEFAULT_VERSION);
    if let Some(key) = images.store.find_name(&name, &labels)? {
        tracing::debug!(
            target: "image",
            "using image from local store for image name {DEFAULT_NAME}:{DEFAULT_VERSION}"
        );
        return Ok(key);
    }
    let locations = locations();
    match locations.iter().find(|path| path.is_file()) {
        Some(path) => images.import(path),
        None => anyhow::bail!(
            "no stage1 image: {DEFAULT_NAME}:{DEFAULT_VERSION} is not in the store, and there is no file {}; \
             install rkt completely, or use --stage1-{{path,url,name,hash,from-dir}}",
            locations.iter().map(|path| format!("\"{}\"", path.display())).collect::<Vec<_>>().join(" or ")
        ),
    }
}
