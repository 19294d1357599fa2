//! Images in local OCI layouts, as directories or archives, and in archives of `docker save`.

mod files;

use super::layers::BlobSource;
use super::{FetchError, Fetcher};
use crate::archive::beneath::Beneath;
use crate::archive::{Compression, Decoder};
use crate::convert::Origin;
use crate::registry::manifest::{Config, Descriptor, Document, Index, Manifest, parse};
use crate::registry::{Digest, Reference};
use crate::store::{Aside, Key, StoreError};
use files::{Archive, Files, Layout, blob_name};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The annotation of an index that names its images (image-spec, "annotations").
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// Where a local image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalImage {
    /// How it is stored.
    pub form: Form,
    /// Directory or file.
    pub path: PathBuf,
    /// Which of several images.
    pub tag: Option<String>,
}

/// How local images are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `oci:`, a directory with an OCI layout.
    Oci,
    /// `oci-archive:`, a tar of one.
    OciArchive,
    /// `docker-archive:`, what `docker save` writes.
    DockerArchive,
}

/// Why a local image cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// A file is not there or cannot be read.
    #[error("Cannot read {name:?} of image {path:?}")]
    Read {
        /// The file.
        name: String,
        /// The layout or archive.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// No image, or several and none is named.
    #[error("{path:?} {problem}")]
    Choice {
        /// The layout or archive.
        path: PathBuf,
        /// What to do.
        problem: String,
    },
}

impl LocalImage {
    /// `PATH[:TAG]`. A tag has no slash, so that a colon in a directory's name does no harm.
    pub fn parse(form: Form, text: &str) -> Self {
        let (path, tag) = match text.rsplit_once(':') {
            Some((path, tag)) if form == Form::DockerArchive && !path.is_empty() => (path, Some(tag)),
            Some((path, tag)) if !tag.contains('/') && !path.is_empty() => (path, Some(tag)),
            _ => (text, None),
        };
        // `docker-archive:FILE:REPO:TAG`: the reference has a colon of its own.
        if let (Form::DockerArchive, Some(tag), Some((file, repository))) = (form, tag, path.rsplit_once(':'))
        {
            let tag = Some(format!("{repository}:{tag}"));
            return LocalImage { form, path: PathBuf::from(file), tag };
        }
        LocalImage { form, path: PathBuf::from(path), tag: tag.map(str::to_owned) }
    }
}

/// Blobs of a layout, or layers of a docker archive by the digest of their stored bytes.
struct LocalBlobs<'a> {
    layout: &'a Layout,
    names: HashMap<Digest, String>,
}

impl BlobSource for LocalBlobs<'_> {
    fn open(&self, blob: &Descriptor, _from: u64) -> Result<(Box<dyn Read + '_>, u64), FetchError> {
        Ok((self.layout.open(&self.describe(blob))?.0, 0))
    }

    fn describe(&self, blob: &Descriptor) -> String {
        self.names.get(&blob.digest).cloned().unwrap_or_else(|| blob_name(&blob.digest))
    }
}

impl Fetcher<'_> {
    pub(super) fn local(&self, image: &LocalImage) -> Result<Key, FetchError> {
        if self.verifies {
            return Err(FetchError::DockerSignature);
        }
        let files = match image.form {
            Form::Oci => {
                let failed = |source| FetchError::File { path: image.path.clone(), source };
                Files::Directory(Beneath::open(&image.path).map_err(failed)?)
            }
            Form::OciArchive | Form::DockerArchive => Files::Archive(self.open_archive(&image.path)?),
        };
        let layout = Layout { path: image.path.clone(), files };
        match image.form {
            Form::DockerArchive => self.docker_archive(&layout, image),
            _ => self.oci_layout(&layout, image),
        }
    }

    /// An archive as an uncompressed file that can be read anywhere.
    fn open_archive(&self, path: &Path) -> Result<Archive, FetchError> {
        let failed = |source| FetchError::File { path: path.to_path_buf(), source };
        let file = File::open(path).map_err(failed)?;
        let mut head = [0; 6];
        let got = file.read_at(&mut head, 0).map_err(failed)?;
        if Compression::detect(&head[..got]) == Compression::None {
            return Archive::scan(file, self.limits.entries);
        }
        let tmp = self.store.dirs().tmp();
        let mut plain = Aside::new(&tmp).map_err(StoreError::io("make a file in", &tmp))?;
        let decoder = Decoder::new(file).map_err(failed)?;
        let limit = self.limits.bytes;
        let copied = io::copy(&mut decoder.take(limit.saturating_add(1)), plain.file()).map_err(failed)?;
        if copied > limit {
            return Err(FetchError::TooLong { url: path.display().to_string(), limit });
        }
        Archive::scan(plain.into_file(), self.limits.entries)
    }

    fn oci_layout(&self, layout: &Layout, image: &LocalImage) -> Result<Key, FetchError> {
        let index: Index = parse("index.json", &layout.read("index.json")?)?;
        let chosen = choose(layout, &index, image.tag.as_deref())?;
        let mut descriptor = chosen.clone();
        let (manifest, digest) = loop {
            let bytes = layout.blob(&descriptor.digest)?;
            match Document::parse(&bytes)? {
                Document::Manifest(manifest) => break (manifest, descriptor.digest),
                // Digests cannot form a circle.
                Document::Index(index) => descriptor = index.for_host()?.clone(),
            }
        };
        let config = Config::parse(&layout.blob(&manifest.config.digest)?, &manifest)?;
        let version = image.tag.clone().or_else(|| chosen.annotations.get(REF_NAME).cloned());
        let origin = origin(image, version.unwrap_or_else(|| "latest".to_owned()), digest);
        self.import_layers(&LocalBlobs { layout, names: HashMap::new() }, &origin, &manifest, &config)
    }

    fn docker_archive(&self, layout: &Layout, image: &LocalImage) -> Result<Key, FetchError> {
        let json = layout.read("manifest.json")?;
        let entries: Vec<SavedImage> = parse("manifest.json", &json)?;
        let saved = choose_saved(layout, &entries, image.tag.as_deref())?;
        let config_bytes = layout.read(&saved.config)?;
        let mut names = HashMap::new();
        let mut manifest = Manifest {
            config: descriptor(Digest::of(&config_bytes), config_bytes.len() as u64),
            layers: vec![],
        };
        for layer in &saved.layers {
            let found = describe_layer(layout, layer)?;
            names.insert(found.digest.clone(), layer.clone());
            manifest.layers.push(found);
        }
        let config = Config::parse(&config_bytes, &manifest)?;
        let name = saved.repo_tags.iter().flatten().next().and_then(|tag| tag.parse::<Reference>().ok());
        let origin = match name {
            Some(reference) => Origin::registry(&reference, Digest::of(&json)),
            None => origin(image, "latest".to_owned(), Digest::of(&json)),
        };
        self.import_layers(&LocalBlobs { layout, names }, &origin, &manifest, &config)
    }
}

