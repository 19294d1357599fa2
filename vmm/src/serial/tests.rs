use std::{
    fs::File,
    io::{Read, Write},
    time::{Duration, Instant},
};

use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::*;

fn console() -> (Console, File, EventFd) {
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let line = EventFd::new(EFD_NONBLOCK).unwrap();
    (Console::new(line.try_clone().unwrap(), writer), File::from(reader), line)
}

#[test]
fn lines_arrive_whole_and_the_rest_at_the_end() {
    let (console, mut reader, _line) = console();
    assert!(console.port_out(PORT, b"first\nsec"));
    let mut bytes = [0; 64];
    let length = reader.read(&mut bytes).unwrap();
    assert_eq!(&bytes[..length], b"first\n");
    assert!(console.port_out(PORT, b"ond"));
    drop(console);
    let mut rest = String::new();
    reader.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "second");
}

#[test]
fn the_transmitter_is_always_ready() {
    let (console, _reader, _line) = console();
    let mut status = [0];
    assert!(console.port_in(PORT + 5, &mut status));
    assert_eq!(status[0] & 0x60, 0x60);
}

#[test]
fn an_interrupt_says_that_output_was_taken() {
    let (console, _reader, line) = console();
    assert!(line.read().is_err());
    console.port_out(PORT + 1, &[2]);
    console.port_out(PORT, b"x");
    assert!(line.read().is_ok());
}

#[test]
fn other_ports_are_not_the_consoles() {
    let (console, _reader, _line) = console();
    for port in [0, PORT - 1, PORT + PORTS, u16::MAX] {
        assert!(!console.port_in(port, &mut [0]));
        assert!(!console.port_out(port, &[0]));
    }
    assert!(console.port_in(PORT, &mut []));
}

#[test]
fn a_reader_that_does_not_read_holds_nobody_up() {
    let (console, mut reader, _line) = console();
    let start = Instant::now();
    for _ in 0..100_000 {
        console.port_out(PORT, b"0123456789\n");
    }
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    let mut bytes = vec![0; 1 << 20];
    assert!(reader.read(&mut bytes).unwrap() > 4096);
    console.port_out(PORT, b"again\n");
    drop(console);
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).unwrap();
    assert!(rest.ends_with(b"again\n"));
}

#[test]
fn a_reader_that_is_gone_is_no_error() {
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    drop(reader);
    let mut output = ConsoleOutput::new(writer);
    output.write_all(b"line\n").unwrap();
}
