//! A real systemd as PID 1 of namespaces of its own: what it starts runs on this host, and ends with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::process::{self, Finished, Running};
use crate::{Rkt, host, wait};

/// What a call of systemctl may take: a unit may wait for its pod.
const LIMIT: Duration = Duration::from_secs(120);
/// The units of Debian's that are there beside a test's own.
const UNITS: &str = "/lib/systemd/system";
const BORROWED: [&str; 3] =
    ["systemd-journald.service", "systemd-journald.socket", "systemd-journald-dev-log.socket"];
/// Targets that every unit depends on, and that pull half of Debian in where they are Debian's.
const TARGETS: [&str; 5] = ["basic", "sysinit", "shutdown", "sockets", "timers"];

/// Becomes systemd. Arguments: the cgroup to be its root, the directory of its units, what is to be /var/lib/rkt, rkt.
/// Its /run, /tmp and cgroups are its own, and so are the mounts of pods; the network and /dev are the host's.
const BOOT: &str = r#"
    exec unshare --mount --propagation private --pid --fork --kill-child bash -c '
        # Alone: a cgroup with processes of its own cannot limit others.
        echo 0 >"$1/cgroup.procs"
        shift
        exec unshare --cgroup bash -e -c "$BECOME" bash "$@"
    ' bash "$@"
"#;
const BECOME: &str = r#"
    umount /sys/fs/cgroup
    mount -t cgroup2 cgroup /sys/fs/cgroup
    mount -t proc proc /proc
    mount -t tmpfs -o mode=755 run /run
    mount -t tmpfs tmp /tmp
    mkdir -p /var/lib/rkt
    mount --bind "$2" /var/lib/rkt
    mount -t tmpfs bin /usr/local/bin
    ln -s "$3" /usr/local/bin/rkt
    export container=rkt-tests SYSTEMD_UNIT_PATH=$1
    exec /lib/systemd/systemd --system --unit=up.target --show-status=no </dev/null
"#;

/// A systemd that runs. Dropping it kills everything it has started.
#[derive(Debug)]
pub struct Systemd {
    units: TempDir,
    cgroup: PathBuf,
    pid: String,
    process: Option<Running>,
}

impl Systemd {
    /// Boots one whose `rkt` is the one under test, with the data directory of `rkt` as its default.
    ///
    /// # Panics
    /// Outside the KVM host, and when it does not come up.
    pub fn boot(rkt: &Rkt) -> Self {
        let units = tempfile::Builder::new().prefix("units-").tempdir_in(host::data_dir()).expect("units");
        let cgroup = Path::new("/sys/fs/cgroup").join(units.path().file_name().expect("a name"));
        fs::create_dir(&cgroup).expect("a cgroup");
        for unit in BORROWED {
            fs::copy(Path::new(UNITS).join(unit), units.path().join(unit)).expect("systemd is installed");
        }
        for target in TARGETS {
            fs::write(units.path().join(format!("{target}.target")), "[Unit]\n").expect("a target");
        }
        let up = "[Unit]\nWants=systemd-journald.socket systemd-journald-dev-log.socket\n";
        fs::write(units.path().join("up.target"), up).expect("a target");
        let mut command = Command::new("bash");
        command.env("BECOME", BECOME);
        command.args(["-c", BOOT, "bash"]).arg(&cgroup).arg(units.path()).arg(rkt.dir()).arg(rkt.binary());
        let process = Running::start(command, Duration::MAX);
        let mut systemd = Self { units, cgroup, pid: String::new(), process: Some(process) };
        wait::until("systemd's start", LIMIT, || systemd.find_pid());
        wait::until("systemd", LIMIT, || systemd.property("up.target", "ActiveState") == "active");
        systemd
    }

    /// PID 1 is the child of unshare, which is what bash became.
    fn find_pid(&mut self) -> bool {
        let unshare = self.process.as_ref().expect("a process").pid();
        let children = fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children"));
        self.pid = children.unwrap_or_default().trim().to_owned();
        let name = fs::read_to_string(format!("/proc/{}/comm", self.pid));
        name.is_ok_and(|name| name == "systemd\n")
    }

    /// Writes a unit file and has it read.
    ///
    /// # Panics
    /// When it cannot be written or read.
    #[track_caller]
    pub fn unit(&self, name: &str, text: &str) {
        fs::write(self.units.path().join(name), text).expect("a unit");
        self.run(["systemctl", "daemon-reload"]).expect_success();
    }

    /// Runs a command beside systemd: `systemctl`, `systemd-run`, `journalctl`, `rkt`.
    ///
    /// # Panics
    /// When it takes too long.
    #[track_caller]
    pub fn run<const N: usize>(&self, command: [&str; N]) -> Finished {
        let mut entered = Command::new("nsenter");
        entered.args(["--target", &self.pid, "--mount", "--pid", "--cgroup"]).args(command);
        // Programs that read unit files look where systemd does.
        entered.env("SYSTEMD_UNIT_PATH", self.units.path());
        process::run(entered, LIMIT)
    }

    /// A property of a unit, as `systemctl show` gives it.
    #[track_caller]
    pub fn property(&self, unit: &str, name: &str) -> String {
        let shown = self.run(["systemctl", "show", "--value", "--property", name, unit]);
        shown.stdout_text().trim().to_owned()
    }

    /// Waits until a property has a value.
    ///
    /// # Panics
    /// When it does not come to that.
    #[track_caller]
    pub fn wait_for(&self, unit: &str, name: &str, value: &str) {
        wait::until(&format!("{name}={value} of {unit}"), LIMIT, || self.property(unit, name) == value);
    }

    /// What a unit has written to the journal.
    #[track_caller]
    pub fn journal(&self, unit: &str) -> String {
        self.run(["journalctl", "--no-pager", "--output=cat", "--unit", unit]).stdout_text()
    }

    /// The directory of a unit's cgroup, as the host sees it.
    #[track_caller]
    pub fn cgroup(&self, unit: &str) -> PathBuf {
        self.cgroup.join(self.property(unit, "ControlGroup").trim_start_matches('/'))
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        // Everything in the PID namespace dies with its first process.
        self.process = None;
        wait::until("the end of systemd", LIMIT, || !Path::new(&format!("/proc/{}", self.pid)).exists());
        let mut command = Command::new("find");
        command.arg(&self.cgroup).args(["-depth", "-type", "d", "-delete"]);
        let _ = process::run(command, LIMIT);
    }
}
