//! Trusted keys on disk, in two layers: what the system brings, and what the administrator adds or disables.

use super::{PublicKey, TrustError};
use crate::store::Aside;
use appc::AcIdentifier;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const KEYS: &str = "trustedkeys";
const ROOT: &str = "root.d";
const PREFIX: &str = "prefix.d";

/// The images a key is trusted for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All.
    Root,
    /// Those whose name is the prefix or begins with it and a slash.
    Prefix(AcIdentifier),
}

impl Scope {
    fn dir(&self) -> PathBuf {
        match self {
            Scope::Root => PathBuf::from(ROOT),
            Scope::Prefix(prefix) => Path::new(PREFIX).join(prefix.as_str()),
        }
    }

    /// The scopes that cover an image, widest first.
    pub fn covering(name: &AcIdentifier) -> Vec<Scope> {
        let mut prefixes: Vec<_> = appc::discovery::candidates(name.as_str()).collect();
        prefixes.reverse();
        let prefixes = prefixes.into_iter().filter_map(|prefix| prefix.parse().ok()).map(Scope::Prefix);
        std::iter::once(Scope::Root).chain(prefixes).collect()
    }
}

/// The keystore of a system and a local configuration directory.
#[derive(Debug, Clone)]
pub struct Keystore {
    system: PathBuf,
    local: PathBuf,
}

impl Keystore {
    /// The keystore below two configuration directories.
    pub fn new(system_config: &Path, local_config: &Path) -> Self {
        Keystore { system: system_config.join(KEYS), local: local_config.join(KEYS) }
    }

    /// The keys that may sign an image of this name.
    pub fn keys_for(&self, name: &AcIdentifier) -> Result<Vec<PublicKey>, TrustError> {
        let mut keys = Vec::new();
        for scope in Scope::covering(name) {
            keys.extend(self.keys_in(&scope)?);
        }
        Ok(keys)
    }

    /// The keys trusted for exactly this scope. An empty file of the local layer disables the system's key.
    fn keys_in(&self, scope: &Scope) -> Result<Vec<PublicKey>, TrustError> {
        let mut files: BTreeMap<String, PathBuf> = BTreeMap::new();
        for layer in [&self.system, &self.local] {
            files.extend(fingerprint_files(&layer.join(scope.dir()))?);
        }
        let mut keys = Vec::new();
        for (fingerprint, path) in files {
            let bytes = std::fs::read(&path).map_err(failed("read", &path))?;
            if bytes.is_empty() {
                continue;
            }
            let key = PublicKey::parse(&bytes, &path.display().to_string())?;
            if key.fingerprint() != fingerprint {
                return Err(TrustError::Fingerprint { path, found: key.fingerprint() });
            }
            keys.push(key);
        }
        Ok(keys)
    }

    /// Trusts a key from now on; returns where it was put.
    pub fn trust(&self, key: &PublicKey, scope: &Scope) -> Result<PathBuf, TrustError> {
        let dir = self.local.join(scope.dir());
        std::fs::create_dir_all(&dir).map_err(failed("make directory", &dir))?;
        let path = dir.join(key.fingerprint());
        let mut aside = Aside::readable(&dir).map_err(failed("write", &path))?;
        aside.file().write_all(key.source()).map_err(failed("write", &path))?;
        aside.replace(&path).map_err(failed("write", &path))?;
        Ok(path)
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> TrustError {
    let path = path.to_path_buf();
    move |source| TrustError::Io { action, path, source }
}

/// Files of a directory whose name can be a fingerprint; directories below it are longer prefixes.
fn fingerprint_files(dir: &Path) -> Result<Vec<(String, PathBuf)>, TrustError> {
    let entries = match std::fs::read_dir(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed("read", dir))?,
    };
    let mut out = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed("read", dir))?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let hex = name.len() == 40 && name.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if hex && entry.path().is_file() {
            out.push((name, entry.path()));
        }
    }
    Ok(out)
}
