//! Keys and certificates made by openssl.

use super::tool;
use std::path::{Path, PathBuf};

/// A key and the certificate it signed itself, for addresses.
pub struct Certificate {
    pub key: PathBuf,
    pub certificate: PathBuf,
}

impl Certificate {
    /// Makes them in `dir`, for 127.0.0.1.
    pub fn new(dir: &Path) -> Self {
        Self::of(dir, &["127.0.0.1"])
    }

    /// Makes them in `dir`, for some addresses.
    pub fn of(dir: &Path, addresses: &[&str]) -> Self {
        let made = Certificate { key: dir.join("key.pem"), certificate: dir.join("certificate.pem") };
        let (key, certificate) = (made.key.to_str().unwrap(), made.certificate.to_str().unwrap());
        let fixed = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test"];
        let name = format!("subjectAltName=IP:{}", addresses.join(",IP:"));
        let names =
            ["-addext", "basicConstraints=CA:FALSE", "-addext", &name, "-keyout", key, "-out", certificate];
        tool("openssl", "openssl", &[&fixed[..], &names].concat());
        made
    }

    /// The certificate's bytes in base64, as JSON web signatures carry it (RFC 7515, 4.1.6).
    pub fn encoded(&self) -> String {
        let text = std::fs::read_to_string(&self.certificate).unwrap();
        text.lines().filter(|line| !line.starts_with("-----")).collect()
    }

    /// Signs a file with RSA and SHA-256.
    pub fn sign(&self, file: &Path) -> Vec<u8> {
        let out = file.with_extension("signature");
        let (key, to) = (self.key.to_str().unwrap(), out.to_str().unwrap());
        tool("openssl", "openssl", &["dgst", "-sha256", "-sign", key, "-out", to, file.to_str().unwrap()]);
        std::fs::read(out).unwrap()
    }
}
