use std::{
    fs::File,
    io::Write,
    net::Shutdown,
    os::fd::{AsFd, OwnedFd},
    thread::sleep,
};

use agent::protocol::{Stdio, WindowSize, write_frame};

use super::*;
use crate::pod::{logs::Logs, spec::app_spec};

/// A pipe whose ends live as long as the test.
fn pipe() -> (&'static OwnedFd, &'static OwnedFd) {
    let (reader, writer) = std::io::pipe().unwrap();
    (Box::leak(Box::new(reader.into())), Box::leak(Box::new(writer.into())))
}

/// Streams of one app, with the other ends of the host's.
struct Fixture {
    streams: Streams,
    stdin: File,
    stdout: File,
}

fn fixture(stdio: Stdio) -> Fixture {
    let (stdin, stdin_end) = pipe();
    let (stdout_end, stdout) = pipe();
    let host = HostStdio { stdin: Some(stdin.as_fd()), stdout: stdout.as_fd(), stderr: stdout.as_fd() };
    Fixture {
        streams: Streams::new(&[app_spec("web", stdio)], host, Logs::none()).unwrap(),
        stdin: File::from(stdin_end.try_clone().unwrap()),
        stdout: File::from(stdout_end.try_clone().unwrap()),
    }
}

fn open(streams: &mut Streams, app: &str, stream: StreamKind) -> UnixStream {
    let (host, mut guest) = UnixStream::pair().unwrap();
    streams.accept(host).unwrap();
    write_frame(&mut guest, &StreamHeader { app: app.into(), stream }).unwrap();
    guest
}

fn wait_for_report(streams: &mut Streams) -> Report {
    for _ in 0..2000 {
        if let Some(report) = streams.reports().pop() {
            return report;
        }
        sleep(Duration::from_millis(5));
    }
    panic!("no report");
}

#[test]
fn output_reaches_the_host_and_is_drained() {
    let mut fixture = fixture(Stdio::Output);
    let mut guest = open(&mut fixture.streams, "web", StreamKind::Stdout);
    guest.write_all(b"hello\n").unwrap();
    let mut text = [0; 6];
    fixture.stdout.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"hello\n");
    assert!(!fixture.streams.drained(Instant::now()));
    drop(guest);
    assert!(matches!(wait_for_report(&mut fixture.streams), Report::Ended));
    assert!(fixture.streams.drained(Instant::now()));
}

#[test]
fn a_blocked_reader_holds_the_app_back_and_nothing_is_lost() {
    let mut fixture = fixture(Stdio::Output);
    let mut guest = open(&mut fixture.streams, "web", StreamKind::Stdout);
    let app = thread::spawn(move || {
        for block in 0..512u32 {
            guest.write_all(&[block as u8; 4096]).unwrap();
        }
    });
    sleep(Duration::from_millis(100));
    assert!(!app.is_finished(), "nobody reads, and still the app could write all of it");
    let now = Instant::now();
    assert!(!fixture.streams.drained(now));
    assert!(!fixture.streams.drained(now + SILENCE * 2), "gave up output that its reader only reads slowly");
    for block in 0..512u32 {
        let mut bytes = [0; 4096];
        fixture.stdout.read_exact(&mut bytes).unwrap();
        assert!(bytes.iter().all(|byte| *byte == block as u8));
    }
    app.join().unwrap();
}

#[test]
fn an_app_whose_reader_is_gone_finds_its_stream_closed() {
    let (reader, writer) = std::io::pipe().unwrap();
    let writer: &OwnedFd = Box::leak(Box::new(writer.into()));
    let (host, mut guest) = UnixStream::pair().unwrap();
    drop(reader);
    guest.write_all(b"x").unwrap();
    pump_out(&host, writer.as_fd(), &Progress::default(), |_| {}).unwrap();
    assert_eq!(guest.write_all(b"y").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn a_full_disk_is_an_error_and_closes_the_stream() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let (host, mut guest) = UnixStream::pair().unwrap();
    guest.write_all(b"x").unwrap();
    let error = pump_out(&host, full.as_fd(), &Progress::default(), |_| {}).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert!(guest.write_all(b"y").is_err());
}

#[test]
fn input_ends_with_a_half_close() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"question").unwrap();
    drop(writer);
    let (host, mut guest) = UnixStream::pair().unwrap();
    pump_in(reader.as_fd(), &host);
    let mut text = String::new();
    guest.read_to_string(&mut text).unwrap();
    assert_eq!(text, "question");
    guest.write_all(b"still open").unwrap();
}

