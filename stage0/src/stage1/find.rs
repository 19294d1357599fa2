//! Finding the image of stage1 (reference §3.7).

use std::path::{Path, PathBuf};

use appc::{AcIdentifier, Labels, ValueError};

use super::Choice;
use crate::config::Config;
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
/// The end of versions that do not name one content: such an image is never taken from the store.
const DIRTY: &str = "-dirty";

/// Why there is no stage1.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// The default image is nowhere.
    #[error(
        "{name}:{version} is not in the store, and there is no file {}; install rkt completely, or \
         use --stage1-{{path,url,name,hash,from-dir}}",
        quoted(locations)
    )]
    NoDefault {
        /// Its name.
        name: String,
        /// Its version.
        version: String,
        /// Where it could have been.
        locations: Vec<PathBuf>,
    },
    /// The configured image is not there, and nothing says where to get it.
    #[error(
        "{name}:{version}, which the configuration names, is not in the store: fetch it, configure its location too, \
         or use --stage1-{{path,url,name,hash,from-dir}}"
    )]
    NoLocation {
        /// Its name.
        name: String,
        /// Its version.
        version: String,
    },
    /// Something else than a name in the directory of stage1 images.
    #[error("--stage1-from-dir takes the name of a file, not the path \"{0}\" (try --stage1-path)")]
    NotInDir(String),
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
        Choice::Path(path) => file(fetcher, path),
        Choice::Url(image) | Choice::Name(image) | Choice::Hash(image) => Ok(fetcher.fetch(image, None)?),
        Choice::FromDir(name) => {
            if Path::new(name).file_name().is_none_or(|last| last != name.as_str()) {
                return Err(FindError::NotInDir(name.clone()));
            }
            let configured = fetcher.config().paths.stage1_images.as_deref();
            file(fetcher, &configured.unwrap_or(Path::new(IMAGES_DIR)).join(name))
        }
    }
}

/// An image file. One that came with rkt needs no signature.
fn file(fetcher: &Fetcher<'_>, path: &Path) -> Result<Key, FindError> {
    // As a relative path it could be taken for the name of an image.
    let path = path.canonicalize().map_err(|source| FindError::Open { path: path.to_owned(), source })?;
    if Path::new(IMAGES_DIR).canonicalize().is_ok_and(|dir| path.starts_with(dir)) {
        return Ok(fetcher.import_trusted(&path)?);
    }
    Ok(fetcher.fetch(&path.to_string_lossy(), None)?)
}

/// The configured image, or the one that belongs to this rkt. Discovery is not used for it.
fn default(store: &Store, fetcher: &Fetcher<'_>) -> Result<Key, FindError> {
    let Config { stage1: configured, .. } = fetcher.config();
    let own = (DEFAULT_NAME.to_owned(), DEFAULT_VERSION.to_owned());
    let (name, version) = configured.image.clone().unwrap_or_else(|| own.clone());
    if !version.ends_with(DIRTY)
        && let Some(key) = stored(store, &name, &version)?
    {
        return Ok(key);
    }
    if let Some(location) = &configured.location {
        return match Path::new(location).is_absolute() {
            true => file(fetcher, Path::new(location)),
            false => Ok(fetcher.fetch(location, None)?),
        };
    }
    if (&name, &version) != (&own.0, &own.1) {
        return Err(FindError::NoLocation { name, version });
    }
    let locations = locations();
    match locations.iter().find(|path| path.is_file()) {
        Some(path) => Ok(fetcher.import_trusted(path)?),
        None => Err(FindError::NoDefault { name, version, locations }),
    }
}

fn stored(store: &Store, name: &str, version: &str) -> Result<Option<Key>, FindError> {
    let identifier: AcIdentifier = name.parse()?;
    let mut labels = Labels::default();
    labels.set("version".parse()?, version);
    let key = store.find_name(&identifier, &labels)?;
    if key.is_some() {
        tracing::debug!(target: "image", "using image from local store for image name {name}:{version}");
    }
    Ok(key)
}

/// The installed image, and the one beside the running program.
fn locations() -> Vec<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|program| Some(program.parent()?.join(DEFAULT_FILE)));
    std::iter::once(Path::new(IMAGES_DIR).join(DEFAULT_FILE)).chain(beside).collect()
}
