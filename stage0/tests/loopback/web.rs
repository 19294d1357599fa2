//! A web server that does exactly what a test wants.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What a path answers.
#[derive(Clone, Default)]
pub struct Page {
    pub body: Vec<u8>,
    /// Statuses of the first answers; then 200.
    pub statuses: Vec<u16>,
    pub headers: Vec<(String, String)>,
    /// Understands `If-None-Match`, `Range` and `If-Range`.
    pub etag: Option<String>,
    /// Sends only so many bytes of what it announced, once.
    pub cut: Option<usize>,
    /// After that, waits for the client to go.
    pub stall: bool,
    /// Sends without announcing a length, for as long as somebody reads.
    pub endless: bool,
    /// As a proxy: serves on the same connection what the client asks for next.
    pub tunnel: bool,
}

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub path: String,
    pub headers: BTreeMap<String, String>,
}

#[derive(Default)]
struct State {
    pages: BTreeMap<String, Page>,
    seen: Vec<Seen>,
}

/// A running server. Its thread ends with the process.
pub struct Web {
    pub host: String,
    state: Arc<Mutex<State>>,
}

impl Web {
    /// On any free port of 127.0.0.1.
    pub fn start() -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    /// On port 80 of a loopback address of its own: names in discovery have no port.
    pub fn start_named(address: Ipv4Addr) -> Self {
        let mut web = Self::on(TcpListener::bind((address, 80)).unwrap());
        web.host = address.to_string();
        web
    }

    fn on(listener: TcpListener) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let web = Web { host: listener.local_addr().unwrap().to_string(), state: state.clone() };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = state.clone();
                std::thread::spawn(move || drop(serve(stream, &state)));
            }
        });
        web
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.host)
    }

    pub fn put(&self, path: &str, page: Page) {
        self.state.lock().unwrap().pages.insert(path.to_owned(), page);
    }

    /// Requests since the last call.
    pub fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.state.lock().unwrap().seen)
    }
}

impl Page {
    pub fn of(body: impl Into<Vec<u8>>) -> Self {
        Page { body: body.into(), ..Page::default() }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().unwrap_or(Ok(String::new()))?;
    let target = first.split(' ').nth(1).unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default().to_owned();
    let mut headers = BTreeMap::new();
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let (status, page, from) = {
        let mut state = state.lock().unwrap();
        state.seen.push(Seen { path: target.to_owned(), headers: headers.clone() });
        match state.pages.get_mut(&path) {
            None => (404, Page::default(), 0),
            Some(page) => {
                let status = if page.statuses.is_empty() { 200 } else { page.statuses.remove(0) };
                let answer = conditional(status, page, &headers);
                if answer.0 < 300 {
                    page.cut = None;
                    page.stall = false;
                }
                answer
            }
        }
    };
    if page.tunnel {
        stream.write_all(b"HTTP/1.1 200 X\r\n\r\n")?;
        return serve(stream, state);
    }
    if page.endless {
        stream.write_all(b"HTTP/1.1 200 X\r\nConnection: close\r\n\r\n")?;
        loop {
            stream.write_all(&[b'x'; 4096])?;
        }
    }
    let body = &page.body[from..];
    let mut head = format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    if status == 206 {
        head += &format!("Content-Range: bytes {from}-{}/{}\r\n", page.body.len() - 1, page.body.len());
    }
    for (name, value) in
        page.etag.iter().map(|t| ("ETag", t)).chain(page.headers.iter().map(|(n, v)| (n.as_str(), v)))
    {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    stream.write_all(&body[..page.cut.unwrap_or(body.len()).min(body.len())])?;
    if page.stall {
        std::io::copy(&mut stream, &mut std::io::sink())?;
    }
    Ok(())
}

fn conditional(status: u16, page: &Page, headers: &BTreeMap<String, String>) -> (u16, Page, usize) {
    let same = |name: &str| headers.get(name).is_some_and(|tag| Some(tag) == page.etag.as_ref());
    if status == 200 && same("if-none-match") {
        return (304, Page { body: Vec::new(), ..page.clone() }, 0);
    }
    let from = headers.get("range").and_then(|r| r.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    match from {
        Some(from) if status == 200 && same("if-range") => (206, page.clone(), from),
        _ => (status, page.clone(), 0),
    }
}
