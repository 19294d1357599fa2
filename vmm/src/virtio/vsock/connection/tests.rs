use std::{io::Read, time::Duration};

use proptest::prelude::*;

use super::*;

const PEER_BUFFER: u32 = 64 * 1024;

/// A connection together with both its neighbours: the guest, played by the methods, and the host's socket.
struct Fixture {
    connection: Connection,
    host: UnixStream,
    guest_received: u32,
}

impl Fixture {
    fn new() -> Self {
        let (ours, host) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        host.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let request = Header { op: op::REQUEST, buf_alloc: PEER_BUFFER, ..Header::default() };
        Fixture {
            connection: Connection::new(ours, &request, UnreadBytes::default()),
            host,
            guest_received: 0,
        }
    }

    /// With the response already sent.
    fn established() -> Self {
        let mut fixture = Fixture::new();
        assert_eq!(fixture.next(0).unwrap().0.op, op::RESPONSE);
        fixture
    }

    fn guest(&mut self, op: u16, flags: u32, data: &[u8]) -> Result<(), Violation> {
        let mut data = data.to_vec();
        let header = Header {
            op,
            flags,
            len: data.len() as u32,
            buf_alloc: PEER_BUFFER,
            fwd_cnt: self.guest_received,
            ..Header::default()
        };
        self.connection.receive(&header, &[VolatileSlice::from(&mut data[..])])
    }

    /// The next packet, with its data.
    fn next(&mut self, room: usize) -> Option<(Header, Vec<u8>)> {
        let mut buffer = vec![0; room];
        let header = self.connection.next_packet(&[VolatileSlice::from(&mut buffer[..])])?;
        buffer.truncate(header.len as usize);
        Some((header, buffer))
    }

    fn poll(&mut self) {
        let mut poll = libc::pollfd {
            fd: self.connection.as_raw_fd(),
            events: self.connection.interest().map_or(0, |events| events.bits() as i16),
            revents: 0,
        };
        // SAFETY: one valid pollfd, no waiting.
        if unsafe { libc::poll(&mut poll, 1, 0) } == 1 {
            self.connection.socket_ready(EventSet::from_bits_truncate(poll.revents as u32));
        }
    }

    fn host_reads(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.host.read_exact(&mut bytes).unwrap();
        bytes
    }

    fn host_reads_to_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.host.read_to_end(&mut bytes).unwrap();
        bytes
    }
}

#[test]
fn data_goes_both_ways() {
    let mut fixture = Fixture::established();
    assert!(!fixture.connection.has_packet());
    fixture.guest(op::RW, 0, b"hello").unwrap();
    assert_eq!(fixture.host_reads(5), b"hello");
    fixture.host.write_all(b"world").unwrap();
    fixture.poll();
    assert!(fixture.connection.has_packet());
    let (header, data) = fixture.next(100).unwrap();
    assert_eq!((header.op, header.fwd_cnt, header.buf_alloc), (op::RW, 5, BUFFER));
    assert_eq!(data, b"world");
    assert!(fixture.next(100).is_none());
}

#[test]
fn data_waits_for_the_response() {
    let mut fixture = Fixture::new();
    fixture.host.write_all(b"x").unwrap();
    fixture.poll();
    assert_eq!(fixture.next(100).unwrap().0.op, op::RESPONSE);
    assert_eq!(fixture.next(100).unwrap().0.op, op::RW);
}

#[test]
fn the_guests_end_of_data_follows_its_data() {
    let mut fixture = Fixture::established();
    let data = vec![7; BUFFER as usize];
    for chunk in data.chunks(MAX_PAYLOAD as usize) {
        fixture.guest(op::RW, 0, chunk).unwrap();
    }
    fixture.guest(op::SHUTDOWN, SHUTDOWN_SEND, &[]).unwrap();
    let mut host = fixture.host.try_clone().unwrap();
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        host.read_to_end(&mut bytes).map(|_| bytes)
    });
    while !reader.is_finished() {
        fixture.poll();
    }
    assert_eq!(reader.join().unwrap().unwrap(), data);
    // The other direction is still open.
    fixture.host.write_all(b"x").unwrap();
    fixture.poll();
    assert!(
        std::iter::from_fn(|| fixture.next(100)).any(|(header, data)| header.op == op::RW && data == b"x")
    );
}

#[test]
fn the_hosts_end_of_data_follows_its_data() {
    let mut fixture = Fixture::established();
    fixture.host.write_all(b"last").unwrap();
    fixture.host.shutdown(Shutdown::Write).unwrap();
    fixture.poll();
    assert_eq!(fixture.next(100).unwrap().1, b"last");
    fixture.poll();
    let (header, _) = fixture.next(100).unwrap();
    assert_eq!((header.op, header.flags), (op::SHUTDOWN, SHUTDOWN_SEND));
    assert!(!fixture.connection.has_packet());
    fixture.guest(op::RW, 0, b"reply").unwrap();
    assert_eq!(fixture.host_reads(5), b"reply");
    assert_eq!(fixture.connection.interest(), Some(EventSet::empty()));
}

