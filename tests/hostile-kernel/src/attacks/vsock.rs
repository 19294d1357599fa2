//! Packets to the socket device. The host listens on four ports: the agent's, and three for streams.

use hostile_kernel::{
    descriptor::Descriptor,
    outcome::Outcome,
    random::Random,
    vsock::{HEADER, Header, op},
};

use super::Table;
use crate::machine::{Guest, PATIENCE, Queue, kind, ram, within};

pub(super) const ATTACKS: Table = &[
    ("vsock-wrong-addresses", wrong_addresses),
    ("vsock-lengths", lengths),
    ("vsock-any-packet", any_packet),
    ("vsock-thousands-of-connections", thousands_of_connections),
    ("vsock-never-read", never_read),
    ("vsock-sound-connection", sound_connection),
    ("agent-two-controls", agent_two_controls),
    ("agent-frame-of-4g", agent_frame_of_4g),
    ("agent-rubbish", agent_rubbish),
    ("agent-stream-of-nobody", agent_stream_of_nobody),
    ("agent-streams", agent_streams),
];

/// Ports of the host: the agent's, that of apps' streams, and those where what was not announced is closed at once.
const CONTROL: u32 = 1024;
const STREAM: u32 = 1025;
const COMMAND: u32 = 1026;
const ACCEPTED: u32 = 1027;
/// How long packets are waited for that may not come: a tenth of a second.
const MOMENT: u64 = 300_000_000;
/// Bytes of a packet.
const PACKET: u32 = 4096;
/// How many connections are asked for.
const MANY: u32 = 5000;

/// The device, with room for packets of the host's.
struct Socket {
    rx: Queue,
    tx: Queue,
}

impl Socket {
    fn open(guest: &Guest) -> Self {
        let mut socket = Socket::deaf(guest);
        for index in 0..socket.rx.size() {
            socket.rx.put(index, Descriptor::write(buffer(index), PACKET));
            socket.rx.offer(index);
        }
        socket.rx.notify();
        socket
    }

    /// Without room for anything.
    fn deaf(guest: &Guest) -> Self {
        let [rx, tx, _events] = guest.device(kind::VSOCK).start();
        Socket { rx, tx }
    }

    /// Sends a packet; whether the device took it.
    fn send(&mut self, header: &Header, payload: &[u8]) -> bool {
        ram::write(ram::REQUESTS, &header.bytes());
        ram::write(ram::REQUESTS + HEADER as u64, payload);
        let whole = Descriptor::read(ram::REQUESTS, (HEADER + payload.len()) as u32);
        self.tx.exchange(&[whole]).is_some()
    }

    /// Waits so long for the next packet of the host's: its operation, and the port of ours it is for.
    fn receive(&mut self, cycles: u64) -> Option<(u16, u32)> {
        let used = within(cycles, || self.rx.poll())?;
        let packet = ram::read(buffer(used.head as u16));
        self.rx.offer(used.head as u16);
        self.rx.notify();
        Some((Header::op_of(&packet), Header::destination_of(&packet)))
    }

    /// Opens a connection: the answer.
    fn connect(&mut self, from: u32, to: u32) -> Option<u16> {
        self.send(&Header::new(op::REQUEST, from, to), &[]);
        loop {
            let (operation, port) = self.receive(PATIENCE)?;
            if port == from {
                return Some(operation);
            }
        }
    }
}

fn buffer(index: u16) -> u64 {
    ram::ANSWERS + u64::from(index) * u64::from(PACKET)
}

fn said(operation: Option<u16>) -> Outcome {
    match operation {
        Some(op::RESPONSE) => Outcome::Is("accepted"),
        Some(op::RST) => Outcome::Is("refused"),
        Some(_) => Outcome::Is("something else"),
        None => Outcome::Silence,
    }
}

fn sound_connection(guest: &mut Guest) -> Outcome {
    let mut socket = Socket::open(guest);
    said(socket.connect(5, ACCEPTED))
}

/// From others, to others, to ports where nobody listens, of other types. What comes back are resets at most.
fn wrong_addresses(guest: &mut Guest) -> Outcome {
    let mut socket = Socket::open(guest);
    let request = Header::new(op::REQUEST, 6, STREAM);
    let packets = [
        Header { src_cid: 2, ..request },
        Header { src_cid: u64::MAX, ..request },
        Header { dst_cid: 3, ..request },
        Header { dst_cid: u64::MAX, ..request },
        Header { dst_port: 22, ..request },
        Header { dst_port: u32::MAX, ..request },
        Header { kind: 2, ..request },
        Header { kind: u16::MAX, ..request },
        Header { op: u16::MAX, ..request },
        Header { op: op::RESPONSE, ..request },
    ];
    for packet in &packets {
        socket.send(packet, &[]);
    }
    let mut others = 0;
    let mut resets = 0;
    while let Some((operation, _)) = socket.receive(MOMENT) {
        if operation == op::RST { resets += 1 } else { others += 1 }
    }
    Outcome::Counts(others, resets)
}

