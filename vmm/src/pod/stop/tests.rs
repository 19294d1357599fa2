use std::{os::unix::process::ExitStatusExt, process::Command, thread};

use super::*;
use crate::pod::directory::PodDirectory;

/// A pod's directory, and a process that holds its lock.
fn running_pod() -> (tempfile::TempDir, PodDirectory, std::process::Child) {
    let root = tempfile::tempdir().unwrap();
    let directory = PodDirectory::at(root.path());
    let child =
        Command::new("flock").arg("--no-fork").arg(root.path()).args(["sleep", "60"]).spawn().unwrap();
    while !is_locked(&directory).unwrap() {
        thread::sleep(Duration::from_millis(5));
    }
    (root, directory, child)
}

#[test]
fn a_pod_without_a_lock_is_not_running() {
    let root = tempfile::tempdir().unwrap();
    let directory = PodDirectory::at(root.path());
    directory.write_pid(1).unwrap();
    let error = stop_pod(&directory, 0, Duration::ZERO).unwrap_err();
    assert!(matches!(error, StopError::NotRunning));
}

#[test]
fn the_process_that_holds_the_lock_is_ended() {
    let (_root, directory, mut child) = running_pod();
    directory.write_pid(child.id()).unwrap();
    thread::scope(|scope| {
        // Its end is seen by whoever polls; its parent has to wait for it, or it stays a zombie.
        let stopping = scope.spawn(|| stop_pod(&directory, libc::SIGKILL, Duration::from_secs(10)));
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
        stopping.join().unwrap().unwrap();
    });
}

#[test]
fn a_process_without_the_lock_is_left_alone() {
    let (_root, directory, mut holder) = running_pod();
    let mut stranger = Command::new("sleep").arg("60").spawn().unwrap();
    directory.write_pid(stranger.id()).unwrap();
    let error = stop_pod(&directory, libc::SIGKILL, Duration::ZERO).unwrap_err();
    assert!(matches!(error, StopError::NotThePod(_)));
    assert!(stranger.try_wait().unwrap().is_none());
    for child in [&mut holder, &mut stranger] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn a_pod_that_does_not_end_is_reported() {
    let (_root, directory, mut child) = running_pod();
    directory.write_pid(child.id()).unwrap();
    let error = stop_pod(&directory, 0, Duration::from_millis(50)).unwrap_err();
    assert!(matches!(error, StopError::StillRunning(_)));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_pid_that_is_gone_is_not_running() {
    let (_root, directory, mut holder) = running_pod();
    let mut gone = Command::new("true").spawn().unwrap();
    gone.wait().unwrap();
    directory.write_pid(gone.id()).unwrap();
    let error = stop_pod(&directory, libc::SIGKILL, Duration::ZERO).unwrap_err();
    assert!(matches!(error, StopError::NotRunning));
    holder.kill().unwrap();
    holder.wait().unwrap();
}
