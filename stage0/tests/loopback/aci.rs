//! ACIs and their signatures.

use super::tool;
use stage0::archive::tar::{Entry, Kind, TarWriter};
use std::path::{Path, PathBuf};

/// An ACI with one file `content`.
pub fn aci(name: &str, version: &str, content: &str, rest: &str) -> Vec<u8> {
    let manifest = format!(
        r#"{{"acKind":"ImageManifest","acVersion":"0.8.11","name":"{name}","labels":[
            {{"name":"version","value":"{version}"}},{{"name":"os","value":"linux"}},
            {{"name":"arch","value":"amd64"}}]{rest}}}"#
    );
    let mut writer = TarWriter::new(Vec::new());
    let mut file = |name: &str, text: &str| {
        let entry = Entry::new(name.as_bytes(), Kind::File, 0o644).sized(text.len() as u64);
        writer.entry(&entry, &mut text.as_bytes()).unwrap();
    };
    file("manifest", &manifest);
    file("rootfs/content", content);
    writer.finish().unwrap()
}

/// A GnuPG home with keys.
pub struct Gpg {
    home: tempfile::TempDir,
}

impl Gpg {
    pub fn new() -> Self {
        Gpg { home: tempfile::tempdir().unwrap() }
    }

    fn run(&self, args: &[&str]) -> String {
        let home = self.home.path().to_str().unwrap();
        let fixed = [
            "--homedir",
            home,
            "--batch",
            "--yes",
            "--no-tty",
            "--passphrase",
            "",
            "--pinentry-mode",
            "loopback",
        ];
        tool("gpg", "gnupg", &[&fixed[..], args].concat())
    }

    /// Makes a key and returns its fingerprint.
    pub fn key(&self, user: &str, algorithm: &str, usage: &str, extra: &[&str]) -> String {
        let mut args = extra.to_vec();
        args.extend(["--quick-gen-key", user, algorithm, usage]);
        args.push(if extra.is_empty() { "never" } else { "1y" });
        self.run(&args);
        self.fingerprint(user)
    }

    pub fn fingerprint(&self, user: &str) -> String {
        let listed = self.run(&["--with-colons", "--fingerprint", user]);
        let line = listed.lines().find(|line| line.starts_with("fpr:")).unwrap();
        line.split(':').nth(9).unwrap().to_lowercase()
    }

    /// Adds a subkey for signing.
    pub fn subkey(&self, fingerprint: &str, algorithm: &str) {
        self.run(&["--quick-add-key", fingerprint, algorithm, "sign", "never"]);
    }

    /// Revokes a key with the certificate made together with it.
    pub fn revoke(&self, fingerprint: &str) {
        let path =
            self.home.path().join("openpgp-revocs.d").join(format!("{}.rev", fingerprint.to_uppercase()));
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace(":-----BEGIN", "-----BEGIN")).unwrap();
        self.run(&["--import", path.to_str().unwrap()]);
    }

    /// Writes the public key to a file.
    pub fn export(&self, user: &str, to: &Path) -> PathBuf {
        let path = to.join(format!("{}.gpg", user.replace([' ', '<', '>', '@'], "_")));
        self.run(&["--armor", "--output", path.to_str().unwrap(), "--export", user]);
        path
    }

    /// Signs a file; the signature is beside it.
    pub fn sign(&self, user: &str, file: &Path, flags: &[&str]) -> PathBuf {
        let signature = PathBuf::from(format!("{}.asc", file.display()));
        let mut args = flags.to_vec();
        args.extend(["--local-user", user, "--output", signature.to_str().unwrap(), "--detach-sign"]);
        args.push(file.to_str().unwrap());
        self.run(&args);
        signature
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        // The agent gpg started ends when it is told to; its home is about to go.
        let home = self.home.path().to_str().unwrap();
        let _ = std::process::Command::new("gpgconf").args(["--homedir", home, "--kill", "all"]).status();
    }
}
