//! What an image is to be made of.

use super::BuildError;
use crate::archive::name::{NameError, RelPath};
use crate::store::Aside;
use appc::{AcIdentifier, AcName, App, Dependency, ImageManifest, ImageName, MountPoint, Port, ValueError};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Why a recipe cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// No name, and no base that has one.
    #[error("an image needs a name (use --name)")]
    NoName,
    /// A name breaks its rule.
    #[error("Invalid name in the recipe")]
    Value(#[from] ValueError),
    /// The result breaks the specification's rules.
    #[error("the image's manifest would be invalid")]
    Manifest(#[source] Box<appc::ManifestError>),
    /// Not `SOURCE:TARGET`.
    #[error("Invalid copy {0:?}: must be SOURCE:/TARGET")]
    Copy(String),
    /// The target of a copy leaves the image.
    #[error("Invalid target of a copy")]
    Target(#[from] NameError),
    /// Not a port.
    #[error("Invalid port {0:?}: must be NAME:PROTOCOL:NUMBER")]
    Port(String),
    /// Not a mount point.
    #[error("Invalid mount point {0:?}: must be NAME:/PATH[:ro]")]
    Mount(String),
}

/// Files to be laid into an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// A file, or a directory whose content is meant.
    pub from: PathBuf,
    /// Where it goes.
    pub to: RelPath,
}

impl FromStr for Copy {
    type Err = RecipeError;

    fn from_str(text: &str) -> Result<Self, RecipeError> {
        let bad = || RecipeError::Copy(text.to_owned());
        let (from, to) = text.rsplit_once(':').ok_or_else(bad)?;
        let to = to.strip_prefix('/').filter(|_| !from.is_empty()).ok_or_else(bad)?;
        Ok(Copy { from: PathBuf::from(from), to: RelPath::parse(to.as_bytes())? })
    }
}

/// Where an image is written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// An ACI, compressed with gzip.
    Aci(PathBuf),
    /// A new OCI layout.
    OciLayout(PathBuf),
}

/// A recipe. What it does not say comes from the base.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// Where the image goes.
    pub output: Output,
    /// Its name.
    pub name: Option<AcIdentifier>,
    /// Labels, over the base's.
    pub labels: Vec<(String, String)>,
    /// Annotations, over the base's.
    pub annotations: Vec<(String, String)>,
    /// The program and its arguments.
    pub exec: Vec<String>,
    /// Variables, over the base's.
    pub environment: Vec<(String, String)>,
    /// Who runs it.
    pub user: Option<String>,
    /// With which group.
    pub group: Option<String>,
    /// Where it starts.
    pub working_directory: Option<String>,
    /// Further ports.
    pub ports: Vec<Port>,
    /// Further mount points.
    pub mount_points: Vec<MountPoint>,
    /// Further images beneath.
    pub dependencies: Vec<ImageName>,
    /// Files, in this order.
    pub copies: Vec<Copy>,
}

/// `NAME:PROTOCOL:NUMBER`.
pub fn parse_port(text: &str) -> Result<Port, RecipeError> {
    let bad = || RecipeError::Port(text.to_owned());
    let [name, protocol, port] = text.split(':').collect::<Vec<_>>()[..] else { return Err(bad()) };
    let name: AcName = name.parse()?;
    let port = port.parse().map_err(|_| bad())?;
    Ok(Port { name, protocol: protocol.to_owned(), port, count: 1, socket_activated: false })
}

/// `NAME:/PATH[:ro]`.
pub fn parse_mount_point(text: &str) -> Result<MountPoint, RecipeError> {
    let bad = || RecipeError::Mount(text.to_owned());
    let (name, rest) = text.split_once(':').ok_or_else(bad)?;
    let (path, read_only) = rest.strip_suffix(":ro").map_or((rest, false), |path| (path, true));
    if !path.starts_with('/') {
        return Err(bad());
    }
    Ok(MountPoint { name: name.parse()?, path: path.to_owned(), read_only })
}

impl Recipe {
    /// The image's manifest.
    pub(super) fn manifest(&self, base: Option<&ImageManifest>) -> Result<ImageManifest, RecipeError> {
        let name = self.name.clone().or_else(|| base.map(|b| b.name.clone())).ok_or(RecipeError::NoName)?;
        let mut out = base.cloned().unwrap_or_else(|| ImageManifest::new(name.clone()));
        out.name = name;
        // The base is copied whole: what lay beneath it is in the image now.
        out.dependencies.clear();
        out.path_whitelist.clear();
        for (label, value) in [("os", "linux"), ("arch", crate::fetch::host_arch())] {
            if out.labels.get(label).is_none() {
                out.labels.set(label.parse()?, value);
            }
        }
        for (label, value) in &self.labels {
            out.labels.set(label.parse()?, value.clone());
        }
        for (annotation, value) in &self.annotations {
            out.annotations.set(annotation.parse()?, value.clone());
        }
        for below in &self.dependencies {
            let labels = below.labels.clone();
            out.dependencies.push(Dependency {
                image_name: below.name.clone(),
                image_id: None,
                labels,
                size: 0,
            });
        }
        out.app = self.app(out.app.take());
        out.validate().map_err(|e| RecipeError::Manifest(Box::new(e)))?;
        Ok(out)
    }

    /// The app section; none if neither the base has one nor anything is said about it.
    fn app(&self, base: Option<App>) -> Option<App> {
        let says = !self.exec.is_empty()
            || !self.environment.is_empty()
            || !self.ports.is_empty()
            || !self.mount_points.is_empty()
            || self.user.is_some()
            || self.group.is_some()
            || self.working_directory.is_some();
        if base.is_none() && !says {
            return None;
        }
        let root = || App { user: "0".to_owned(), group: "0".to_owned(), ..App::default() };
        let mut app = base.unwrap_or_else(root);
        if !self.exec.is_empty() {
            app.exec.clone_from(&self.exec);
        }
        for (name, value) in &self.environment {
            app.environment.set(name, value);
        }
        for (field, value) in [
            (&mut app.user, &self.user),
            (&mut app.group, &self.group),
            (&mut app.working_directory, &self.working_directory),
        ] {
            if let Some(value) = value {
                field.clone_from(value);
            }
        }
        app.ports.retain(|old| !self.ports.iter().any(|new| new.name == old.name));
        app.ports.extend(self.ports.iter().cloned());
        app.mount_points.retain(|old| !self.mount_points.iter().any(|new| new.name == old.name));
        app.mount_points.extend(self.mount_points.iter().cloned());
        Some(app)
    }
}

/// Writes a file that appears when it is complete.
pub(super) fn write_aside(
    path: &Path,
    write: impl FnOnce(&mut File) -> Result<(), BuildError>,
) -> Result<(), BuildError> {
    let path = std::path::absolute(path).map_err(BuildError::io("write", path))?;
    let failed = || BuildError::io("write", &path);
    let dir = path.parent().ok_or_else(|| failed()(std::io::ErrorKind::IsADirectory.into()))?;
    let mut aside = Aside::readable(dir).map_err(failed())?;
    write(aside.file())?;
    aside.replace(&path).map_err(failed())
}
