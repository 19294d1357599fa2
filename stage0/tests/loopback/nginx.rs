//! nginx, serving files as it does anywhere.

use super::certificate::Certificate;
use std::io::Write;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A path no test asks for.
const LAST: &str = "/-/last";

/// A running nginx; it ends with the value.
pub struct Nginx {
    child: Child,
    /// Its only address, as URLs write it.
    pub host: String,
    listen: String,
    scheme: &'static str,
    dir: tempfile::TempDir,
}

/// One request and what became of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Logged {
    pub path: String,
    pub status: u16,
    pub authorization: String,
}

impl Nginx {
    /// Listens on `address` (with a port, or on the scheme's own: names in discovery have no port). `server` is what its
    /// `server` block holds besides; `limit_req zone=once` there answers 429 to all requests but the first.
    pub fn start(address: &str, certificate: Option<&Certificate>, server: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (scheme, default_port, tls) = match certificate {
            None => ("http", 80, String::new()),
            Some(Certificate { key, certificate }) => {
                let (key, certificate) = (key.display(), certificate.display());
                ("https", 443, format!("ssl_certificate_key {key}; ssl_certificate {certificate};"))
            }
        };
        let listen = match address.contains(':') {
            true => address.to_owned(),
            false => format!("{address}:{default_port}"),
        };
        let ssl = if certificate.is_some() { " ssl" } else { "" };
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|what| format!("{what}_temp_path {what};\n"))
            .concat();
        let config = format!(
            "daemon off; master_process off; pid pid; error_log error.log; events {{}}\n\
             http {{\n{temporary}log_format seen '$request_uri $status $http_authorization';\n\
             access_log access.log seen;\nlimit_req_zone $server_addr zone=once:1m rate=1r/m;\n\
             limit_req_status 429;\nserver {{ listen {listen}{ssl}; {tls} root files; {server} }}\n}}\n"
        );
        std::fs::create_dir(dir.path().join("files")).unwrap();
        std::fs::write(dir.path().join("nginx.conf"), config).unwrap();
        let child = Command::new("nginx")
            .arg("-p")
            .arg(dir.path())
            .args(["-e", "error.log", "-c", "nginx.conf"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| panic!("Cannot run nginx: {e}: install the Debian package nginx-light"));
        let nginx = Nginx { child, host: address.to_owned(), listen, scheme, dir };
        let start = Instant::now();
        while TcpStream::connect(&nginx.listen).is_err() {
            let log = || std::fs::read_to_string(nginx.dir.path().join("error.log")).unwrap_or_default();
            assert!(start.elapsed() < Duration::from_secs(20), "nginx is not at {address}: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
        nginx
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.host)
    }

    /// Puts a file where `path` serves it.
    pub fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        let file = self.file(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
    }

    pub fn file(&self, path: &str) -> PathBuf {
        self.dir.path().join("files").join(path.trim_start_matches('/'))
    }

    /// Requests since the last call.
    pub fn seen(&self) -> Vec<Logged> {
        // nginx does one thing after another: when this request has its answer, all before it are in the log.
        let mut stream = TcpStream::connect(&self.listen).unwrap();
        stream.write_all(format!("GET {LAST} HTTP/1.0\r\n\r\n").as_bytes()).unwrap();
        std::io::copy(&mut stream, &mut std::io::sink()).unwrap();
        let path = self.dir.path().join("access.log");
        let log = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, "").unwrap();
        let logged = |line: &str| {
            let mut words = line.splitn(3, ' ');
            let mut word = || words.next().unwrap().to_owned();
            Logged { path: word(), status: word().parse().unwrap(), authorization: word() }
        };
        log.lines().map(logged).filter(|logged| logged.path != LAST).collect()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
