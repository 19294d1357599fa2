use std::{
    net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket},
    os::unix::net::UnixListener,
};

use agent::protocol::SocketFamily;
use serde_json::{Value, json};

use super::*;

impl HostSockets {
    /// Sockets as if they had been passed.
    pub fn of(manifest: &PodManifest, sockets: Vec<(&str, OwnedFd)>) -> Result<Self, PassedError> {
        let look = |(name, socket)| passed::look(socket, name).unwrap().expect("a listening socket");
        Self::assign(sockets.into_iter().map(look).collect(), manifest)
    }
}

fn tcp() -> (OwnedFd, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener.into(), port)
}

fn app(name: &str, ports: Value) -> Value {
    let id = format!("sha512-{}", "0".repeat(128));
    json!({"name": name, "image": {"id": id},
        "app": {"exec": ["/x"], "user": "0", "group": "0", "ports": ports}})
}

fn port(name: &str, number: u16, activated: bool) -> Value {
    json!({"name": name, "protocol": "tcp", "port": number, "socketActivated": activated})
}

fn manifest(apps: &[Value], exposed: Value) -> PodManifest {
    let manifest = json!({"acVersion": "0.8.11", "acKind": "PodManifest", "apps": apps, "ports": exposed});
    PodManifest::from_slice(manifest.to_string().as_bytes()).unwrap()
}

/// The app of each socket, and which of its it is.
fn owners(sockets: &HostSockets) -> Vec<(&str, u32)> {
    sockets.iter().map(|socket| (socket.app.as_str(), socket.index)).collect()
}

#[test]
fn names_ports_and_numbers_tell_whose_a_socket_is() {
    let ((by_name, _), (by_forward, forwarded), (by_number, number)) = (tcp(), tcp(), tcp());
    let unix = UnixListener::bind(tempfile::tempdir().unwrap().path().join("s")).unwrap();
    let apps = [
        app("web", json!([port("http", 80, true), port("admin", number, true)])),
        app("db", json!([port("sql", 5432, false)])),
    ];
    let manifest =
        manifest(&apps, json!([{"name": "http", "hostPort": forwarded}, {"name": "sql", "hostPort": 1}]));
    let passed =
        vec![("sql", by_name), ("unknown", by_forward), ("unknown", by_number), ("sql", unix.into())];
    let sockets = HostSockets::of(&manifest, passed).unwrap();
    assert_eq!(owners(&sockets), [("db", 0), ("web", 0), ("web", 1), ("db", 1)]);
    let families: Vec<_> = sockets.of_app("db").iter().map(|socket| socket.family).collect();
    assert_eq!(families, [SocketFamily::Tcp, SocketFamily::Unix]);
    // The service manager has that port of the host.
    let left = sockets.without_forwards(&manifest);
    assert_eq!(left.ports.iter().map(|port| port.name.as_str()).collect::<Vec<_>>(), ["sql"]);
}

#[test]
fn the_only_app_gets_what_nobody_is_named_for() {
    let alone = manifest(&[app("web", json!([]))], json!([]));
    assert_eq!(owners(&HostSockets::of(&alone, vec![("x", tcp().0)]).unwrap()), [("web", 0)]);
    // A number alone is no claim: that port is the guest's own business.
    let (socket, number) = tcp();
    let two = manifest(&[app("web", json!([port("http", number, false)])), app("db", json!([]))], json!([]));
    let refused = HostSockets::of(&two, vec![("x", socket)]).unwrap_err().to_string();
    assert!(refused.contains("\"x\"") && refused.contains("FileDescriptorName="), "{refused}");
}

#[test]
fn only_what_listens_for_streams_is_taken() {
    let (listener, port) = tcp();
    let connected = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    let datagrams = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    assert!(passed::look(connected.into(), "x").unwrap().is_none());
    assert!(passed::look(datagrams.into(), "x").unwrap().is_none());
    assert!(passed::look(std::fs::File::open("/dev/null").unwrap().into(), "x").is_err());
    assert_eq!(passed::look(listener, "x").unwrap().unwrap().port, Some(port));
}
