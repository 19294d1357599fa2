use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};

use agent::protocol::AcceptedHeader;

use super::*;

/// The number of the next connection the guest is told of.
fn next_connection(control: &mut UnixStream) -> u32 {
    let HostMessage::Accepted { connection, app, socket } = hear(control) else { panic!("no connection") };
    assert_eq!((app.as_str(), socket), ("web", 0));
    connection
}

fn listen() -> (OwnedFd, impl Fn() -> TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    (listener.into(), move || TcpStream::connect(address).unwrap())
}

fn all(mut stream: impl Read) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
pub fn connections_wait_for_the_pod_and_are_carried_both_ways() {
    let (listener, connect) = listen();
    let sockets = HostSockets::of(&manifest(&["web"]), vec![("http", listener)]).unwrap();
    let (result, answer) = play_with(&["web"], sockets, |script| {
        let mut early = connect();
        early.write_all(b"question").unwrap();
        early.shutdown(Shutdown::Write).unwrap();
        let mut control = script.say_hello();
        send(&mut control, GuestMessage::AppStarted { app: "web".into(), pid: 2 });
        send(&mut control, GuestMessage::Ready);
        let connection = next_connection(&mut control);
        // Connections that nobody made are closed.
        let mut unasked = script.connect(ACCEPTED_PORT);
        write_frame(&mut unasked, &AcceptedHeader { connection: connection + 7 }).unwrap();
        assert_eq!(all(unasked), "");
        let mut carried = script.connect(ACCEPTED_PORT);
        write_frame(&mut carried, &AcceptedHeader { connection }).unwrap();
        assert_eq!(all(&carried), "question");
        // A second client, while the first is served, that is gone when its answer comes.
        let second = connect();
        let mut abandoned = script.connect(ACCEPTED_PORT);
        write_frame(&mut abandoned, &AcceptedHeader { connection: next_connection(&mut control) }).unwrap();
        drop(second);
        assert_eq!(all(&abandoned), "");
        exit(&mut control, "web", 0);
        send(&mut control, GuestMessage::Finished { status: 0 });
        // What is sent after the end still arrives.
        carried.write_all(b"answer").unwrap();
        drop((carried, abandoned));
        all(early)
    });
    assert_eq!(result.unwrap(), Ending::Status(0));
    assert_eq!(answer, "answer");
}

#[test]
fn a_pod_that_is_asked_to_end_accepts_no_more() {
    let (listener, connect) = listen();
    let ours = listener.try_clone().unwrap();
    let sockets = HostSockets::of(&manifest(&["web"]), vec![("http", listener)]).unwrap();
    let (result, _late) = play_with(&["web"], sockets, |script| {
        let mut control = script.say_hello();
        send(&mut control, GuestMessage::Ready);
        script.signal(SIGTERM);
        assert_eq!(hear(&mut control), HostMessage::Stop { grace_ms: 10_000 });
        let late = connect();
        exit(&mut control, "web", 0);
        send(&mut control, GuestMessage::Finished { status: 0 });
        late
    });
    assert_eq!(result.unwrap(), Ending::Status(0));
    // It waits for whoever runs next.
    assert!(TcpListener::from(ours).accept().is_ok());
}
