//! The apps' streams of a pod under test, as the host carries them.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc::{Receiver, Sender};
use std::thread;
use std::time::Duration;

use agent::protocol::{Stdio, StreamHeader, StreamKind, read_frame};

/// How long a test waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The next connection.
pub fn accept(listener: &UnixListener) -> UnixStream {
    let (socket, _) = listener.accept().unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// Carries every stream of the pod until all of them have ended.
pub fn carry(
    listener: &UnixListener,
    stdio: Vec<Stdio>,
    input: Vec<u8>,
    deaf: bool,
    seen: Sender<Vec<u8>>,
    keys: Receiver<Vec<u8>>,
) -> HashMap<(String, StreamKind), Vec<u8>> {
    let mut keys = Some(keys);
    let mut readers = Vec::new();
    for _ in 0..stdio.iter().map(count).sum::<usize>() {
        let mut socket = accept(listener);
        let header: StreamHeader = read_frame(&mut socket).unwrap().unwrap();
        match header.stream {
            _ if deaf => continue,
            StreamKind::Stdin => {
                let input = input.clone();
                thread::spawn(move || {
                    let _ = socket.write_all(&input);
                    let _ = socket.shutdown(Shutdown::Write);
                });
                continue;
            }
            StreamKind::Tty => {
                let (mut keyboard, keys) = (socket.try_clone().unwrap(), keys.take().unwrap());
                thread::spawn(move || keys.iter().try_for_each(|text| keyboard.write_all(&text)));
            }
            StreamKind::Stdout | StreamKind::Stderr => {}
        }
        let seen = seen.clone();
        let key = (header.app, header.stream);
        readers.push(thread::spawn(move || (key, read_all(socket, &seen))));
    }
    readers.into_iter().map(|reader| reader.join().unwrap()).collect()
}

/// How many streams there are.
pub fn count(stdio: &Stdio) -> usize {
    match stdio {
        Stdio::Output => 2,
        Stdio::Pipes => 3,
        Stdio::Terminal { .. } => 1,
    }
}

fn read_all(mut socket: UnixStream, seen: &Sender<Vec<u8>>) -> Vec<u8> {
    let mut all = Vec::new();
    let mut chunk = [0; 65536];
    loop {
        match socket.read(&mut chunk) {
            Ok(0) | Err(_) => return all,
            Ok(count) => {
                all.extend(&chunk[..count]);
                let _ = seen.send(chunk[..count].to_vec());
            }
        }
    }
}
