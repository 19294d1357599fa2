//! Apps that start with sockets on which the host listens.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use agent::protocol::{SocketFamily, SocketSpec};

use super::host::PodUnderTest;

/// Tells what it starts with; answers each of two connections, one per socket, with what it reads, reversed.
const SERVER: &str = r#"
    $| = 1;
    print "own\n" if $ENV{LISTEN_PID} == $$;
    print "$ENV{LISTEN_FDS} $ENV{LISTEN_FDNAMES} $ENV{HOME}\n";
    for my $place (3, 4) {
        open(my $listener, "+<&=", $place) or die "no socket $place: $!";
        accept(my $connection, $listener) or die "accept: $!";
        my $asked = join "", <$connection>;
        print {$connection} scalar reverse $asked;
        close $connection;
    }
    print "served\n";
    sleep 1000;
"#;

fn spec(name: &str, family: SocketFamily) -> SocketSpec {
    SocketSpec { name: name.into(), family }
}

/// Sends all of `question` and reads the answer to its end.
fn ask(stream: &mut UnixStream, question: &[u8]) -> Vec<u8> {
    stream.write_all(question).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

#[test]
fn what_connects_to_the_host_reaches_the_app() {
    let mut pod = PodUnderTest::new().app("web", &["/usr/bin/perl", "-e", SERVER]);
    pod.sockets = vec![spec("http", SocketFamily::Tcp), spec("admin", SocketFamily::Unix)];
    let outcome = pod.run_with(|hands| {
        let long: Vec<u8> = (0..1_000_000u32).map(|index| (index % 251) as u8).collect();
        let reversed: Vec<u8> = long.iter().rev().copied().collect();
        let mut first = hands.accepted(1, "web", 0);
        // As nobody reads while it is written, more than all buffers hold would wait for ever: this reads it all first.
        assert!(ask(&mut first, &long) == reversed, "not what was sent");
        assert_eq!(ask(&mut hands.accepted(2, "web", 1), b"unix"), b"xinu");
        // What cannot be had is answered with an end.
        assert_eq!(ask(&mut hands.accepted(3, "web", 2), b""), b"");
        assert_eq!(ask(&mut hands.accepted(4, "nobody", 0), b""), b"");
        hands.wait_for("served");
        hands.send(&agent::protocol::HostMessage::Stop { grace_ms: 1000 });
    });
    let said = outcome.stream("web", agent::protocol::StreamKind::Stdout);
    assert_eq!(said, "own\n2 http:admin /root\nserved\n");
    assert_eq!(outcome.status, 128 + 15);
}

#[test]
fn an_app_that_ends_ends_its_connections() {
    let mut pod =
        PodUnderTest::new().app("web", &["/bin/sh", "-c", "echo up; read -r line <&0; exec sleep 1000"]);
    pod.sockets = vec![spec("http", SocketFamily::Tcp)];
    let outcome = pod.run_with(|hands| {
        hands.wait_for("up");
        let mut waiting = hands.accepted(1, "web", 0);
        waiting.write_all(b"hello").unwrap();
        hands.send(&agent::protocol::HostMessage::Stop { grace_ms: 1000 });
        // Reset or ended, but not left open.
        let _ = waiting.read_to_end(&mut Vec::new());
    });
    assert_eq!(outcome.status, 128 + 15);
}
