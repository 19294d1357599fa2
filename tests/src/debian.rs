//! The Debian images of `tests/images/debian-registry`, pulled from a real registry.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::{Rkt, Running, host, wait};

/// The directory that `tests/images/debian-registry` made.
///
/// # Panics
/// Outside `tests/run`.
pub fn directory() -> PathBuf {
    host::path("RKT_TEST_REGISTRY")
}

/// Fetches an image of this tag (`test`, `software`) from Debian's docker-registry, which only runs meanwhile; what comes back
/// is the image's name for `rkt run --pull-policy=never`.
///
/// # Panics
/// When it cannot be fetched.
pub fn fetch(rkt: &Rkt, tag: &str) -> String {
    let _registry = serve(rkt.dir());
    let image = format!("docker://127.0.0.1:5018/debian:{tag}");
    let fetched = rkt.run(["--insecure-options=image,http", "fetch", &image]).expect_success();
    assert!(fetched.stdout_text().starts_with("sha512-"), "{fetched:?}");
    image
}

fn serve(scratch: &Path) -> Running {
    let configuration = scratch.join("registry.yml");
    let text = format!(
        "version: 0.1\nlog: {{ level: error }}\nstorage: {{ filesystem: {{ rootdirectory: {} }} }}\nhttp: {{ addr: \"127.0.0.1:5018\" }}\n",
        directory().display()
    );
    fs::write(&configuration, text).expect("write the registry's configuration");
    let mut command = Command::new("docker-registry");
    command.arg("serve").arg(configuration);
    let registry = Running::start(command, Duration::from_secs(1400));
    wait::until("docker-registry answers", Duration::from_secs(60), || {
        TcpStream::connect("127.0.0.1:5018").is_ok()
    });
    registry
}
