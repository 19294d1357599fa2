//! The root file system of a pod, which reaches the guest through virtio-fs, does what one on ext4 does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tests::{Aci, Finished, Rkt, host};

const PROGRAM: &str = env!("CARGO_BIN_EXE_files");
const LIMIT: Duration = Duration::from_secs(540);
const HALF_A_GIBIBYTE: usize = 512;

/// Busybox and the program that checks files.
fn image() -> PathBuf {
    Aci::with_busybox("example.com/files", &["/bin/sh"])
        .program("bin/files", Path::new(PROGRAM))
        .write(&host::data_dir().join("files.aci"))
}

fn run(rkt: &Rkt, script: &str) -> Finished {
    let image = image();
    let image = image.to_str().expect("a UTF-8 path");
    rkt.run(["run", "--net=none", image, "--exec", "/bin/sh", "--", "-c", script])
}

fn find(directory: &Path, wanted: &str) -> Option<PathBuf> {
    for entry in fs::read_dir(directory).ok()?.flatten() {
        let path = entry.path();
        if path.ends_with(wanted) {
            return Some(path);
        }
        if entry.file_type().is_ok_and(|kind| kind.is_dir())
            && let Some(found) = find(&path, wanted)
        {
            return Some(found);
        }
    }
    None
}

#[test]
fn files_behave_as_on_ext4() {
    let rkt = Rkt::new().limit(LIMIT);
    let finished = run(&rkt, "FILES_MIB=8 /bin/files /root");
    let text = finished.stdout_text().to_owned();
    assert!(!text.contains("FAILED") && text.contains("ok tmpfile"), "{text}");
    finished.expect_success();
}

#[test]
fn half_a_gibibyte_reaches_the_host_unchanged() {
    let rkt = Rkt::new().limit(LIMIT);
    run(&rkt, &format!("FILES_MIB={HALF_A_GIBIBYTE} FILES_KEEP=1 /bin/files /root read-back"))
        .expect_success();
    let upper = find(rkt.dir(), "files.read-back/big").expect("the file is in the pod's upper directory");
    let compared = Command::new(PROGRAM)
        .args(["--child", "compare"])
        .arg(upper)
        .arg(HALF_A_GIBIBYTE.to_string())
        .status()
        .expect("compare");
    assert!(compared.success(), "the file on the host is another");
}
