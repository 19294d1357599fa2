//! A computer that can lose its power: namespaces of processes, mounts and network with a disk of their own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::process::{self, Finished, Running};
use crate::{Rkt, host, wait};

/// What a command in it may take.
const LIMIT: Duration = Duration::from_secs(120);

/// Its start. Arguments: the disk, where that is mounted, the data directory of rkt. What is memory is new: /run, /tmp (but for
/// what was built there), the network with all that is in it, the numbers of processes.
const BOOT: &str = r#"
    mount -t proc proc /proc
    mount -t sysfs sys /sys
    mount -t cgroup2 cgroup /sys/fs/cgroup
    program=${RKT_BINARY%/*} stage1=${RKT_STAGE1%/*}
    exec 8<"$program" 9<"$stage1"
    for memory in /run /tmp; do mount -t tmpfs -o mode=755 tmpfs $memory; done
    [ -d "$program" ] || { mkdir -p "$program"; mount --no-canonicalize --bind /proc/self/fd/8 "$program"; }
    [ -d "$stage1" ] || { mkdir -p "$stage1"; mount --no-canonicalize --bind /proc/self/fd/9 "$stage1"; }
    exec 8<&- 9<&-
    mkdir /run/lock
    mount -o loop "$1" "$2"
    mkdir -p "$2/rkt" "$2/cni" /var/lib/cni
    mount --bind "$2/rkt" "$3"
    mount --bind "$2/cni" /var/lib/cni
    ip link set lo up
    exec -a machine bash -c 'touch /run/up; while :; do sleep 1000 & wait; done'
"#;

/// Stops every write to a file system where it is, the log's, too (EXT4_IOC_SHUTDOWN, without a flush).
const CUT: &str = r#"sysopen(my $disk, $ARGV[0], 0) or die; my $flags = pack("L", 2); ioctl($disk, 0x8004587d, $flags) or die"#;

/// A disk, which outlives the machines it is in.
#[derive(Debug)]
pub struct Disk {
    dir: TempDir,
}

impl Disk {
    /// A formatted one of so many MiB.
    ///
    /// # Panics
    /// Outside the KVM host.
    #[track_caller]
    pub fn new(mebibytes: u32) -> Self {
        let dir = tempfile::Builder::new().prefix("disk-").tempdir_in(host::data_dir()).expect("a directory");
        std::fs::create_dir(dir.path().join("mounted")).expect("a directory");
        let disk = Self { dir };
        let mut command = Command::new("mkfs.ext4");
        command.arg("-q").arg(disk.image()).arg(format!("{mebibytes}M"));
        process::run(command, LIMIT).expect_success();
        disk
    }

    fn image(&self) -> PathBuf {
        self.dir.path().join("image")
    }

    /// Where machines see its root.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("mounted")
    }
}

/// A computer that runs, with rkt on its disk. Dropping it is a power cut after all was written.
#[derive(Debug)]
pub struct Machine<'a> {
    rkt: &'a Rkt,
    disk: &'a Disk,
    /// Kills all in it with itself.
    power: Running,
    init: String,
}

impl<'a> Machine<'a> {
    /// Boots one with a disk. It runs the binary of `rkt`, whose data directory is on that disk there.
    ///
    /// # Panics
    /// When it does not come up.
    #[track_caller]
    pub fn boot(rkt: &'a Rkt, disk: &'a Disk) -> Self {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "--net", "--pid", "--fork", "--kill-child"]);
        command.args(["bash", "-e", "-c", BOOT, "bash"]).args([&disk.image(), &disk.path()]).arg(rkt.dir());
        let mut machine =
            Self { rkt, disk, power: Running::start(command, Duration::MAX), init: String::new() };
        let children = format!("/proc/{0}/task/{0}/children", machine.power.pid());
        wait::until("the machine", LIMIT, || {
            machine.init = std::fs::read_to_string(&children).unwrap_or_default().trim().to_owned();
            !machine.init.is_empty() && machine.root().join("run/up").exists()
        });
        machine
    }

    /// Its root directory, seen from outside.
    pub fn root(&self) -> PathBuf {
        Path::new("/proc").join(&self.init).join("root")
    }

    /// Its data directory of rkt, seen from outside.
    pub fn data(&self) -> PathBuf {
        self.root().join(self.rkt.dir().strip_prefix("/").expect("an absolute path"))
    }

    fn inside(&self, inner: &Command) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.init, "--mount", "--net", "--pid"]);
        command.arg(inner.get_program()).args(inner.get_args());
        command
    }

    /// Runs `rkt` in it, to its end.
    ///
    /// # Panics
    /// When it takes too long.
    #[track_caller]
    pub fn rkt(&self, words: &[&str]) -> Finished {
        process::run(self.inside(&self.rkt.command(words)), LIMIT)
    }

    /// Starts `rkt` in it.
    ///
    /// # Panics
    /// When it cannot start.
    #[track_caller]
    pub fn start(&self, words: &[&str]) -> Running {
        Running::start(self.inside(&self.rkt.command(words)), LIMIT)
    }

    /// Runs a shell script in it; what comes back is what it printed.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn sh(&self, script: &str) -> String {
        let mut command = Command::new("bash");
        command.args(["-e", "-o", "pipefail", "-c", script]);
        process::run(self.inside(&command), LIMIT).expect_success().stdout_text()
    }

    /// Takes the power away: what is not on disk by now never will be, and every process dies at once.
    ///
    /// # Panics
    /// When it goes on.
    #[track_caller]
    pub fn cut_power(self) {
        let mut command = Command::new("perl");
        command.args(["-e", CUT]).arg(self.disk.path());
        process::run(self.inside(&command), LIMIT).expect_success();
        self.power.signal(9);
        self.power.finish().expect_status(137);
        let init = Path::new("/proc").join(&self.init);
        wait::until("the end of every process", LIMIT, || !init.exists());
        // Those of the host's hierarchy, which a machine has of its own.
        let cgroups = ["/sys/fs/cgroup", "-depth", "-type", "d", "-name", "rkt-*", "-delete"];
        let _ = Command::new("find").args(cgroups).status();
        let image = self.disk.image().display().to_string();
        wait::until("the end of every mount", LIMIT, || {
            let used = Command::new("losetup").args(["--associated", &image]).output().expect("losetup");
            used.stdout.is_empty()
        });
    }
}
