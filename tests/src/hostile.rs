//! Pods whose guest kernel is `tests/hostile-kernel`, under the real VMM.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::{Rkt, Running, aci, host, process};

const LIMIT: Duration = Duration::from_secs(240);

/// The real stage1 image with the hostile kernel in it, which carries out these attacks.
///
/// # Panics
/// Outside the KVM host.
#[must_use]
pub fn stage1(attacks: &[&str]) -> PathBuf {
    let directory = tempfile::tempdir_in(host::data_dir()).expect("a directory");
    let path = host::data_dir().join(format!("hostile-{}-{}.aci", std::process::id(), attacks[0]));
    fs::write(directory.path().join("attacks"), attacks.join("\n")).expect("the attacks");
    let kernel = host::path("RKT_HOSTILE_KERNEL");
    repack(directory.path(), &[("vmlinux", &kernel), ("initramfs", Path::new("attacks"))], &path);
    path
}

/// Packs the real stage1 image with other files in the place of some, which are named from `directory`, where there is room.
pub(crate) fn repack(directory: &Path, files: &[(&str, &Path)], path: &Path) {
    let script = r#"set -e; from=$1 to=$2; shift 2; mkdir image; tar -C image -xf "$from"
        while [ $# != 0 ]; do cp "$2" "image/rootfs/usr/lib/rkt/stage1/$1"; shift 2; done
        tar -C image -cf "$to" manifest rootfs"#;
    let mut command = Command::new("bash");
    command.current_dir(directory).args(["-c", script, "bash"]);
    command.arg(host::path("RKT_STAGE1")).arg(path);
    for (name, source) in files {
        command.arg(name).arg(source);
    }
    process::run(command, LIMIT).expect_success();
}

/// Starts a pod whose guest attacks, in a machine of one CPU and 64 MiB, with options of the pod, `--net` among them, and of its app.
/// What the guest says comes on stderr.
///
/// # Panics
/// When it cannot start.
#[track_caller]
pub fn start(rkt: &Rkt, attacks: &[&str], pod: &[&str], app: &[&str]) -> Running {
    Running::start(command(rkt, attacks, pod, app, 1), LIMIT)
}

/// The same with a machine of so many CPUs, and a network whose packets the VMM moves itself.
///
/// # Panics
/// When it cannot start.
#[track_caller]
pub fn start_without_vhost(rkt: &Rkt, attacks: &[&str], pod: &[&str], app: &[&str], cpus: u32) -> Running {
    let run = command(rkt, attacks, pod, app, cpus);
    let script = "mount --bind /dev/null /dev/vhost-net; exec \"$@\"";
    let mut apart = Command::new("unshare");
    apart.args(["--mount", "--propagation", "slave", "bash", "-c", script, "bash"]);
    apart.arg(run.get_program()).args(run.get_args());
    Running::start(apart, LIMIT)
}

fn command(rkt: &Rkt, attacks: &[&str], pod: &[&str], app: &[&str], cpus: u32) -> Command {
    let choice = format!("--stage1-path={}", stage1(attacks).display());
    let image = aci::busybox();
    let run = ["--debug", "run", &choice].map(OsStr::new);
    let words = run.into_iter().chain(pod.iter().map(OsStr::new)).chain([image.as_os_str()]);
    let cpus = format!("--cpu={cpus}");
    let size = ["--memory=64M", &cpus, "--exec", "/bin/true"].map(OsStr::new);
    rkt.command(words.chain(app.iter().map(OsStr::new)).chain(size))
}

/// What the guest has said of an attack, or `None` if it has not.
#[must_use]
pub fn outcome(stderr: &str, attack: &str) -> Option<String> {
    let said = stderr.lines().filter_map(|line| line.split_once("hostile ").map(|(_, said)| said));
    said.filter_map(|line| line.split_once(": "))
        .find(|(name, _)| *name == attack)
        .map(|(_, it)| it.to_owned())
}

/// The directory in /proc of a pod's VMM, the only child of `rkt run`; once it is named so.
#[must_use]
pub fn vmm(running: &Running) -> Option<PathBuf> {
    let keeper = running.pid();
    let children = fs::read_to_string(format!("/proc/{keeper}/task/{keeper}/children")).ok()?;
    let process = Path::new("/proc").join(children.split_whitespace().next()?);
    let name = fs::read_to_string(process.join("comm")).ok()?;
    (name.trim() == "vmm").then_some(process)
}
