//! Finding the image of stage1 (reference §3.7).

use std::path::{Path, PathBuf};

use appc::{AcIdentifier, Labels, ValueError};

use super::Choice;
use crate::fetch::{FetchError, Fetcher};
use crate::store::{Key, Store, StoreError};

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

/// Why there is no stage1.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// The default image is nowhere.
    #[error(
        "{DEFAULT_NAME}:{DEFAULT_VERSION} is not in the store, and there is no file {}; install rkt completely, or \
         use --stage1-{{path,url,name,hash,from-dir}}",
        quoted(locations)
    )]
    NoDefault {
        /// Where it could have been.
        locations: Vec<PathBuf>,
    },
    /// The file cannot be used.
    #[error("Cannot open stage1 image \"{}\"", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The image cannot be had.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The default image's name is none.
    #[error(transparent)]
    Name(#[from] ValueError),
}

fn quoted(paths: &[PathBuf]) -> String {
    let quoted: Vec<_> = paths.iter().map(|path| format!("\"{}\"", path.display())).collect();
    quoted.join(" or ")
}

/// The image of the stage1 the user wants, fetched if need be.
pub fn find(store: &Store, fetcher: &Fetcher<'_>, choice: &Choice) -> Result<Key, FindError> {
    match choice {
        Choice::Default => default(store, fetcher),
        Choice::Path(path) => {
            // As a relative path it could be taken for the name of an image.
            let path = existing(path)?;
            // Images that came with rkt need no signature.
            let installed = Path::new(IMAGES_DIR).canonicalize().is_ok_and(|dir| path.starts_with(dir));
            if installed {
                return Ok(fetcher.import_trusted(&path)?);
            }
            Ok(fetcher.fetch(&path.to_string_lossy(), None)?)
        }
        Choice::Url(image) | Choice::Name(image) | Choice::Hash(image) => Ok(fetcher.fetch(image, None)?),
        Choice::FromDir(file) => Ok(fetcher.import_trusted(&existing(&Path::new(IMAGES_DIR).join(file))?)?),
    }
}

fn existing(path: &Path) -> Result<PathBuf, FindError> {
    path.canonicalize().map_err(|source| FindError::Open { path: path.to_owned(), source })
}

fn default(store: &Store, fetcher: &Fetcher<'_>) -> Result<Key, FindError> {
    let name: AcIdentifier = DEFAULT_NAME.parse()?;
    let mut labels = Labels::default();
    labels.set("version".parse()?, DEFAULT_VERSION);
    if let Some(key) = store.find_name(&name, &labels)? {
        tracing::debug!(
            target: "image",
            "using image from local store for image name {DEFAULT_NAME}:{DEFAULT_VERSION}"
        );
        return Ok(key);
    }
    let locations = locations();
    match locations.iter().find(|path| path.is_file()) {
        Some(path) => Ok(fetcher.import_trusted(path)?),
        None => Err(FindError::NoDefault { locations }),
    }
}

/// The installed image, and the one beside the running program.
fn locations() -> Vec<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|program| Some(program.parent()?.join(DEFAULT_FILE)));
    std::iter::once(Path::new(IMAGES_DIR).join(DEFAULT_FILE)).chain(beside).collect()
}
