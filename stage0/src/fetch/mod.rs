//! From what a user writes to an image in the store.

mod credentials;
mod discover;
mod docker;
mod file;
mod image_arg;
mod keys;
mod layers;
mod layout;
mod partial;
mod policy;
mod progress;
mod settings;
mod verify;
mod web;

pub use image_arg::{BadImageArg, ImageArg, for_host, host_arch};
pub use layers::BlobSource;
pub use layout::{Form, LayoutError, LocalImage};
pub use policy::{PullPolicy, UnknownPolicy};
pub use progress::Progress;
pub use settings::Settings;

use crate::archive::Limits;
use crate::config::{AuthError, Config};
use crate::convert::ConvertError;
use crate::http::{Client, HttpError};
use crate::registry::manifest::ManifestError;
use crate::registry::{Digest, RegistryError};
use crate::store::{ImportError, Key, LookupError, Store, StoreError};
use crate::tree::RenderError;
use crate::trust::TrustError;
use appc::ImageName;
use std::collections::BTreeSet;
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
    /// A local image cannot be read.
    #[error(transparent)]
    Layout(#[from] LayoutError),
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
    /// The signature's file cannot be read.
    #[error("error opening signature file {path:?} (try --insecure-options=image for images without one)")]
    SignatureFile {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The signature cannot be downloaded.
    #[error("error downloading the signature file {url}")]
    SignatureDownload {
        /// From where.
        url: String,
        /// What happened.
        source: std::io::Error,
    },
    /// The server promised a signature and does not have it.
    #[error("error downloading the signature file of {0}: the server still defers it")]
    StillDeferred(String),
    /// The signature is not good enough.
    #[error(transparent)]
    Trust(Box<TrustError>),
    /// A request failed.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// Configured credentials cannot be used.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The server answers with an error.
    #[error("bad HTTP status code: {status} for {url}")]
    Status {
        /// The status.
        status: u16,
        /// What was asked for.
        url: String,
    },
    /// The image is longer than allowed.
    #[error("{url} is longer than {limit} bytes (raise RKT_IMAGE_MAX_SIZE to allow it)")]
    TooLong {
        /// The image.
        url: String,
        /// What is allowed.
        limit: u64,
    },
    /// The server sends another part than was asked for.
    #[error("{0} sends another range than was asked for")]
    Range(String),
    /// The server gives another image.
    #[error("requested image {wanted:?}, but the fetched one is {found:?}")]
    WrongName {
        /// What was asked for.
        wanted: String,
        /// The manifest's name.
        found: String,
    },
    /// The server gives an image without a requested label.
    #[error("requested label {0:?} not provided by the image manifest")]
    NoLabel(String),
    /// The server gives an image with another label.
    #[error(
        "requested value for label {label:?}: {wanted:?} differs from fetched aci label value: {found:?}"
    )]
    WrongLabel {
        /// The label.
        label: String,
        /// What was asked for.
        wanted: String,
        /// The manifest's value.
        found: String,
    },
    /// No page says where the image is.
    #[error("no endpoints discovered for {0:?}")]
    NoEndpoint(String),
    /// No page says where the keys are.
    #[error("no public keys discovered for {0:?}")]
    NoKeys(String),
    /// A key cannot be read.
    #[error("error opening public key {location:?}")]
    KeyFile {
        /// Where it should be.
        location: String,
        /// What happened.
        source: std::io::Error,
    },
    /// A key over plain http.
    #[error("refusing to fetch public key {0:?} over plain http (try --insecure-options=pubkey)")]
    PlainKey(String),
    /// Not in the store, and not to be fetched.
    #[error("unable to fetch {0}: not in the local store, and the pull policy is \"never\"")]
    NotLocal(String),
    /// An image could not be fetched by its name.
    #[error("unable to fetch image from image name {name:?}")]
    Name {
        /// The name.
        name: String,
        /// Why.
        source: Box<FetchError>,
    },
}