#[test]
fn a_host_that_closed_shuts_both_directions() {
    let mut fixture = Fixture::established();
    fixture.host.write_all(b"last").unwrap();
    let connection = &mut fixture.connection;
    drop(fixture.host);
    let mut room = [0; 100];
    connection.socket_ready(EventSet::IN | EventSet::HANG_UP);
    let mut next = || connection.next_packet(&[VolatileSlice::from(&mut room[..])]);
    assert_eq!(next().unwrap().len, 4);
    assert_eq!(next().unwrap().flags, SHUTDOWN_RECEIVE);
    connection.socket_ready(EventSet::IN | EventSet::HANG_UP);
    let header = connection.next_packet(&[VolatileSlice::from(&mut room[..])]).unwrap();
    assert_eq!((header.op, header.flags), (op::SHUTDOWN, SHUTDOWN_BOTH));
    assert_eq!(connection.interest(), None, "nothing to wait for, so nothing to spin on");
    connection.receive(&Header { op: op::RST, ..Header::default() }, &[]).unwrap();
    assert!(connection.is_finished());
}

#[test]
fn data_for_a_closed_host_is_dropped_and_credited() {
    let mut fixture = Fixture::established();
    fixture.host = UnixStream::pair().unwrap().0;
    for _ in 0..2 * BUFFER / MAX_PAYLOAD {
        fixture.guest(op::RW, 0, &vec![0; MAX_PAYLOAD as usize]).unwrap();
    }
    assert_eq!(fixture.connection.forwarded, 2 * BUFFER);
    assert!(fixture.connection.has_packet());
    assert_eq!(fixture.next(0).unwrap().0.flags, SHUTDOWN_RECEIVE);
}

#[test]
fn a_closing_guest_is_reset_after_its_data() {
    let mut fixture = Fixture::established();
    for _ in 0..BUFFER / MAX_PAYLOAD {
        fixture.guest(op::RW, 0, &vec![1; MAX_PAYLOAD as usize]).unwrap();
    }
    assert!(!fixture.connection.pending.is_empty(), "the socket takes less than the buffer holds");
    fixture.guest(op::SHUTDOWN, SHUTDOWN_BOTH, &[]).unwrap();
    assert!(!fixture.connection.is_finished());
    let mut read = 0;
    while !fixture.connection.pending.is_empty() {
        read += fixture.host_reads(4096).len();
        fixture.poll();
    }
    read += fixture.host_reads_to_end().len();
    assert_eq!(read, BUFFER as usize);
    assert_eq!(fixture.next(0).unwrap().0.op, op::RST);
    assert!(fixture.connection.is_finished());
}

#[test]
fn a_reset_from_the_guest_does_not_lose_data() {
    let mut fixture = Fixture::established();
    for _ in 0..BUFFER / MAX_PAYLOAD {
        fixture.guest(op::RW, 0, &vec![1; MAX_PAYLOAD as usize]).unwrap();
    }
    fixture.guest(op::RST, 0, &[]).unwrap();
    assert!(fixture.connection.is_reset() && !fixture.connection.is_finished());
    assert!(!fixture.connection.has_packet());
    let mut read = 0;
    while !fixture.connection.is_finished() {
        read += fixture.host_reads(4096).len();
        fixture.poll();
    }
    let Fixture { connection, mut host, .. } = fixture;
    drop(connection);
    assert_eq!(read + host.read_to_end(&mut Vec::new()).unwrap(), BUFFER as usize);
}

#[test]
fn a_guest_without_credit_is_not_sent_to() {
    let mut fixture = Fixture::established();
    fixture.host.write_all(&vec![0; PEER_BUFFER as usize + 10]).unwrap();
    fixture.poll();
    let mut sent = 0;
    while sent < PEER_BUFFER {
        sent += fixture.next(4096).unwrap().0.len;
    }
    assert_eq!(sent, PEER_BUFFER);
    assert_eq!(fixture.next(4096).unwrap().0.op, op::CREDIT_REQUEST);
    assert!(fixture.next(4096).is_none(), "one question is enough");
    assert_eq!(fixture.connection.interest(), Some(EventSet::empty()));
    fixture.guest_received = 5;
    fixture.guest(op::CREDIT_UPDATE, 0, &[]).unwrap();
    assert_eq!(fixture.next(4096).unwrap().0.len, 5);
}

#[test]
fn credit_is_given_back_as_the_host_reads() {
    let mut fixture = Fixture::established();
    fixture.guest(op::RW, 0, &vec![0; MAX_PAYLOAD as usize]).unwrap();
    fixture.host_reads(MAX_PAYLOAD as usize);
    assert!(!fixture.connection.has_packet());
    fixture.guest(op::RW, 0, &vec![0; MAX_PAYLOAD as usize]).unwrap();
    fixture.host_reads(MAX_PAYLOAD as usize);
    let (header, _) = fixture.next(0).unwrap();
    assert_eq!((header.op, header.fwd_cnt), (op::CREDIT_UPDATE, CREDIT_UPDATE_STEP));
    fixture.guest(op::CREDIT_REQUEST, 0, &[]).unwrap();
    assert_eq!(fixture.next(0).unwrap().0.op, op::CREDIT_UPDATE);
}

