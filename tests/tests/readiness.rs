//! Apps that say when they are ready, and that end by a signal of their own.

use std::path::Path;

use serde_json::json;
use tests::{Aci, Rkt, host};

#[test]
fn a_pod_is_ready_when_its_app_says_so_and_ends_by_the_signal_it_wants() {
    let image = Aci::with_busybox("example.com/notify", &["/bin/notify"])
        .program("bin/notify", Path::new(env!("CARGO_BIN_EXE_notify")))
        .app("user", json!("nobody"))
        .manifest(
            "annotations",
            json!([
                {"name": "appc.io/executor/supports-systemd-notify", "value": "true"},
                {"name": "appc.io/docker/stopsignal", "value": "SIGQUIT"},
            ]),
        )
        .write(&host::data_dir().join("notify.aci"));
    let rkt = Rkt::new();
    let uuid = rkt.dir().join("uuid");
    let save = format!("--uuid-file-save={}", uuid.display());
    let words = ["run", "--net=none", "--interactive", &save, image.to_str().expect("UTF-8")];
    let mut pod = rkt.start(words);
    pod.wait_for_stdout("started");
    let file = format!("--uuid-file={}", uuid.display());
    let early = rkt.run(["status", "--wait-ready=500ms", &file]).expect_status(254);
    assert!(early.stderr_text().contains("context deadline exceeded"), "{early:?}");
    drop(pod.stdin());
    pod.wait_for_stdout("told: Ok");
    rkt.run(["status", "--wait-ready=30s", &file]).expect_success();
    pod.signal(15);
    pod.finish().expect_status(128 + 3);
}
