//! From what a user writes to an image in the store.

mod credentials;
mod docker;
mod file;
mod image_arg;
mod layers;
mod policy;
mod progress;

pub use image_arg::{BadImageArg, ImageArg, for_host, host_arch};
pub use layers::BlobSource;
pub use policy::{PullPolicy, UnknownPolicy};
pub use progress::Progress;

use crate::archive::Limits;
use crate::config::Config;
use crate::convert::ConvertError;
use crate::http::Client;
use crate::insecure::InsecureOptions;
use crate::registry::manifest::ManifestError;
use crate::registry::{Digest, RegistryError};
use crate::store::{ImportError, Key, LookupError, Store, StoreError};
use crate::tree::RenderError;
use std::path::{Path, PathBuf};

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// What was written names no image.
    #[error(transparent)]
    Arg(#[from] BadImageArg),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store does not have it.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// The archive is not taken.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// It cannot be rendered.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// The file cannot be read.
    #[error("Cannot open image file {path:?}")]
    File {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The registry does not give it.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The registry's documents are bad.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// It cannot be converted.
    #[error(transparent)]
    Convert(#[from] ConvertError),
    /// A transfer broke.
    #[error("Cannot download {name}")]
    Download {
        /// What.
        name: String,
        /// What happened.
        source: std::io::Error,
    },
    /// A blob is not what its descriptor says.
    #[error("{name} is {found} with {len} bytes, expected {expected} with {size} bytes")]
    Blob {
        /// What.
        name: String,
        /// The descriptor's digest.
        expected: Digest,
        /// The descriptor's length.
        size: u64,
        /// The content's digest.
        found: Digest,
        /// The content's length, or more.
        len: u64,
    },
    /// Indexes point to indexes.
    #[error("Indexes of image {0} are nested too deep")]
    Indexes(String),
    /// Registries have no signatures we could check.
    #[error("signature verification for docker images is not supported (try --insecure-options=image)")]
    DockerSignature,
    /// Nothing says that the image is genuine.
    #[error("cannot verify image {0:?} without a signature (try --insecure-options=image)")]
    Unsigned(PathBuf),
    /// Not in the store, and not to be fetched.
    #[error("unable to fetch {0}: not in the local store, and the pull policy is \"never\"")]
    NotLocal(String),
    /// Nothing is known about where such an image is.
    #[error("unable to fetch image from image name {0:?}: it is not in the local store")]
    Name(String),
}

/// Fetches images into a store.
#[derive(Debug)]
pub struct Fetcher<'a> {
    store: &'a Store,
    http: Client,
    insecure: InsecureOptions,
    policy: PullPolicy,
    limits: Limits,
    progress: Progress,
    config: &'a Config,
    /// Whether signatures are checked.
    verifies: bool,
    /// Whether images are rendered when they come in.
    renders: bool,
}

impl<'a> Fetcher<'a> {
    /// Fetches as the user's options say. Images are rendered at once where they can be: as root.
    pub fn new(store: &'a Store, config: &'a Config, insecure: InsecureOptions, policy: PullPolicy) -> Self {
        Fetcher {
            store,
            config,
            http: Client::new(!insecure.tls()),
            insecure,
            policy,
            limits: Limits::from_env(),
            progress: Progress::default(),
            verifies: !insecure.image(),
            renders: rustix::process::geteuid().is_root(),
        }
    }

    /// Takes a file that needs no signature because it came with this rkt.
    pub fn import_trusted(&self, path: &Path) -> Result<Key, FetchError> {
        let key = self.import_file(path)?;
        self.used(&key)?;
        Ok(key)
    }

    /// The image a user named, fetched if the policy wants that, and rendered. `signature` is a detached signature
    /// for it.
    pub fn fetch(&self, image: &str, signature: Option<&Path>) -> Result<Key, FetchError> {
        self.fetch_arg(&ImageArg::parse(image)?, signature)
    }

    /// As [`fetch`](Self::fetch) with the argument understood.
    pub fn fetch_arg(&self, image: &ImageArg, _signature: Option<&Path>) -> Result<Key, FetchError> {
        let key = match image {
            ImageArg::Hash(hash) => self.store.find_key(hash)?,
            ImageArg::File(path) => self.file(path)?,
            ImageArg::Docker(reference) => self.docker(reference)?,
            ImageArg::Name(name) => match self.store.find_name(&name.name, &name.labels)? {
                Some(key) => {
                    tracing::debug!(target: "image", "using image from local store for image name {name}");
                    key
                }
                None => return Err(FetchError::Name(name.to_string())),
            },
            ImageArg::Url(url) => return Err(FetchError::NotLocal(url.to_string())),
        };
        self.used(&key)?;
        Ok(key)
    }

    /// Notes that the image is used, and renders it if it is not yet.
    fn used(&self, key: &Key) -> Result<(), FetchError> {
        self.store.index().touch(key)?;
        if self.renders {
            let _lock = self.store.prepare_lock()?;
            self.store.render(key)?;
        }
        Ok(())
    }
}
