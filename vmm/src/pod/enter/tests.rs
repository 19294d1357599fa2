use std::{
    fs::File,
    io::{IoSlice, Read, Write},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::{UnixListener, UnixStream},
    },
    thread,
};

use agent::protocol::{StreamKind, read_frame, write_frame};
use rustix::{
    fs::{FlockOperation, flock},
    net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg},
};

use super::*;

/// The pod's side of a connection, for a script to play.
struct Pod {
    stream: UnixStream,
}

impl Pod {
    fn hear(&mut self) -> Request {
        read_frame(&mut self.stream).unwrap().unwrap()
    }

    fn say(&mut self, reply: &Reply) {
        write_frame(&mut self.stream, reply).unwrap();
    }

    /// Opens a stream of the command and gives the guest's end of it.
    fn open(&mut self, stream: StreamKind) -> UnixStream {
        let (guest, host) = UnixStream::pair().unwrap();
        let mut frame = Vec::new();
        write_frame(&mut frame, &Reply::Stream { stream }).unwrap();
        let descriptors = [host.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&descriptors));
        sendmsg(&self.stream, &[IoSlice::new(&frame)], &mut control, SendFlags::empty()).unwrap();
        guest
    }
}

/// What came of a call.
struct Outcome {
    result: Result<i32, EnterError>,
    stdout: String,
}

/// Enters a pod that follows the script; `input` is typed and then ends.
fn play(input: &str, script: impl FnOnce(Pod) + Send) -> Outcome {
    let root = tempfile::tempdir().unwrap();
    let directory = PodDirectory::at(root.path());
    let listener = UnixListener::bind(directory.socket()).unwrap();
    let leak = |descriptor: OwnedFd| -> &'static OwnedFd { Box::leak(Box::new(descriptor)) };
    let (stdin, mut keyboard) = std::io::pipe().unwrap();
    let (screen, stdout) = std::io::pipe().unwrap();
    keyboard.write_all(input.as_bytes()).unwrap();
    drop(keyboard);
    let (stdin, stdout) = (leak(stdin.into()), stdout);
    let stdout_twice: &'static OwnedFd = leak(stdout.try_clone().unwrap().into());
    let stdio =
        HostStdio { stdin: Some(stdin.as_fd()), stdout: stdout_twice.as_fd(), stderr: stdout_twice.as_fd() };
    let signals = Signals::block(false).unwrap();
    let request = Request::Signal { signal: 0 };
    let result = thread::scope(|scope| {
        scope.spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut pod = Pod { stream };
            assert_eq!(pod.hear(), Request::Signal { signal: 0 });
            script(pod);
        });
        run(&directory, &request, Manner::Command, stdio, &signals)
    });
    // Everything has been written by now, and fits a pipe.
    rustix::io::ioctl_fionbio(&screen, true).unwrap();
    let mut bytes = vec![0; 65536];
    let length = File::from(OwnedFd::from(screen)).read(&mut bytes).unwrap_or(0);
    Outcome { result, stdout: String::from_utf8(bytes[..length].to_vec()).unwrap() }
}

#[test]
fn the_status_comes_after_all_output() {
    let outcome = play("", |mut pod| {
        let (mut stdout, mut stderr) = (pod.open(StreamKind::Stdout), pod.open(StreamKind::Stderr));
        pod.say(&Reply::Ended { status: 42, line: None });
        stdout.write_all(b"out\n").unwrap();
        thread::sleep(std::time::Duration::from_millis(50));
        stderr.write_all(b"err\n").unwrap();
    });
    assert_eq!((outcome.result.unwrap(), outcome.stdout.as_str()), (42, "out\nerr\n"));
}

#[test]
fn input_goes_in_and_ends() {
    let outcome = play("question", |mut pod| {
        let (mut stdin, mut stdout) = (pod.open(StreamKind::Stdin), pod.open(StreamKind::Stdout));
        let mut text = String::new();
        stdin.read_to_string(&mut text).unwrap();
        stdout.write_all(text.to_uppercase().as_bytes()).unwrap();
        pod.say(&Reply::Ended { status: 0, line: None });
    });
    assert_eq!((outcome.result.unwrap(), outcome.stdout.as_str()), (0, "QUESTION"));
}

#[test]
fn refusals_and_ends_of_the_pod_are_told() {
    let outcome = play("", |mut pod| pod.say(&Reply::Refused { line: "No such app".into() }));
    assert_eq!(outcome.result.unwrap_err().to_string(), "No such app");
    let outcome = play("", |mut pod| pod.open(StreamKind::Stdout).write_all(b"last").unwrap());
    assert!(matches!(outcome.result, Err(EnterError::PodEnded)));
    assert_eq!(outcome.stdout, "last");
}

#[test]
fn a_second_stream_of_a_kind_is_closed() {
    play("", |mut pod| {
        let _first = pod.open(StreamKind::Stdout);
        let mut second = pod.open(StreamKind::Stdout);
        assert_eq!(second.read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn signals_go_to_the_command_and_the_third_one_ends_the_wait() {
    // SAFETY: the signals are blocked in this thread, which they are raised for.
    let raise = |number| unsafe { libc::raise(number) };
    let root = tempfile::tempdir().unwrap();
    let directory = PodDirectory::at(root.path());
    let listener = UnixListener::bind(directory.socket()).unwrap();
    let signals = Signals::block(false).unwrap();
    let pod = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut pod = Pod { stream };
        [pod.hear(), pod.hear(), pod.hear()]
    });
    assert_eq!([libc::SIGINT, libc::SIGTERM, libc::SIGHUP].map(raise), [0; 3]);
    let status =
        run(&directory, &Request::Signal { signal: 0 }, Manner::Command, HostStdio::own(), &signals).unwrap();
    let heard = pod.join().unwrap();
    // They are read lowest number first.
    assert_eq!(heard[1..], [Request::Signal { signal: 1 }, Request::Signal { signal: 2 }]);
    assert_eq!(status, 128 + 15);
}

#[test]
fn a_pod_that_does_not_run_is_not_waited_for() {
    let root = tempfile::tempdir().unwrap();
    let directory = PodDirectory::at(root.path());
    assert!(matches!(Call::connect(&directory), Err(EnterError::NotRunning)));
    drop(UnixListener::bind(directory.socket()).unwrap());
    assert!(matches!(Call::connect(&directory), Err(EnterError::NotRunning)));
    // One that has just been started is.
    let lock = File::open(root.path()).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    std::fs::remove_file(directory.socket()).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(std::time::Duration::from_millis(100));
            UnixListener::bind(directory.socket()).unwrap().accept().unwrap();
        });
        Call::connect(&directory).unwrap();
    });
}