#[test]
fn non_blocking_descriptors_are_waited_for() {
    let (reader, writer) = std::io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&reader, true).unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    let bytes = vec![7; 1 << 20];
    let (host, mut guest) = UnixStream::pair().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            write_fully(writer.as_fd(), &bytes).unwrap();
            drop(writer);
        });
        scope.spawn(|| pump_in(reader.as_fd(), &host));
        let mut received = Vec::new();
        guest.read_to_end(&mut received).unwrap();
        assert!(received == vec![7; 1 << 20]);
    });
}

#[test]
fn typing_passes_until_the_escape() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let (host, mut guest) = UnixStream::pair().unwrap();
    let typed = thread::spawn(move || pump_typed(reader.as_fd(), &host));
    writer.write_all(b"ls\r\x03").unwrap();
    let mut keys = [0; 4];
    guest.read_exact(&mut keys).unwrap();
    assert_eq!(&keys, b"ls\r\x03");
    // Even when the app listens no more.
    guest.shutdown(Shutdown::Both).unwrap();
    writer.write_all(b"anybody").unwrap();
    writer.write_all(b"\x1d\x1d\x1d").unwrap();
    assert!(typed.join().unwrap());
}

#[test]
fn the_whole_way_in() {
    let mut fixture = fixture(Stdio::Pipes);
    let mut guest = open(&mut fixture.streams, "web", StreamKind::Stdin);
    fixture.stdin.write_all(b"abc").unwrap();
    let mut text = [0; 3];
    guest.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"abc");
    // Input that nobody ends does not keep the pod.
    assert!(fixture.streams.drained(Instant::now()));
}

#[test]
fn streams_the_pod_has_not_are_violations() {
    let size = WindowSize { rows: 1, columns: 1 };
    for (stdio, app, stream) in [
        (Stdio::Output, "other", StreamKind::Stdout),
        (Stdio::Output, "web", StreamKind::Stdin),
        (Stdio::Output, "web", StreamKind::Tty),
        (Stdio::Pipes, "web", StreamKind::Tty),
        (Stdio::Terminal { size }, "web", StreamKind::Stdout),
    ] {
        let mut fixture = fixture(stdio);
        let _guest = open(&mut fixture.streams, app, stream);
        let report = wait_for_report(&mut fixture.streams);
        assert!(matches!(report, Report::Violation(StreamError::NotExpected { .. })), "{stdio:?} {stream:?}");
    }
}

#[test]
fn a_stream_is_opened_once_and_none_too_many() {
    let mut fixture = fixture(Stdio::Output);
    let _first = open(&mut fixture.streams, "web", StreamKind::Stdout);
    let _second = open(&mut fixture.streams, "web", StreamKind::Stdout);
    let report = wait_for_report(&mut fixture.streams);
    assert!(matches!(report, Report::Violation(StreamError::NotExpected { .. })));
    let (host, _third) = UnixStream::pair().unwrap();
    assert!(matches!(fixture.streams.accept(host), Err(StreamError::TooMany)));
}

#[test]
fn headers_are_bounded() {
    for header in [&[255, 255, 255, 255][..], &[0, 0, 1, 0][..], &[2, 0, 0, 0, b'n', b'o'][..]] {
        let mut fixture = fixture(Stdio::Output);
        let (host, mut guest) = UnixStream::pair().unwrap();
        fixture.streams.accept(host).unwrap();
        guest.write_all(header).unwrap();
        let _ = guest.write_all(&vec![b' '; 2 * MAX_HEADER as usize]);
        let report = wait_for_report(&mut fixture.streams);
        assert!(matches!(report, Report::Violation(StreamError::Header(_))), "{header:?}");
    }
}

#[test]
fn a_silent_stream_is_given_up_after_the_end() {
    let mut fixture = fixture(Stdio::Output);
    let _guest = open(&mut fixture.streams, "web", StreamKind::Stdout);
    let now = Instant::now();
    assert!(!fixture.streams.drained(now));
    assert!(!fixture.streams.drained(now + SILENCE / 2));
    assert!(fixture.streams.drained(now + SILENCE));
}
