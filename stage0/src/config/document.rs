//! Single configuration files.

use super::{AuthKind, ConfigError, Credentials, Paths, Stage1};
use serde::Deserialize;
use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};
use url::Url;

/// The only version of every kind.
const VERSION: &str = "v1";

/// Subdirectories of a layer and the kinds they may hold.
const PLACES: [(&str, &[&str]); 3] =
    [("auth.d", &["auth", "dockerAuth"]), ("paths.d", &["paths"]), ("stage1.d", &["stage1"])];

/// What one file says.
#[derive(Debug)]
pub(super) enum Kind {
    /// Domains and how to authenticate to them.
    Auth(Vec<String>, AuthKind),
    /// Registries and credentials for them.
    DockerAuth(Vec<String>, Credentials),
    /// Where things are.
    Paths(Paths),
    /// The default stage1 image.
    Stage1(Stage1),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    rkt_kind: String,
    rkt_version: String,
}

#[derive(Deserialize)]
struct AuthFile {
    domains: Vec<String>,
    #[serde(rename = "type")]
    kind: String,
    credentials: Value,
}

#[derive(Deserialize)]
struct DockerAuthFile {
    registries: Vec<String>,
    credentials: UserPassword,
}

#[derive(Deserialize)]
pub(super) struct UserPassword {
    pub user: String,
    #[serde(default)]
    pub password: String,
}

#[derive(Deserialize)]
struct PathsFile {
    data: Option<String>,
    #[serde(rename = "stage1-images")]
    stage1_images: Option<String>,
}

#[derive(Deserialize)]
struct Stage1File {
    name: Option<String>,
    version: Option<String>,
    location: Option<String>,
}

/// The files of one layer in order of their names.
pub(super) fn read_layer(dir: &Path) -> Result<Vec<(PathBuf, Kind)>, ConfigError> {
    let mut out = Vec::new();
    for (place, kinds) in PLACES {
        for path in files(&dir.join(place))? {
            let kind = read(&path, place, kinds)?;
            out.push((path, kind));
        }
    }
    Ok(out)
}

/// Regular files named `*.json`; links and directories are not looked at.
fn files(dir: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let failed = |source| ConfigError::Read { path: dir.to_path_buf(), source };
    let entries = match std::fs::read_dir(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut out = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let regular = entry.file_type().map_err(failed)?.is_file();
        if regular && entry.path().extension().is_some_and(|e| e == "json") {
            out.push(entry.path());
        }
    }
    out.sort();
    Ok(out)
}

fn read(path: &Path, place: &str, kinds: &[&str]) -> Result<Kind, ConfigError> {
    let text =
        std::fs::read(path).map_err(|source| ConfigError::Read { path: path.to_path_buf(), source })?;
    let broken = |rule| ConfigError::Rule { path: path.to_path_buf(), rule };
    let json = |source| ConfigError::Json { path: path.to_path_buf(), source };
    let head: Head = serde_json::from_slice(&text).map_err(json)?;
    if head.rkt_version != VERSION {
        return Err(broken(format!("rktVersion {:?} is not known, use {VERSION:?}", head.rkt_version)));
    }
    if !kinds.contains(&head.rkt_kind.as_str()) {
        return Err(broken(format!(
            "rktKind {:?} does not belong into {place}, only {kinds:?} do",
            head.rkt_kind
        )));
    }
    match head.rkt_kind.as_str() {
        "auth" => auth(serde_json::from_slice(&text).map_err(json)?).map_err(|e| e.into_error(path)),
        "dockerAuth" => docker_auth(serde_json::from_slice(&text).map_err(json)?).map_err(broken),
        "paths" => paths(serde_json::from_slice(&text).map_err(json)?).map_err(broken),
        _ => stage1(serde_json::from_slice(&text).map_err(json)?).map_err(broken),
    }
}

/// A rule that is broken, or JSON of the wrong form deeper in the file.
enum Broken {
    Rule(String),
    Json(serde_json::Error),
}

impl Broken {
    fn into_error(self, path: &Path) -> ConfigError {
        let path = path.to_path_buf();
        match self {
            Broken::Rule(rule) => ConfigError::Rule { path, rule },
            Broken::Json(source) => ConfigError::Json { path, source },
        }
    }
}

fn auth(file: AuthFile) -> Result<Kind, Broken> {
    if file.domains.is_empty() {
        return Err(Broken::Rule("no domains specified".to_owned()));
    }
    let auth = match file.kind.as_str() {
        "basic" => {
            let UserPassword { user, password } =
                serde_json::from_value(file.credentials).map_err(Broken::Json)?;
            AuthKind::Basic(credentials(user, password).map_err(Broken::Rule)?)
        }
        "oauth" => AuthKind::oauth(file.credentials).map_err(Broken::Json)?,
        "aws" => AuthKind::aws(file.credentials).map_err(Broken::Json)?,
        other => return Err(Broken::Rule(format!("unknown auth type {other:?}, use basic, oauth or aws"))),
    };
    Ok(Kind::Auth(file.domains, auth))
}

fn credentials(user: String, password: String) -> Result<Credentials, String> {
    if user.is_empty() {
        return Err("user not specified".to_owned());
    }
    if password.is_empty() {
        return Err("password not specified".to_owned());
    }
    Ok(Credentials { user, password })
}

fn docker_auth(file: DockerAuthFile) -> Result<Kind, String> {
    if file.registries.is_empty() {
        return Err("no registries specified".to_owned());
    }
    Ok(Kind::DockerAuth(file.registries, credentials(file.credentials.user, file.credentials.password)?))
}

fn paths(file: PathsFile) -> Result<Kind, String> {
    let absolute = |path: Option<String>, what: &str| match path.filter(|p| !p.is_empty()) {
        Some(path) if !path.starts_with('/') => Err(format!("{what} {path:?} must be an absolute path")),
        path => Ok(path.map(PathBuf::from)),
    };
    Ok(Kind::Paths(Paths {
        data: absolute(file.data, "data directory")?,
        stage1_images: absolute(file.stage1_images, "stage1 images directory")?,
    }))
}

fn stage1(file: Stage1File) -> Result<Kind, String> {
    let given = |text: Option<String>| text.filter(|t| !t.is_empty());
    let image = match (given(file.name), given(file.version)) {
        (Some(name), Some(version)) => Some((name, version)),
        (None, None) => None,
        (Some(_), None) => return Err("default stage1 image version not specified, but name is".to_owned()),
        (None, Some(_)) => return Err("default stage1 image name not specified, but version is".to_owned()),
    };
    let location = given(file.location);
    if let Some(text) = location.as_deref().filter(|text| !text.starts_with('/')) {
        let scheme = Url::parse(text).map(|url| url.scheme().to_owned());
        if !matches!(scheme.as_deref(), Ok("file" | "http" | "https" | "docker")) {
            return Err(
                "default stage1 image location is either a relative path or a URL without scheme".to_owned()
            );
        }
    }
    Ok(Kind::Stage1(Stage1 { image, location }))
}
