//! A hostile driver of the file system device, with a directory of its own.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use vmm::virtio::fs::{CachePolicy, Fs, IoLimits, ShareConfig, Watches};
use vmm_fuzz::{Step, drive};

static DIRECTORY: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("file"), "content").expect("a file");
    directory
});

fuzz_target!(|steps: Vec<Step>| {
    let config = ShareConfig {
        tag: "share".to_owned(),
        directory: DIRECTORY.path().to_owned(),
        cache: CachePolicy::Pod,
        read_only: true,
        files: 1000,
        limits: IoLimits::default(),
        watches: Watches::default(),
    };
    let fs = Fs::new(&config, 1).expect("a device");
    drive(Box::new(fs), steps);
});
