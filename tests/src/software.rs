//! Real software in images: programs as this machine's Debian packages installed them.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::{Aci, host, network::sh};

/// nginx with Debian's configuration, which serves `/var/www/html` as `www-data`, and iperf3; ports `http` (80), `iperf` and
/// `iperf-udp` (5201). Packed once per host.
///
/// # Panics
/// When one of them is not installed.
pub fn nginx_and_iperf3() -> PathBuf {
    let path = host::data_dir().join("nginx.aci");
    if path.exists() {
        return path;
    }
    let ports = json!([
        {"name": "http", "protocol": "tcp", "port": 80},
        {"name": "iperf", "protocol": "tcp", "port": 5201},
        {"name": "iperf-udp", "protocol": "udp", "port": 5201},
    ]);
    let users = "root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\n";
    let image = Aci::with_busybox("example.com/nginx", &["/usr/sbin/nginx"])
        .app("ports", ports)
        .file("etc/passwd", users, 0o644)
        .file("etc/group", "root:x:0:\nwww-data:x:33:\n", 0o644);
    let image = [
        "lib",
        "lib64",
        "lib/x86_64-linux-gnu",
        "usr/sbin",
        "usr/bin",
        "var/www",
        "var/log",
        "var/log/nginx",
        "var/lib",
        "var/lib/nginx",
        "run",
    ]
    .iter()
    .fold(image, |image, directory| image.directory(directory, 0o755));
    let image = ["/usr/sbin/nginx", "/usr/bin/iperf3"].iter().fold(image, |image, path| with(image, path));
    // Modules are other packages' and need other packages.
    let files = sh("find -H /etc/nginx /var/www/html ! -path '*/modules-enabled/*'");
    files.lines().fold(image, |image, path| copied(image, Path::new(path))).write(&path)
}

/// An image with a program and the libraries it is linked to.
///
/// # Panics
/// When it is not installed.
pub fn with(image: Aci, program: &str) -> Aci {
    let listed = Command::new("ldd").arg(program).output().expect("ldd runs");
    assert!(listed.status.success(), "{program} is not installed");
    let listed = String::from_utf8(listed.stdout).expect("names of libraries");
    let libraries = listed.split_whitespace().filter(|word| word.starts_with('/'));
    libraries.chain([program]).fold(image, |image, path| {
        let content = std::fs::read(path).unwrap_or_else(|error| panic!("Cannot read {path}: {error}"));
        image.file(path.trim_start_matches('/'), content, 0o755)
    })
}

/// An image with a file, directory, or link as it is here.
///
/// # Panics
/// When it cannot be read.
pub fn copied(image: Aci, path: &Path) -> Aci {
    let inside = path.strip_prefix("/").expect("an absolute path").to_str().expect("a name");
    let is = path.symlink_metadata().expect("it was listed");
    if is.is_dir() {
        return image.directory(inside, 0o755);
    }
    if is.is_symlink() {
        let target = std::fs::read_link(path).expect("a link");
        return image.symlink(inside, target.to_str().expect("a path"));
    }
    image.file(inside, std::fs::read(path).expect("a file"), 0o644)
}
