//! Credentials for registries: the configuration's, else what docker or podman logged in with.

use super::Fetcher;
use crate::registry::Credentials;
use base64::Engine;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How Docker's own registry is called in its configuration.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// Docker's `config.json`, also written by podman and skopeo.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DockerConfig {
    auths: BTreeMap<String, Auth>,
    creds_store: String,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Auth {
    auth: String,
    username: String,
    password: String,
}

/// What a credential helper answers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

impl Fetcher<'_> {
    /// What to tell the registry `host`; `None` leaves us anonymous.
    pub(super) fn registry_credentials(&self, host: &str) -> Option<Credentials> {
        self.settings.config.registry(host).cloned().or_else(|| {
            let candidates = [docker_config(), podman_config()];
            candidates.into_iter().flatten().find_map(|path| from_file(&path, host))
        })
    }
}

fn docker_config() -> Option<PathBuf> {
    let dir = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".docker"));
    Some(dir.or_else(home)?.join("config.json"))
}

fn podman_config() -> Option<PathBuf> {
    let named = std::env::var_os("REGISTRY_AUTH_FILE").map(PathBuf::from);
    let runtime = || Some(PathBuf::from(std::env::var_os("XDG_RUNTIME_DIR")?).join("containers/auth.json"));
    named.or_else(runtime)
}

fn from_file(path: &Path, host: &str) -> Option<Credentials> {
    let text = std::fs::read(path).ok()?;
    match serde_json::from_slice::<DockerConfig>(&text) {
        Ok(config) => config.credentials(host),
        Err(error) => {
            // Not our file: not a reason to fail, but one to say why we come without credentials.
            tracing::warn!(target: "image", "ignoring {}: {error}", path.display());
            None
        }
    }
}

impl DockerConfig {
    fn credentials(&self, host: &str) -> Option<Credentials> {
        let names = names(host);
        let helper = names.iter().find_map(|name| self.cred_helpers.get(name));
        let helper = helper.or(Some(&self.creds_store)).filter(|helper| !helper.is_empty());
        let asked = helper.and_then(|helper| names.iter().find_map(|name| ask(helper, name)));
        asked.or_else(|| names.iter().find_map(|name| self.auths.get(name)?.credentials()))
    }
}

/// What a registry may be called in the file.
fn names(host: &str) -> Vec<String> {
    let mut names = vec![host.to_owned(), format!("https://{host}"), format!("http://{host}")];
    if host == "registry-1.docker.io" {
        names.extend([DOCKER_HUB, "index.docker.io", "docker.io"].map(str::to_owned));
    }
    names
}

impl Auth {
    fn credentials(&self) -> Option<Credentials> {
        if !self.username.is_empty() {
            return Some(Credentials { user: self.username.clone(), password: self.password.clone() });
        }
        let text = base64::engine::general_purpose::STANDARD.decode(self.auth.trim()).ok()?;
        let text = String::from_utf8(text).ok()?;
        let (user, password) = text.split_once(':')?;
        // Docker pads passwords with NULs in some versions.
        Some(Credentials { user: user.to_owned(), password: password.trim_end_matches('\0').to_owned() })
    }
}

/// Asks `docker-credential-HELPER` for one registry.
fn ask(helper: &str, name: &str) -> Option<Credentials> {
    // The name becomes part of a program's name.
    if !helper.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
        return None;
    }
    let mut child = Command::new(format!("docker-credential-{helper}"))
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    // A helper that does not read its input will fail in a moment.
    let _ = child.stdin.take()?.write_all(name.as_bytes());
    let output = child.wait_with_output().ok().filter(|output| output.status.success())?;
    let answer: Answer = serde_json::from_slice(&output.stdout).ok()?;
    // "<token>" says that the secret is an identity token, which is exchanged in a way we do not speak.
    (answer.username != "<token>").then_some(Credentials { user: answer.username, password: answer.secret })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> DockerConfig {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn logins_are_found_under_every_name() {
        let config = config(
            r#"{"auths": {"r:5000": {"auth": "dTpwOnE="}, "https://index.docker.io/v1/": {"username": "hub", "password": "x"},
                "bad": {"auth": "%%%"}}, "unknown": {"deep": []}}"#,
        );
        let found = config.credentials("r:5000").unwrap();
        assert_eq!((found.user.as_str(), found.password.as_str()), ("u", "p:q"));
        assert_eq!(config.credentials("registry-1.docker.io").unwrap().user, "hub");
        assert!(config.credentials("bad").is_none() && config.credentials("other").is_none());
    }

    #[test]
    fn helpers_that_are_paths_are_not_run() {
        assert!(ask("../../bin/sh", "x").is_none());
        let config = config(r#"{"credHelpers": {"r": "a/b"}, "credsStore": ""}"#);
        assert!(config.credentials("r").is_none());
    }
}
