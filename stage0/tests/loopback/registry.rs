//! Debian's docker-registry.

use super::certificate::Certificate;
use super::layout::Image;
use super::{tokens, tool};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// User and password of registries that want one, and its line for htpasswd (bcrypt, made once).
pub const USER: &str = "user";
pub const PASSWORD: &str = "word";
const HTPASSWD: &str = "user:$2b$04$vknkIQg/a1civde9B6Hw/e3cdnucKzvmHMBf6wqn6/MTKAp5J8U1y\n";

/// A running registry; it ends with the value.
pub struct Registry {
    child: Child,
    pub port: u16,
    dir: tempfile::TempDir,
    guarded: bool,
}

impl Registry {
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// One that wants [`USER`] and [`PASSWORD`].
    pub fn guarded() -> Self {
        let mut registry = Self::start_with("auth:\n  htpasswd:\n    realm: test\n    path: DIR/htpasswd\n");
        registry.guarded = true;
        registry
    }

    /// One that wants the same, and is reached by TLS.
    pub fn tls(certificate: &Certificate) -> Self {
        let (key, certificate) = (certificate.key.display(), certificate.certificate.display());
        let mut registry = Self::start_with(&format!(
            "  tls:\n    certificate: {certificate}\n    key: {key}\n\
             auth:\n  htpasswd:\n    realm: test\n    path: DIR/htpasswd\n"
        ));
        registry.guarded = true;
        registry
    }

    /// One that wants tokens of the server on `port`, whose certificate is in `bundle`.
    pub fn with_tokens(port: u16, bundle: &Path) -> Self {
        let mut registry = Self::start_with(&format!(
            "auth:\n  token:\n    realm: http://127.0.0.1:{port}/token\n    service: {}\n    issuer: {}\n\
             \x20   rootcertbundle: {}\n",
            tokens::SERVICE,
            tokens::ISSUER,
            bundle.display()
        ));
        registry.guarded = true;
        registry
    }

    fn start_with(extra: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = super::free_port();
        let path = dir.path().display().to_string();
        let config = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {path}/data\n\
             http:\n  addr: 127.0.0.1:{port}\n{}",
            extra.replace("DIR", &path)
        );
        std::fs::write(dir.path().join("config.yml"), config).unwrap();
        std::fs::write(dir.path().join("htpasswd"), HTPASSWD).unwrap();
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(dir.path().join("config.yml"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| {
                panic!("Cannot run docker-registry: {e}: install the Debian package docker-registry")
            });
        let registry = Registry { child, port, dir, guarded: false };
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "docker-registry does not listen on port {port}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        registry
    }

    /// `docker://` name of a repository and tag.
    pub fn image(&self, name: &str) -> String {
        format!("docker://127.0.0.1:{}/{name}", self.port)
    }

    /// Copies an image of a layout into the registry with skopeo.
    pub fn push(&self, image: &Image<'_>, name: &str, flags: &[&str]) {
        let (from, to) = (format!("oci:{}", image.name()), self.image(name));
        let credentials = format!("--dest-creds={USER}:{PASSWORD}");
        let mut args = vec!["--insecure-policy", "copy", "--dest-tls-verify=false"];
        args.extend(flags);
        if self.guarded {
            args.push(&credentials);
        }
        args.extend([from.as_str(), to.as_str()]);
        tool("skopeo", "skopeo", &args);
    }

    /// Where the registry keeps a blob.
    pub fn blob(&self, digest: &str) -> PathBuf {
        let hex = digest.strip_prefix("sha256:").unwrap();
        let blobs = self.dir.path().join("data/docker/registry/v2/blobs/sha256");
        blobs.join(&hex[..2]).join(hex).join("data")
    }

    /// A manifest as the registry has it, with its digest.
    pub fn manifest(&self, repository: &str, tag: &str) -> (serde_json::Value, String) {
        let url = format!("http://127.0.0.1:{}/v2/{repository}/manifests/{tag}", self.port);
        let types = "application/vnd.oci.image.manifest.v1+json, \
                     application/vnd.docker.distribution.manifest.v2+json";
        let mut response = ureq::get(&url).header("Accept", types).call().unwrap();
        let digest = response.headers()["docker-content-digest"].to_str().unwrap().to_owned();
        (serde_json::from_str(&response.body_mut().read_to_string().unwrap()).unwrap(), digest)
    }

    /// Puts a manifest or index into the registry.
    pub fn put(&self, repository: &str, tag: &str, media_type: &str, document: &serde_json::Value) {
        let url = format!("http://127.0.0.1:{}/v2/{repository}/manifests/{tag}", self.port);
        ureq::put(&url).header("Content-Type", media_type).send(document.to_string()).unwrap();
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