/// One image of a `docker save` archive.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SavedImage {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

fn descriptor(digest: Digest, size: u64) -> Descriptor {
    let media_type = "application/vnd.docker.image.rootfs.diff.tar".to_owned();
    Descriptor { media_type, digest, size, platform: None, annotations: Default::default() }
}

fn describe_layer(layout: &Layout, name: &str) -> Result<Descriptor, FetchError> {
    let (mut reader, len) = layout.open(name)?;
    let mut hash = Sha256::new();
    let failed = |source| LayoutError::Read { name: name.to_owned(), path: layout.path.clone(), source };
    io::copy(&mut reader, &mut hash).map_err(failed)?;
    Ok(descriptor(Digest::from_hasher(hash), len))
}

/// What a local image is called: its file's or directory's name.
fn origin(image: &LocalImage, version: String, manifest_digest: Digest) -> Origin {
    let path = std::path::absolute(&image.path).unwrap_or_else(|_| image.path.clone());
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Origin {
        registry: String::new(),
        repository: name.clone(),
        tag: version.clone(),
        original_name: path.display().to_string(),
        name,
        version,
        manifest_digest,
    }
}

fn choose<'i>(layout: &Layout, index: &'i Index, tag: Option<&str>) -> Result<&'i Descriptor, FetchError> {
    let name = |d: &Descriptor| d.annotations.get(REF_NAME).cloned();
    match (tag, &index.manifests[..]) {
        (None, [only]) => Ok(only),
        (None, _) if index.manifests.iter().all(|d| name(d).is_none()) && !index.manifests.is_empty() => {
            Ok(index.for_host()?)
        }
        (tag, list) => {
            let found = list.iter().find(|d| tag.is_some() && name(d).as_deref() == tag);
            let names: Vec<_> = list.iter().filter_map(name).take(20).collect();
            let problem = || format!("holds these images, name one of them with :TAG: {}", names.join(", "));
            found.ok_or_else(|| layout.choice(problem()))
        }
    }
}

fn choose_saved<'i>(
    layout: &Layout,
    list: &'i [SavedImage],
    tag: Option<&str>,
) -> Result<&'i SavedImage, FetchError> {
    let tags = |image: &SavedImage| image.repo_tags.clone().unwrap_or_default();
    let found = match (tag, list) {
        (None, [only]) => Some(only),
        (None, _) => None,
        (Some(tag), list) => list.iter().find(|image| tags(image).iter().any(|t| t == tag)),
    };
    let names: Vec<_> = list.iter().flat_map(tags).take(20).collect();
    found.ok_or_else(|| layout.choice(format!("holds these images, name one of them: {}", names.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_follow_the_path() {
        let parse = |form, text| {
            let image = LocalImage::parse(form, text);
            (image.path.to_str().unwrap().to_owned(), image.tag)
        };
        let tag = |t: &str| Some(t.to_owned());
        assert_eq!(parse(Form::Oci, "dir"), ("dir".into(), None));
        assert_eq!(parse(Form::Oci, "/a:b/dir"), ("/a:b/dir".into(), None));
        assert_eq!(parse(Form::Oci, "/a/dir:1"), ("/a/dir".into(), tag("1")));
        assert_eq!(parse(Form::DockerArchive, "f.tar"), ("f.tar".into(), None));
        assert_eq!(parse(Form::DockerArchive, "f.tar:r/x:1"), ("f.tar".into(), tag("r/x:1")));
    }
}