/// Packets that say they are longer than they are, or are shorter than a header.
fn lengths(guest: &mut Guest) -> Outcome {
    let mut socket = Socket::open(guest);
    if socket.connect(7, ACCEPTED) != Some(op::RESPONSE) {
        return Outcome::Is("no connection");
    }
    let mut taken = 0;
    for len in [1, 5000, 1 << 16, (1 << 16) + 1, u32::MAX] {
        taken += u64::from(socket.send(&Header { len, ..Header::new(op::RW, 7, ACCEPTED) }, &[]));
    }
    for length in [0, 1, 43] {
        taken += u64::from(socket.tx.exchange(&[Descriptor::read(ram::REQUESTS, length)]).is_some());
    }
    ram::write(ram::REQUESTS, &Header { len: u32::MAX, ..Header::new(op::RW, 7, ACCEPTED) }.bytes());
    let beyond = [Descriptor::read(ram::REQUESTS, 44), Descriptor::read(ram::REQUESTS, u32::MAX)];
    taken += u64::from(socket.tx.exchange(&beyond).is_some());
    Outcome::Count(taken)
}

fn any_packet(guest: &mut Guest) -> Outcome {
    let mut socket = Socket::open(guest);
    let mut random = Random::new(3);
    for _ in 0..2000 {
        let number = random.number();
        let packet = Header {
            src_cid: random.one_of(&[3, 3, 3, number]),
            dst_cid: random.one_of(&[2, 2, 2, number]),
            src_port: random.below(8) as u32,
            dst_port: random.one_of(&[COMMAND, ACCEPTED, number as u32]),
            len: random.one_of(&[0, 16, number as u32]),
            kind: random.one_of(&[1, 1, 1, number as u16]),
            op: random.below(9) as u16,
            flags: (number >> 8) as u32 & 3,
            buf_alloc: random.one_of(&[0, 4096, u32::MAX]),
            fwd_cnt: random.one_of(&[0, number as u32, u32::MAX]),
        };
        if !socket.send(&packet, &[]) {
            return Outcome::Silence;
        }
        while socket.receive(0).is_some() {}
    }
    sound_connection(guest)
}

/// More connections than there can be: the rest are refused.
fn thousands_of_connections(guest: &mut Guest) -> Outcome {
    let mut socket = Socket::open(guest);
    let (mut through, mut refused) = (0, 0);
    for port in 0..MANY {
        match socket.connect(10_000 + port, ACCEPTED) {
            Some(op::RESPONSE) => through += 1,
            _ => refused += 1,
        }
    }
    Outcome::Counts(through, refused)
}

/// Answers for which there is never room, of ports where somebody listens and others.
fn never_read(guest: &mut Guest) -> Outcome {
    let mut socket = Socket::deaf(guest);
    let request =
        |number| Header::new(op::REQUEST, 20_000 + number, if number % 2 == 0 { ACCEPTED } else { 4 });
    let taken = (0..MANY).filter(|number| socket.send(&request(*number), &[]));
    Outcome::Count(taken.count() as u64)
}

fn agent_two_controls(guest: &mut Guest) -> Outcome {
    let mut socket = Socket::open(guest);
    socket.connect(1, CONTROL);
    said(socket.connect(2, CONTROL))
}

/// Says these bytes where the agent would.
fn speak(guest: &Guest, port: u32, bytes: &[u8]) -> Outcome {
    let mut socket = Socket::open(guest);
    let accepted = said(socket.connect(1, port));
    socket.send(&Header { len: bytes.len() as u32, ..Header::new(op::RW, 1, port) }, bytes);
    // What follows from it happens on the host.
    socket.receive(10 * MOMENT);
    accepted
}

fn agent_frame_of_4g(guest: &mut Guest) -> Outcome {
    speak(guest, CONTROL, &[0xff; 64])
}

fn agent_rubbish(guest: &mut Guest) -> Outcome {
    speak(guest, CONTROL, b"\x10\x00\x00\x00{\"finished\": [[[")
}

fn agent_stream_of_nobody(guest: &mut Guest) -> Outcome {
    speak(guest, STREAM, &[0xff; 64])
}

/// More streams than the pod's apps have.
fn agent_streams(guest: &mut Guest) -> Outcome {
    let mut socket = Socket::open(guest);
    let through = (1..100).filter(|port| socket.connect(*port, STREAM) == Some(op::RESPONSE)).count() as u64;
    Outcome::Counts(through, 99 - through)
}