impl FetchError {
    fn name(name: &ImageName, source: FetchError) -> Self {
        FetchError::Name { name: discover::shown(name), source: Box::new(source) }
    }
}

/// Fetches images into a store.
#[derive(Debug)]
pub struct Fetcher<'a> {
    store: &'a Store,
    http: Client,
    settings: Settings,
    limits: Limits,
    progress: Progress,
    /// Whether signatures are checked.
    verifies: bool,
    /// Whether images are rendered when they come in.
    renders: bool,
}

impl<'a> Fetcher<'a> {
    /// Fetches as the user's options say. Images are rendered at once where they can be: as root.
    pub fn new(store: &'a Store, settings: Settings) -> Self {
        Fetcher {
            store,
            http: Client::new(!settings.insecure.tls()),
            verifies: !settings.insecure.image(),
            settings,
            limits: Limits::from_env(),
            progress: Progress::default(),
            renders: rustix::process::geteuid().is_root(),
        }
    }

    /// The configuration it works by.
    pub fn config(&self) -> &Config {
        &self.settings.config
    }

    /// Takes a file that needs no signature because it came with this rkt.
    pub fn import_trusted(&self, path: &Path) -> Result<Key, FetchError> {
        let key = self.import_file(path)?;
        self.used(&key)?;
        Ok(key)
    }

    /// The image a user named, fetched if the policy wants that, with its dependencies, and rendered. `signature` is a
    /// detached signature for it.
    pub fn fetch(&self, image: &str, signature: Option<&Path>) -> Result<Key, FetchError> {
        self.fetch_arg(&ImageArg::parse(image)?, signature)
    }

    /// As [`fetch`](Self::fetch) with the argument understood.
    pub fn fetch_arg(&self, image: &ImageArg, signature: Option<&Path>) -> Result<Key, FetchError> {
        let key = match image {
            ImageArg::Hash(hash) => self.store.find_key(hash)?,
            ImageArg::File(path) => self.file(path, signature)?,
            ImageArg::Docker(reference) => self.docker(reference)?,
            ImageArg::Local(image) => self.local(image)?,
            ImageArg::Name(name) => self.name(name)?,
            ImageArg::Url(url) => self.url(url, signature)?,
        };
        self.used(&key)?;
        Ok(key)
    }

    /// Notes that the image is used, gets what it depends on, and renders it if it is not yet. One that cannot be
    /// rendered because of what is in it does not stay, nor does what was fetched for it.
    fn used(&self, key: &Key) -> Result<(), FetchError> {
        self.store.index().touch(key)?;
        let mut fetched = vec![key.clone()];
        self.dependencies(key, &mut BTreeSet::new(), &mut fetched)?;
        match self.render(key) {
            Err(FetchError::Render(error)) if error.blames_image() => {
                for key in &fetched {
                    self.store.reject(key)?;
                }
                Err(error.into())
            }
            result => result,
        }
    }

    fn render(&self, key: &Key) -> Result<(), FetchError> {
        if self.renders {
            let _lock = self.store.prepare_lock()?;
            self.store.render(key)?;
        }
        Ok(())
    }

    /// Fetches the images beneath an image that are not in the store, and notes which they were.
    fn dependencies(
        &self,
        key: &Key,
        seen: &mut BTreeSet<Key>,
        fetched: &mut Vec<Key>,
    ) -> Result<(), FetchError> {
        if !seen.insert(key.clone()) {
            return Ok(());
        }
        for dependency in self.store.manifest(key)?.dependencies {
            let name = ImageName { name: dependency.image_name, labels: dependency.labels };
            let known = match &dependency.image_id {
                Some(id) => self.store.find_key(id).ok(),
                None => self.store.find_name(&name.name, &name.labels)?,
            };
            let below = match known {
                Some(below) => below,
                None => {
                    let below = self.name(&for_host(name))?;
                    fetched.push(below.clone());
                    below
                }
            };
            self.dependencies(&below, seen, fetched)?;
        }
        Ok(())
    }
}
