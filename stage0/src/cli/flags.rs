//! Flags that every command takes.

use std::path::{Path, PathBuf};

use crate::config::{Config, ConfigError};
use crate::fetch::{PullPolicy, Settings};
use crate::insecure::InsecureOptions;
use crate::trust::Keystore;

/// Where rkt keeps images and pods if nobody says otherwise.
const DEFAULT_DATA_DIR: &str = "/var/lib/rkt";

/// Where the distribution's configuration is if nobody says otherwise; stage1 knows it, too.
const DEFAULT_SYSTEM_CONFIG: &str = "/usr/lib/rkt";

/// Flags that every command takes (reference §1.2).
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalFlags {
    /// Print more debugging output to stderr
    #[arg(long)]
    pub debug: bool,

    /// Data directory [default: /var/lib/rkt]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<String>,

    /// System configuration directory
    // Absolute, and so is the next: stage1, which is told both, works in another directory.
    #[arg(long, value_name = "DIR", default_value = DEFAULT_SYSTEM_CONFIG, value_parser = |text: &str| std::path::absolute(text))]
    pub system_config: PathBuf,

    /// Local configuration directory
    #[arg(long, value_name = "DIR", default_value = "/etc/rkt", value_parser = |text: &str| std::path::absolute(text))]
    pub local_config: PathBuf,

    /// User configuration directory
    #[arg(long, value_name = "DIR")]
    pub user_config: Option<String>,

    /// Comma-separated list of protections to give up: none, image, tls, ondisk, http, pubkey, capabilities, paths,
    /// seccomp, all-fetch, all-run, all; and seccomp-vmm and jail, to debug the VMM
    #[arg(long, value_name = "LIST", default_value = "none")]
    pub insecure_options: InsecureOptions,

    /// Trust keys discovered over https without asking
    #[arg(long)]
    pub trust_keys_from_https: bool,

    /// Where the original rkt wrote a profile of its Go runtime; taken, and without effect
    #[arg(long, value_name = "FILE", hide = true)]
    pub cpuprofile: Option<PathBuf>,

    /// Likewise
    #[arg(long, value_name = "FILE", hide = true)]
    pub memprofile: Option<PathBuf>,
}

/// Why there is no data directory.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// The flag was given an empty value.
    #[error("\"\" is not a valid directory")]
    Empty,
    /// The configuration that may name it cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The working directory, from which a relative path starts, is not known.
    #[error("Cannot make data directory \"{}\" absolute", dir.display())]
    Absolute {
        /// The directory.
        dir: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
}

impl GlobalFlags {
    /// The configuration of all layers.
    pub fn config(&self) -> Result<Config, ConfigError> {
        let user = self.user_config.as_deref().filter(|dir| !dir.is_empty()).map(Path::new);
        Config::load([self.system_config.as_path(), self.local_config.as_path()].into_iter().chain(user))
    }

    /// The system configuration directory, if it is not the usual one.
    pub fn system_config_elsewhere(&self) -> Option<PathBuf> {
        (self.system_config != Path::new(DEFAULT_SYSTEM_CONFIG)).then(|| self.system_config.clone())
    }

    /// What decides how images are fetched.
    pub fn fetch_settings(&self, policy: PullPolicy) -> Result<Settings, ConfigError> {
        Ok(Settings {
            config: self.config()?,
            keystore: Keystore::new(&self.system_config, &self.local_config),
            insecure: self.insecure_options,
            trust_keys_from_https: self.trust_keys_from_https,
            policy,
        })
    }

    /// The data directory, absolute and with symbolic links resolved as far as it exists.
    pub fn data_dir(&self) -> Result<PathBuf, DataDirError> {
        let dir = match self.dir.as_deref() {
            Some("") => return Err(DataDirError::Empty),
            Some(dir) => PathBuf::from(dir),
            None => self.config()?.paths.data.unwrap_or_else(|| PathBuf::from(DEFAULT_DATA_DIR)),
        };
        let absolute = std::path::absolute(&dir)
            .map_err(|source| DataDirError::Absolute { dir: dir.clone(), source })?;
        Ok(resolve(&absolute))
    }
}

/// Resolves the part that exists and appends the rest.
fn resolve(path: &Path) -> PathBuf {
    let existing = path.ancestors().find_map(|ancestor| Some((ancestor, ancestor.canonicalize().ok()?)));
    match existing {
        Some((ancestor, real)) => match path.strip_prefix(ancestor) {
            Ok(rest) if !rest.as_os_str().is_empty() => real.join(rest),
            _ => real,
        },
        None => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_resolved_as_far_as_the_path_exists() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap();
        std::os::unix::fs::symlink(&real, real.join("link")).unwrap();
        assert_eq!(resolve(&real.join("link/a/b")), real.join("a/b"));
        assert_eq!(resolve(&real.join("link")), real);
        assert_eq!(resolve(Path::new("/")), Path::new("/"));
    }
}
