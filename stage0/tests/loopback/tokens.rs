//! A token server for docker-registry (distribution's "Token Authentication"): tokens are JSON web tokens signed by openssl.

use super::certificate::Certificate;
use super::registry::{PASSWORD, USER};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

/// What the registry's configuration calls itself and the server.
pub const SERVICE: &str = "test-registry";
pub const ISSUER: &str = "test-tokens";

/// A running token server. Its thread ends with the process.
pub struct Tokens {
    pub port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Tokens {
    /// One that gives whoever knows [`USER`] and [`PASSWORD`] what he asks for.
    pub fn start(certificate: Certificate) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = serve(stream, &certificate, &seen);
            }
        });
        Tokens { port, asked }
    }

    /// What was asked for with the right password, as query strings.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(
    mut stream: TcpStream,
    certificate: &Certificate,
    asked: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut head = String::new();
    let mut reader = BufReader::new(stream.try_clone()?);
    while reader.read_line(&mut head)? > 2 {}
    let target = head.split(' ').nth(1).unwrap_or_default();
    let basic = STANDARD.encode(format!("{USER}:{PASSWORD}"));
    let known = head.lines().any(|line| {
        line.split_once(": ").is_some_and(|(name, value)| {
            name.eq_ignore_ascii_case("authorization") && value.trim() == format!("Basic {basic}")
        })
    });
    let (status, body) = match known {
        true => {
            let query = target.split('?').nth(1).unwrap_or_default().replace("%3A", ":").replace("%2C", ",");
            let token = json!({"token": token(&query.replace("%2F", "/"), certificate)}).to_string();
            asked.lock().unwrap().push(query);
            ("200 OK", token)
        }
        false => ("401 Unauthorized", "{}".to_owned()),
    };
    write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// A token for every scope in the query.
fn token(query: &str, certificate: &Certificate) -> String {
    let scopes = query.split('&').filter_map(|part| part.strip_prefix("scope="));
    let access: Vec<_> = scopes
        .filter_map(|scope| {
            let (kind, rest) = scope.split_once(':')?;
            let (name, actions) = rest.rsplit_once(':')?;
            Some(json!({"type": kind, "name": name, "actions": actions.split(',').collect::<Vec<_>>()}))
        })
        .collect();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let header = json!({"typ": "JWT", "alg": "RS256", "x5c": [certificate.encoded()]});
    let claims = json!({"iss": ISSUER, "sub": USER, "aud": SERVICE, "exp": now + 300, "nbf": now - 10, "iat": now - 10,
                        "jti": now.to_string(), "access": access});
    let encode = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", encode(header), encode(claims));
    let file = certificate.key.with_file_name("token");
    std::fs::write(&file, &text).unwrap();
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(certificate.sign(&file)))
}
