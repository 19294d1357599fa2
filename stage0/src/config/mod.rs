//! Configuration files in three layers: system, local, user (rkt-reference 5).

mod auth;
mod document;
mod show;

pub use auth::{AuthError, AuthKind, Header};

use document::{Kind, read_layer};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// Why the configuration cannot be used. Commands fail rather than ignore half of it.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file or directory cannot be read.
    #[error("Cannot read configuration {path:?}")]
    Read {
        /// Which.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Not JSON, or fields of the wrong form.
    #[error("Cannot parse configuration file {path:?}")]
    Json {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// The file breaks a rule.
    #[error("Bad configuration file {path:?}: {rule}")]
    Rule {
        /// The file.
        path: PathBuf,
        /// Which rule, and how to keep it.
        rule: String,
    },
}

/// User and password for a registry.
pub use crate::registry::Credentials;

/// The effective configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// How to authenticate to web servers, by domain (with port if it is not the scheme's).
    pub auth: BTreeMap<String, AuthKind>,
    /// How to authenticate to registries, by host (with port).
    pub docker_auth: BTreeMap<String, Credentials>,
    /// Where things are.
    pub paths: Paths,
    /// The stage1 image used by default.
    pub stage1: Stage1,
}

/// Kind `paths`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Paths {
    /// Data directory.
    pub data: Option<PathBuf>,
    /// Directory of `--stage1-from-dir`.
    pub stage1_images: Option<PathBuf>,
}

/// Kind `stage1`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stage1 {
    /// Name and version, given together.
    pub image: Option<(String, String)>,
    /// Absolute path or URL.
    pub location: Option<String>,
}

impl Config {
    /// Reads the layers, lowest priority first. Directories that do not exist are empty.
    pub fn load<'a>(layers: impl IntoIterator<Item = &'a Path>) -> Result<Self, ConfigError> {
        let mut config = Config::default();
        for dir in layers {
            let mut layer = Config::default();
            for (path, kind) in read_layer(dir)? {
                let broken = |rule| ConfigError::Rule { path: path.clone(), rule };
                layer.add(kind).map_err(broken)?;
            }
            config.override_with(layer);
        }
        Ok(config)
    }

    /// Adds one file to a layer, in which nothing may be said twice.
    fn add(&mut self, kind: Kind) -> Result<(), String> {
        match kind {
            Kind::Auth(domains, auth) => {
                for domain in domains {
                    if self.auth.insert(domain.clone(), auth.clone()).is_some() {
                        return Err(format!("auth for domain {domain:?} is already specified"));
                    }
                }
            }
            Kind::DockerAuth(registries, credentials) => {
                for registry in registries {
                    if self.docker_auth.insert(registry.clone(), credentials.clone()).is_some() {
                        return Err(format!("auth for docker registry {registry:?} is already specified"));
                    }
                }
            }
            Kind::Paths(paths) => {
                once(&mut self.paths.data, paths.data, "data directory")?;
                once(&mut self.paths.stage1_images, paths.stage1_images, "stage1 images directory")?;
            }
            Kind::Stage1(stage1) => {
                once(&mut self.stage1.image, stage1.image, "name and version of default stage1 image")?;
                once(&mut self.stage1.location, stage1.location, "location of default stage1 image")?;
            }
        }
        Ok(())
    }

    fn override_with(&mut self, higher: Config) {
        self.auth.extend(higher.auth);
        self.docker_auth.extend(higher.docker_auth);
        let Config { paths, stage1, .. } = higher;
        self.paths.data = paths.data.or(self.paths.data.take());
        self.paths.stage1_images = paths.stage1_images.or(self.paths.stage1_images.take());
        self.stage1.image = stage1.image.or(self.stage1.image.take());
        self.stage1.location = stage1.location.or(self.stage1.location.take());
    }

    /// The credentials for a registry, if configured.
    pub fn registry(&self, host: &str) -> Option<&Credentials> {
        self.docker_auth.get(host)
    }
}

fn once<T>(slot: &mut Option<T>, value: Option<T>, what: &str) -> Result<(), String> {
    if value.is_some() && slot.is_some() {
        return Err(format!("{what} is already specified"));
    }
    if value.is_some() {
        *slot = value;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
