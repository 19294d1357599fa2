//! A server whose answers are the fuzzer's.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Answers each request with the next of the replies, as it is, and closes the connection.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub port: u16,
    replies: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Default for Server {
    fn default() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let replies: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let next = Arc::clone(&replies);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                let Ok(copy) = stream.try_clone() else { continue };
                if is_tls(&stream) {
                    continue;
                }
                let mut line = String::new();
                let mut reader = BufReader::new(copy);
                while reader.read_line(&mut line).is_ok_and(|length| length > 2) {
                    line.clear();
                }
                let reply = next.lock().expect("the replies").pop().unwrap_or_default();
                let _ = stream.write_all(&reply);
            }
        });
        Server { port, replies }
    }
}

impl Server {
    /// Lets it answer with these from now on, one after another. `@` stands for where it listens.
    pub fn set(&self, mut replies: Vec<Vec<u8>>) {
        let address = format!("http://127.0.0.1:{}", self.port);
        let here = |reply: Vec<u8>| {
            reply
                .into_iter()
                .flat_map(|b| if b == b'@' { address.clone().into_bytes() } else { vec![b] })
                .collect()
        };
        replies.reverse();
        *self.replies.lock().expect("the replies") = replies.into_iter().map(here).collect();
    }
}

/// Whether a client begins with a TLS handshake (RFC 8446, 5.1), which nobody answers here.
fn is_tls(stream: &TcpStream) -> bool {
    let mut first = [0];
    stream.peek(&mut first).is_ok() && first == [22]
}
