//! What goes between the benchmark and `net-peer`.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use crate::sample::median;

/// As in `net-peer`.
const PORT: u16 = 5300;
/// How long each kind of traffic lasts.
const DURATION: Duration = Duration::from_secs(2);
/// How long a guest may take to answer at all.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of a datagram: an Ethernet frame's worth.
const DATAGRAM: usize = 1400;
const ROUND_TRIPS: usize = 300;

/// Throughput in Mbit/s: TCP to and from the guest, and what arrived of the datagrams sent to it as fast as they went;
/// the median round trip, in microseconds.
#[derive(Debug)]
pub struct Traffic {
    pub up: f64,
    pub down: f64,
    pub datagrams: f64,
    pub round_trip: f64,
}

/// Measures one after the other, when `net-peer` at `address` answers.
pub fn measure(address: &str) -> Result<Traffic> {
    drop(connect(address)?);
    Ok(Traffic {
        round_trip: round_trip(address).context("Cannot measure the round trip")?,
        up: up(address).context("Cannot send")?,
        down: down(address).context("Cannot receive")?,
        datagrams: datagrams(address).context("Cannot send datagrams")?,
    })
}

fn connect(address: &str) -> Result<TcpStream> {
    let end = Instant::now() + PATIENCE;
    let target = format!("{address}:{PORT}").parse().context("Not an address")?;
    while Instant::now() < end {
        if let Ok(stream) = TcpStream::connect_timeout(&target, Duration::from_millis(500)) {
            stream.set_read_timeout(Some(PATIENCE))?;
            return Ok(stream);
        }
        thread::sleep(Duration::from_millis(50));
    }
    bail!("No answer from {target}")
}

fn up(address: &str) -> Result<f64> {
    let mut stream = connect(address)?;
    let data = vec![0; 256 << 10];
    stream.write_all(b"u")?;
    let start = Instant::now();
    while start.elapsed() < DURATION {
        stream.write_all(&data)?;
    }
    stream.shutdown(Shutdown::Write)?;
    let mut count = [0; 8];
    stream.read_exact(&mut count)?;
    Ok(megabits(u64::from_le_bytes(count), start))
}

fn down(address: &str) -> Result<f64> {
    let mut stream = connect(address)?;
    let mut buffer = vec![0; 256 << 10];
    stream.write_all(b"d")?;
    let start = Instant::now();
    let mut count = 0;
    while start.elapsed() < DURATION {
        count += stream.read(&mut buffer)? as u64;
    }
    Ok(megabits(count, start))
}

fn datagrams(address: &str) -> Result<f64> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect((address, PORT))?;
    let start = Instant::now();
    while start.elapsed() < DURATION {
        // A full queue is the measured network's affair.
        let _ = socket.send(&[b's'; DATAGRAM]);
    }
    let spent = start.elapsed().as_secs_f64();
    // The question may be lost behind what was sent.
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    for _ in 0..20 {
        thread::sleep(Duration::from_millis(200));
        socket.send(b"q")?;
        let mut count = [0; 8];
        if let Ok(8) = socket.recv(&mut count) {
            return Ok(u64::from_le_bytes(count) as f64 * 8.0 / 1e6 / spent);
        }
    }
    bail!("The count does not come")
}

fn round_trip(address: &str) -> Result<f64> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect((address, PORT))?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut samples = Vec::new();
    for _ in 0..ROUND_TRIPS {
        let start = Instant::now();
        socket.send(b"e")?;
        if let Ok(1) = socket.recv(&mut [0; 8]) {
            samples.push(start.elapsed().as_secs_f64() * 1e6);
        }
    }
    ensure!(samples.len() > ROUND_TRIPS / 2, "Of {ROUND_TRIPS} packets {} came back", samples.len());
    Ok(median(&mut samples))
}

fn megabits(bytes: u64, since: Instant) -> f64 {
    bytes as f64 * 8.0 / 1e6 / since.elapsed().as_secs_f64()
}
