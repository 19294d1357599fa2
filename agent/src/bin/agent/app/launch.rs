//! What the processes of an app do between fork and exec.

use std::convert::Infallible;

use nix::libc;
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, signal, sigprocmask};
use nix::sys::stat::{Mode, fstat, makedev, umask};
use nix::sys::wait::waitpid;
use nix::unistd::{Gid, Uid, dup2_stderr, dup2_stdin, dup2_stdout, fchown, setsid};

use super::cgroup::Cgroup;
use super::execute::{LaunchError, execute};
use super::life::exit_status;
use super::namespaces::Namespaces;
use super::plan::{AppPlan, ProcessPlan};
use super::process::spawn;
use super::sockets::Sockets;
use super::users::{Credentials, resolve_here};
use crate::root;
use crate::stream::AppEnds;

nix::ioctl_write_int_bad!(take_terminal, libc::TIOCSCTTY);

/// Becomes an app's main process.
pub fn main_process(
    plan: &AppPlan,
    cgroup: &Cgroup,
    ends: &AppEnds,
    sockets: &Sockets,
) -> Result<Infallible, LaunchError> {
    start_session(ends, plan.root.terminal.is_some())?;
    enter(plan, cgroup)?;
    let user = credentials(&plan.process)?;
    give(ends, &user);
    if let Some(exec) = &plan.pre_start {
        pre_start(&plan.process, exec, &user)?;
    }
    sockets.place().map_err(LaunchError::set("sockets"))?;
    let names = plan.sockets.iter().map(|socket| socket.name.clone()).collect();
    let process = ProcessPlan { sockets: names, ..plan.process.clone() };
    execute(&process, &process.exec, &user, &user)
}

/// Becomes the handler after an app. The app's mounts have gone with it; the handler gets the same ones anew.
pub fn post_stop(
    plan: &AppPlan,
    exec: &[String],
    cgroup: &Cgroup,
    ends: &AppEnds,
) -> Result<Infallible, LaunchError> {
    start_session(ends, false)?;
    enter(plan, cgroup)?;
    execute(&plan.process, exec, &Credentials::root(), &credentials(&plan.process)?)
}

/// Becomes a command in a running app.
pub fn command(
    process: &ProcessPlan,
    cgroup: &Cgroup,
    namespaces: &Namespaces,
    ends: &AppEnds,
    terminal: bool,
) -> Result<Infallible, LaunchError> {
    start_session(ends, terminal)?;
    cgroup.enter().map_err(|source| LaunchError::Set { what: "cgroup", source })?;
    namespaces.enter().map_err(LaunchError::set("namespaces"))?;
    let user = credentials(process)?;
    give(ends, &user);
    execute(process, &process.exec, &user, &user)
}

/// Enters the app's cgroup and root file system.
fn enter(plan: &AppPlan, cgroup: &Cgroup) -> Result<(), LaunchError> {
    cgroup.enter().map_err(|source| LaunchError::Set { what: "cgroup", source })?;
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWCGROUP).map_err(LaunchError::set("namespaces"))?;
    // Modes of devices and directories are meant as they are written.
    let inherited = umask(Mode::empty());
    root::enter(&plan.rootfs, &root::steps(&plan.root), plan.read_only)?;
    umask(inherited);
    Ok(())
}

/// Runs the handler before the app and waits for it.
fn pre_start(plan: &ProcessPlan, exec: &[String], owner: &Credentials) -> Result<(), LaunchError> {
    let (child, report) = spawn(|| match execute(plan, exec, &Credentials::root(), owner) {
        Ok(never) => match never {},
        Err(error) => error.failure(),
    })
    .map_err(|source| LaunchError::Set { what: "pre-start handler", source })?;
    let line = report.wait();
    let status = loop {
        match waitpid(child, None) {
            Err(nix::errno::Errno::EINTR) => {}
            other => break other.map_err(LaunchError::set("pre-start handler"))?,
        }
    };
    match (line, exit_status(status)) {
        (Some(line), _) => Err(LaunchError::PreStartExecute(line)),
        (None, Some(0)) => Ok(()),
        (None, status) => Err(LaunchError::PreStart(status.unwrap_or(1))),
    }
}

/// A session of its own, with the app's streams, and nothing of the agent's signal handling.
fn start_session(ends: &AppEnds, terminal: bool) -> Result<(), LaunchError> {
    setsid().map_err(LaunchError::set("session"))?;
    dup2_stdin(&ends.stdin).map_err(LaunchError::set("standard input"))?;
    dup2_stdout(&ends.stdout).map_err(LaunchError::set("standard output"))?;
    dup2_stderr(&ends.stderr).map_err(LaunchError::set("standard error"))?;
    if terminal {
        // SAFETY: standard input is the terminal, the argument is a number.
        unsafe { take_terminal(libc::STDIN_FILENO, 0) }.map_err(LaunchError::set("controlling terminal"))?;
    }
    // SAFETY: the default disposition runs no code of ours.
    unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) }.map_err(LaunchError::set("signals"))?;
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None).map_err(LaunchError::set("signals"))
}

fn credentials(plan: &ProcessPlan) -> Result<Credentials, LaunchError> {
    Ok(resolve_here(&plan.user, &plan.group, &plan.supplementary)?)
}

/// Lets the app's user open its streams again by name, as `/dev/stdout`. `/dev/null` is nobody's to give away.
fn give(ends: &AppEnds, user: &Credentials) {
    for end in [&ends.stdin, &ends.stdout, &ends.stderr] {
        let null = fstat(end).is_ok_and(|status| status.st_rdev == makedev(1, 3));
        if !null {
            // Without ownership the app can still use what it has open.
            let _ = fchown(end, Some(Uid::from_raw(user.uid)), Some(Gid::from_raw(user.gid)));
        }
    }
}
