use super::*;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;

/// Serves each connection with one answer made of the request's head; heads are sent to the receiver.
pub(crate) fn serve(answer: impl Fn(&str) -> String + Send + 'static) -> (u16, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut head = String::new();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            while reader.read_line(&mut head).is_ok_and(|n| n > 2) {}
            let _ = stream.write_all(answer(&head).as_bytes());
            let _ = sender.send(head);
        }
    });
    (port, receiver)
}

fn reply(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len())
}

fn url(port: u16, path: &str) -> Url {
    Url::parse(&format!("http://127.0.0.1:{port}{path}")).unwrap()
}

#[test]
fn secrets_stay_at_home() {
    let (other, at_other) = serve(|_| reply("200 OK", "", "there"));
    let (home, at_home) = serve(move |head| match head.starts_with("GET /a ") {
        true => reply("302 Found", "Location: /b\r\n", ""),
        false => reply("307 Temporary Redirect", &format!("Location: http://127.0.0.1:{other}/c\r\n"), ""),
    });
    let request = Request::get(url(home, "/a"), true).header("X-Open", "1").secret("Authorization", "hidden");
    let mut response = Client::new(true).send(&request).unwrap();
    assert_eq!((response.status, response.body.read_all(100).unwrap()), (200, b"there".to_vec()));
    for _ in 0..2 {
        assert!(at_home.recv().unwrap().to_lowercase().contains("authorization: hidden"));
    }
    let head = at_other.recv().unwrap().to_lowercase();
    assert!(head.contains("x-open: 1") && !head.contains("hidden"), "{head}");
    assert!(head.contains(concat!("user-agent: rkt/", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn plain_http_needs_permission() {
    let request = Request::get(url(1, "/"), false);
    assert!(matches!(Client::new(true).send(&request), Err(HttpError::Plain(_))));
}

#[test]
fn endless_redirects_and_bodies_end() {
    let (port, _heads) = serve(|_| reply("302 Found", "Location: /again\r\n", ""));
    let client = Client::new(true);
    assert!(matches!(client.send(&Request::get(url(port, "/"), true)), Err(HttpError::Redirects(_))));
    let (port, _heads) = serve(|_| reply("302 Found", "Location: file:///etc/passwd\r\n", ""));
    assert!(matches!(client.send(&Request::get(url(port, "/"), true)), Err(HttpError::Url(_))));
    let (port, _heads) = serve(|_| reply("302 Found", "", ""));
    assert!(matches!(client.send(&Request::get(url(port, "/"), true)), Err(HttpError::Location(_))));
    let (port, _heads) = serve(|_| reply("200 OK", "", &"x".repeat(1000)));
    let mut response = client.send(&Request::get(url(port, "/"), true)).unwrap();
    assert!(response.body.read_all(999).is_err());
}

#[test]
fn a_body_cut_short_is_an_error() {
    let (port, _heads) = serve(|_| "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort".to_owned());
    let mut response = Client::new(true).send(&Request::get(url(port, "/"), true)).unwrap();
    assert_eq!(response.length(), Some(100));
    let mut body = Vec::new();
    assert!(response.body.read_to_end(&mut body).is_err());
}

#[test]
fn messages_hold_no_secrets() {
    let url = Url::parse("https://user:word@host/path?signature=x").unwrap();
    assert_eq!(shown(&url), "https://host/path");
    assert!(parse_url("ftp://host").is_err() && parse_url("https://h/x").is_ok() && parse_url("x").is_err());
}
