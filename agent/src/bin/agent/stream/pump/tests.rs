use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use nix::fcntl::OFlag;
use nix::unistd::pipe2;
use proptest::prelude::*;

use super::*;

/// An app's end of a pipe, the pump, the host's end of the connection.
fn output(first: &[u8]) -> (std::fs::File, Pump, UnixStream) {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC).unwrap();
    set_nonblocking(&reader).unwrap();
    let (guest, host) = UnixStream::pair().unwrap();
    guest.set_nonblocking(true).unwrap();
    let pump = Pump::new(reader, Sink::Socket(guest.into()), first.to_vec());
    (std::fs::File::from(writer), pump, host)
}

fn run_to_end(pump: &mut Pump) {
    while let Some(interest) = pump.interest() {
        let mut interest = [interest];
        // SAFETY: one valid entry.
        unsafe { libc::poll(interest.as_mut_ptr(), 1, 5000) };
        assert_ne!(interest[0].revents, 0, "stuck");
        pump.advance();
    }
}

#[test]
fn bytes_follow_the_greeting_and_the_end_follows_the_bytes() {
    let (mut app, mut pump, mut host) = output(b"hello ");
    app.write_all(b"world").unwrap();
    drop(app);
    run_to_end(&mut pump);
    let mut text = String::new();
    host.read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello world");
    assert!(pump.is_ended());
}

#[test]
fn a_slow_host_holds_the_app_back_without_loss() {
    let (mut app, mut pump, mut host) = output(b"");
    let data: Vec<u8> = (0..3 << 20).map(|i: u32| (i % 251) as u8).collect();
    let expected = data.clone();
    let writer = std::thread::spawn(move || app.write_all(&data).unwrap());
    let reader = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(50));
        let mut found = Vec::new();
        host.read_to_end(&mut found).unwrap();
        found
    });
    run_to_end(&mut pump);
    writer.join().unwrap();
    assert!(reader.join().unwrap() == expected);
}

#[test]
fn a_closed_host_breaks_the_apps_pipe() {
    let (mut app, mut pump, host) = output(b"");
    drop(host);
    app.write_all(b"x").unwrap();
    run_to_end(&mut pump);
    // The test process ignores SIGPIPE, as Rust programs do.
    assert_eq!(app.write_all(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn a_writer_that_never_closes_does_not_keep_the_rest_from_ending() {
    let (mut app, mut pump, mut host) = output(b"");
    app.write_all(b"last words").unwrap();
    pump.read_only_the_rest();
    run_to_end(&mut pump);
    let mut text = String::new();
    host.read_to_string(&mut text).unwrap();
    assert_eq!(text, "last words");
}

#[test]
fn input_reaches_the_app_with_its_end() {
    let (guest, mut host) = UnixStream::pair().unwrap();
    guest.set_nonblocking(true).unwrap();
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC).unwrap();
    set_nonblocking(&writer).unwrap();
    let mut greeting = Pump::greeting(guest.try_clone().unwrap().into(), b"stdin".to_vec());
    let mut pump = Pump::new(guest.into(), Sink::File(writer), Vec::new());
    run_to_end(&mut greeting);
    host.write_all(b"typed").unwrap();
    host.shutdown(Shutdown::Write).unwrap();
    run_to_end(&mut pump);
    let mut text = String::new();
    std::fs::File::from(reader).read_to_string(&mut text).unwrap();
    assert_eq!(text, "typed");
    let mut header = [0; 5];
    host.read_exact(&mut header).unwrap();
    assert_eq!(&header, b"stdin");
}

#[test]
fn an_app_that_closed_its_input_ends_the_pump() {
    let (guest, mut host) = UnixStream::pair().unwrap();
    guest.set_nonblocking(true).unwrap();
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC).unwrap();
    set_nonblocking(&writer).unwrap();
    let mut pump = Pump::new(guest.into(), Sink::File(writer), Vec::new());
    drop(reader);
    host.write_all(b"typed").unwrap();
    run_to_end(&mut pump);
    assert!(pump.is_ended());
}

proptest! {
    #[test]
    fn any_sequence_of_writes_arrives_whole(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3000), 0..12)) {
        let (mut app, mut pump, mut host) = output(b"");
        let mut expected: Vec<u8> = Vec::new();
        for piece in &pieces {
            app.write_all(piece).unwrap();
            expected.extend(piece);
            pump.advance();
        }
        drop(app);
        run_to_end(&mut pump);
        let mut found = Vec::new();
        host.read_to_end(&mut found).unwrap();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn a_silent_writer_that_stays_does_not_keep_the_rest() {
    let (mut app, mut pump, mut host) = output(b"");
    app.write_all(b"all").unwrap();
    pump.advance();
    pump.read_only_the_rest();
    run_to_end(&mut pump);
    let mut text = String::new();
    host.read_to_string(&mut text).unwrap();
    assert_eq!(text, "all");
    drop(app);
}