#[test]
fn a_guest_that_overdraws_is_caught() {
    let mut fixture = Fixture::established();
    let mut sent = 0;
    let violation = loop {
        match fixture.guest(op::RW, 0, &vec![0; MAX_PAYLOAD as usize]) {
            Ok(()) => sent += MAX_PAYLOAD,
            Err(violation) => break violation,
        }
        assert!(sent <= 4 * BUFFER);
    };
    assert!(matches!(violation, Violation::Credit(_)));
    fixture.connection.abort();
    assert_eq!(fixture.next(0).unwrap().0.op, op::RST);
    assert!(fixture.connection.is_finished());
}

#[test]
fn broken_protocol_is_caught() {
    let mut fixture = Fixture::established();
    assert_eq!(fixture.guest(op::REQUEST, 0, &[]), Err(Violation::Operation(op::REQUEST)));
    fixture.guest(op::SHUTDOWN, SHUTDOWN_SEND, &[]).unwrap();
    assert_eq!(fixture.guest(op::RW, 0, b"x"), Err(Violation::DataAfterShutdown));
}

#[test]
fn a_guest_that_stops_receiving_is_not_sent_to() {
    let mut fixture = Fixture::established();
    fixture.host.write_all(b"x").unwrap();
    fixture.poll();
    fixture.guest(op::SHUTDOWN, SHUTDOWN_RECEIVE, &[]).unwrap();
    assert!(!fixture.connection.has_packet());
    assert!(fixture.host.write_all(b"y").is_err());
}

#[derive(Debug, Clone)]
enum Step {
    Guest { op: u16, flags: u32, len: usize, buf_alloc: u32, fwd_cnt: u32 },
    HostWrites(usize),
    HostReads(usize),
    HostShutsDown,
    Poll,
    Next(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0u16..9, 0u32..5, 0usize..40_000, any::<u32>(), any::<u32>()).prop_map(
            |(op, flags, len, buf_alloc, fwd_cnt)| Step::Guest { op, flags, len, buf_alloc, fwd_cnt }
        ),
        (0usize..30_000, any::<u16>()).prop_map(|(len, credit)| Step::Guest {
            op: op::RW,
            flags: 0,
            len,
            buf_alloc: u32::from(credit),
            fwd_cnt: 0
        }),
        (1usize..5000).prop_map(Step::HostWrites),
        (1usize..50_000).prop_map(Step::HostReads),
        Just(Step::HostShutsDown),
        Just(Step::Poll),
        (0usize..9000).prop_map(Step::Next),
    ]
}

proptest! {
    /// Whatever guest and host do: nothing panics, the guest gets no more than it allows, what waits for the host
    /// stays bounded, and the host reads what the guest sent and nothing else.
    #[test]
    fn any_sequence_is_survived(steps in prop::collection::vec(step(), 1..80)) {
        let mut fixture = Fixture::new();
        fixture.host.set_nonblocking(true).unwrap();
        let (mut written, mut read) = (0usize, 0usize);
        for step in steps {
            match step {
                Step::Guest { op, flags, len, buf_alloc, fwd_cnt } => {
                    let len = if op == op::RW { len } else { 0 };
                    let mut data: Vec<u8> = (written..written + len).map(|i| i as u8).collect();
                    let header = Header { op, flags, len: len as u32, buf_alloc, fwd_cnt, ..Header::default() };
                    let slice = VolatileSlice::from(&mut data[..]);
                    match fixture.connection.receive(&header, &[slice]) {
                        Ok(()) => written += len,
                        Err(_) => fixture.connection.abort(),
                    }
                }
                Step::HostWrites(len) => drop(fixture.host.write(&vec![9; len])),
                Step::HostReads(len) => {
                    let mut bytes = vec![0; len];
                    let count = fixture.host.read(&mut bytes).unwrap_or(0);
                    for (at, byte) in bytes[..count].iter().enumerate() {
                        prop_assert_eq!(*byte, (read + at) as u8);
                    }
                    read += count;
                }
                Step::HostShutsDown => drop(fixture.host.shutdown(Shutdown::Write)),
                Step::Poll => fixture.poll(),
                Step::Next(room) => {
                    let credit = fixture.connection.credit();
                    let had = fixture.connection.has_packet();
                    if let Some((header, _)) = fixture.next(room) {
                        prop_assert!(had);
                        prop_assert!(header.op == op::RW || header.len == 0);
                        prop_assert!(header.len <= credit);
                    }
                }
            }
            prop_assert!(fixture.connection.pending.len() <= BUFFER as usize);
            prop_assert!(read <= written);
        }
    }
}
