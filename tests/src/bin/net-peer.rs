//! The far end of the network benchmark: in a guest, or in a network namespace.
//!
//! TCP: the first byte of a connection says what it is for: `u`, all else is swallowed and counted, the count comes back
//! when the sender is done; `d`, bytes come until the reader leaves. UDP: `e…` comes back; `s…` is counted; `q` brings
//! the count, in bytes since the last.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream, UdpSocket},
    process, thread,
};

/// TCP and UDP.
const PORT: u16 = 5300;

fn main() {
    let served = TcpListener::bind(("0.0.0.0", PORT))
        .and_then(|listener| Ok((listener, UdpSocket::bind(("0.0.0.0", PORT))?)));
    let (listener, socket) = served.unwrap_or_else(|error| {
        eprintln!("net-peer: Cannot listen on port {PORT}: {error}");
        process::exit(1)
    });
    thread::spawn(move || datagrams(&socket));
    for connection in listener.incoming().flatten() {
        thread::spawn(move || stream(connection));
    }
}

/// Errors are the other side's end.
fn stream(mut connection: TcpStream) {
    let mut buffer = vec![0; 256 << 10];
    let mut purpose = [0];
    if connection.read_exact(&mut purpose).is_err() {
        return;
    }
    if purpose == *b"d" {
        while connection.write_all(&buffer).is_ok() {}
        return;
    }
    let mut count = 0_u64;
    while let Ok(length @ 1..) = connection.read(&mut buffer) {
        count += length as u64;
    }
    let _ = connection.write_all(&count.to_le_bytes());
}

fn datagrams(socket: &UdpSocket) {
    let mut buffer = [0; 2048];
    let mut count = 0_u64;
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
        // What is lost, the asker misses.
        let _ = match buffer[0] {
            b's' => {
                count += length as u64;
                Ok(0)
            }
            b'q' => socket.send_to(&std::mem::take(&mut count).to_le_bytes(), from),
            _ => socket.send_to(&buffer[..length], from),
        };
    }
}
