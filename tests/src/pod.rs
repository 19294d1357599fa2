//! Pods in networks that go on while a test looks at them, and what they must not leave behind.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::network::sh;
use crate::{Aci, Rkt, Running, aci, host};

const TERM: i32 = 15;

/// A pod whose app has said `ready`.
#[derive(Debug)]
pub struct Pod {
    /// `rkt run`.
    pub running: Running,
    /// The pod's UUID.
    pub uuid: String,
}

impl Pod {
    /// Starts a pod of busybox whose shell runs a script, and waits until it says `ready`. The image has ports `http` (80)
    /// and `echo` (7, UDP). `name` is that of the test's pod, `flags` are of `rkt run`.
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    pub fn start(rkt: &Rkt, name: &str, flags: &[&str], script: &str) -> Self {
        let image = Aci::with_busybox("example.com/networked", &["/bin/sh"])
            .app("ports", json!([
                {"name": "http", "protocol": "tcp", "port": 80}, {"name": "echo", "protocol": "udp", "port": 7},
            ]))
            .write(&host::data_dir().join("networked.aci"));
        Self::of(rkt, name, flags, &image, &["--memory=64M", "--cpu=1"], script)
    }

    /// The same with an image that has a shell, and a size.
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    pub fn of(rkt: &Rkt, name: &str, flags: &[&str], image: &Path, size: &[&str], script: &str) -> Self {
        let saved = rkt.dir().join(name);
        let save = format!("--uuid-file-save={}", saved.display());
        let image = image.display().to_string();
        let words = ["run", &save].into_iter().chain(flags.iter().copied()).chain([image.as_str()]);
        let mut running =
            rkt.start(words.chain(size.iter().copied()).chain(["--exec", "/bin/sh", "--", "-c", script]));
        running.wait_for_stdout("ready");
        Self { running, uuid: fs::read_to_string(saved).expect("the pod's UUID") }
    }

    /// Its network namespace on the host.
    pub fn namespace(&self) -> String {
        format!("rkt-{}", self.uuid)
    }

    /// Ends it; what comes back is what it printed.
    ///
    /// # Panics
    /// When it complained, or left something behind.
    #[track_caller]
    pub fn end(self) -> String {
        self.running.signal(TERM);
        let finished = self.running.finish();
        assert_eq!(finished.stderr_text(), "");
        assert_nothing_left(&self.uuid);
        finished.stdout_text()
    }
}

/// What a pod made on the host must be gone.
///
/// # Panics
/// When something is left.
#[track_caller]
pub fn assert_nothing_left(uuid: &str) {
    let left = sh(&format!(
        "find /sys/fs/cgroup -name '*{uuid}*'
         ip netns list | grep {uuid} || true
         grep -rl {uuid} /var/lib/cni 2>/dev/null || true
         for family in iptables ip6tables; do $family -t nat -S | grep {uuid} || true; done"
    ));
    assert_eq!(left, "", "{uuid} left this behind");
}

/// The one line with which `rkt run` refuses a network. Nothing may be left behind.
///
/// # Panics
/// When it does not refuse, says more or less, or leaves something.
#[track_caller]
pub fn refused(rkt: &Rkt, net: &str) -> String {
    let image = aci::busybox().display().to_string();
    let uuid = rkt.dir().join("refused");
    let save = format!("--uuid-file-save={}", uuid.display());
    let finished = rkt.run(["run", &save, net, &image]).expect_status(254);
    let error = finished.stderr_text();
    assert_eq!(error.lines().count(), 1, "{error}");
    match fs::read_to_string(uuid) {
        Ok(uuid) => assert_nothing_left(&uuid),
        // Refused before there was a pod.
        Err(missing) => assert_eq!(missing.kind(), std::io::ErrorKind::NotFound),
    }
    error
}
