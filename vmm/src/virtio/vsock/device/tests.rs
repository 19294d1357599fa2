use std::{
    io::{ErrorKind, Read, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    time::Duration,
};

use vm_memory::{Bytes, GuestAddress};

use super::super::{
    BUFFER, HOST_CID, Listener, MAX_CONNECTIONS,
    packet::{HEADER_LEN, Header, SHUTDOWN_BOTH, SHUTDOWN_SEND, TYPE_STREAM, op},
};
use super::*;
use crate::virtio::conformance::{BUFFERS, Buffer, Driver, suite};

suite!(Vsock::new(3, Ports::default()));

const GUEST_CID: u64 = 3;
const PORT: u32 = 1024;
const RX_LEN: u32 = 4096 + HEADER_LEN as u32;
const TX_BUFFERS: u64 = BUFFERS + (4 << 20);

/// A guest's driver, as simple as can be, and the host's listener.
struct Guest {
    driver: Driver,
    listener: Listener,
}

impl Guest {
    fn new() -> Self {
        let ports = Ports::default();
        let listener = ports.listen(PORT).unwrap();
        let driver = Driver::started(Box::new(Vsock::new(GUEST_CID, ports)));
        let mut guest = Guest { driver, listener };
        guest.make_room();
        guest
    }

    /// Fills the receive queue.
    fn make_room(&mut self) {
        for slot in 0..self.driver.rings[RX_QUEUE].size {
            self.make_room_at(slot);
        }
    }

    fn make_room_at(&mut self, slot: u16) {
        let address = BUFFERS + u64::from(slot) * 8192;
        let head = self.driver.add(RX_QUEUE, &[Buffer::writable(address, RX_LEN)]);
        assert_eq!(head, slot);
    }

    fn send(&mut self, guest_port: u32, op: u16, flags: u32, data: &[u8]) {
        let header = Header {
            src_cid: GUEST_CID,
            dst_cid: HOST_CID,
            src_port: guest_port,
            dst_port: PORT,
            len: data.len() as u32,
            kind: TYPE_STREAM,
            op,
            flags,
            buf_alloc: BUFFER,
            fwd_cnt: 0,
        };
        self.send_raw(&header, data);
    }

    fn send_raw(&mut self, header: &Header, data: &[u8]) {
        let bytes = [&header.encode()[..], data].concat();
        self.driver.memory.write_slice(&bytes, GuestAddress(TX_BUFFERS)).unwrap();
        // Header and data each in two pieces, as far as there is data.
        let cuts = [0, 20, HEADER_LEN, HEADER_LEN + data.len() / 2, bytes.len()];
        let buffers: Vec<Buffer> = cuts
            .windows(2)
            .filter(|cut| cut[0] < cut[1])
            .map(|cut| Buffer::readable(TX_BUFFERS + cut[0] as u64, (cut[1] - cut[0]) as u32))
            .collect();
        self.driver.add(TX_QUEUE, &buffers);
        self.driver.wait_used(TX_QUEUE);
    }

    /// The next packet from the device; its buffer goes back to the queue.
    fn receive(&mut self) -> (Header, Vec<u8>) {
        let (slot, len) = self.driver.wait_used(RX_QUEUE);
        let mut bytes = vec![0; len as usize];
        let address = BUFFERS + u64::from(slot) * 8192;
        self.driver.memory.read_slice(&mut bytes, GuestAddress(address)).unwrap();
        let data = bytes.split_off(HEADER_LEN);
        let header = Header::decode(&bytes.try_into().unwrap());
        self.make_room_at(slot as u16);
        assert_eq!(header.dst_cid, GUEST_CID);
        assert_eq!(header.len as usize, data.len());
        (header, data)
    }

    fn receive_op(&mut self) -> (u16, u32) {
        let (header, _) = self.receive();
        (header.op, header.dst_port)
    }

    fn connect(&mut self, guest_port: u32) -> UnixStream {
        self.send(guest_port, op::REQUEST, 0, &[]);
        assert_eq!(self.receive_op(), (op::RESPONSE, guest_port));
        let connection = self.listener.accept().unwrap();
        assert_eq!(connection.guest_port, guest_port);
        connection.stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        connection.stream
    }

    /// Reads until there was a packet with this operation; the data on the way.
    fn receive_until(&mut self, wanted: u16) -> (Header, Vec<u8>) {
        let mut all = Vec::new();
        loop {
            let (header, data) = self.receive();
            all.extend(data);
            if header.op == wanted {
                return (header, all);
            }
        }
    }
}

fn read(stream: &mut UnixStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_connection_from_request_to_reset() {
    let mut guest = Guest::new();
    let mut stream = guest.connect(5000);
    guest.send(5000, op::RW, 0, b"from the guest");
    assert_eq!(read(&mut stream, 14), b"from the guest");
    stream.write_all(b"from the host").unwrap();
    let (header, data) = guest.receive();
    assert_eq!((header.op, header.src_port, &data[..]), (op::RW, PORT, &b"from the host"[..]));
    guest.send(5000, op::SHUTDOWN, SHUTDOWN_SEND, &[]);
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    stream.write_all(b"more").unwrap();
    assert_eq!(guest.receive().1, b"more");
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(guest.receive_op(), (op::SHUTDOWN, 5000));
    guest.send(5000, op::SHUTDOWN, SHUTDOWN_BOTH, &[]);
    assert_eq!(guest.receive_op(), (op::RST, 5000));
    guest.connect(5000);
}

#[test]
fn nobody_listens() {
    let mut guest = Guest::new();
    let request = Header {
        src_cid: GUEST_CID,
        dst_cid: HOST_CID,
        src_port: 1,
        dst_port: 2,
        kind: TYPE_STREAM,
        op: op::REQUEST,
        ..Header::default()
    };
    guest.send_raw(&request, &[]);
    assert_eq!(guest.receive().0, Header { buf_alloc: 0, ..request.reset() });
    // Sockets of another kind, and another host.
    guest.send_raw(&Header { dst_port: PORT, kind: 2, ..request }, &[]);
    assert_eq!(guest.receive().0.kind, 2);
    guest.send_raw(&Header { dst_port: PORT, dst_cid: 9, ..request }, &[]);
    assert_eq!(guest.receive().0.src_cid, 9);
    assert!(guest.listener.accept().is_none());
}

#[test]
fn packets_without_connection_are_reset() {
    let mut guest = Guest::new();
    for operation in [op::RW, op::SHUTDOWN, op::CREDIT_UPDATE, op::RESPONSE, 0, 99] {
        guest.send(7, operation, 0, &[]);
        assert_eq!(guest.receive_op(), (op::RST, 7));
    }
    // A reset is not answered, or two hosts could go on for ever.
    guest.send(7, op::RST, 0, &[]);
    guest.send(8, op::RW, 0, b"x");
    assert_eq!(guest.receive_op(), (op::RST, 8));
}

#[test]
fn a_second_request_resets_the_connection() {
    let mut guest = Guest::new();
    let mut stream = guest.connect(1);
    guest.send(1, op::REQUEST, 0, &[]);
    assert_eq!(guest.receive_op(), (op::RST, 1));
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_host_that_closes_ends_the_connection() {
    let mut guest = Guest::new();
    let mut stream = guest.connect(1);
    stream.write_all(b"bye").unwrap();
    drop(stream);
    let mut data = Vec::new();
    let flags = loop {
        let (header, more) = guest.receive();
        data.extend(more);
        if header.op == op::SHUTDOWN && header.flags == SHUTDOWN_BOTH {
            break header.flags;
        }
    };
    assert_eq!((flags, &data[..]), (SHUTDOWN_BOTH, &b"bye"[..]));
    guest.send(1, op::RST, 0, &[]);
    guest.connect(1);
}

#[test]
fn much_data_to_the_guest_waits_for_credit() {
    let mut guest = Guest::new();
    let mut stream = guest.connect(1);
    let data: Vec<u8> = (0..2 * BUFFER).map(|i| (i / 7) as u8).collect();
    let sent = data.clone();
    let writer = std::thread::spawn(move || stream.write_all(&sent).map(|()| stream));
    let (request, mut received) = guest.receive_until(op::CREDIT_REQUEST);
    assert_eq!((request.dst_port, received.len()), (1, BUFFER as usize));
    let update = Header {
        src_cid: GUEST_CID,
        dst_cid: HOST_CID,
        src_port: 1,
        dst_port: PORT,
        kind: TYPE_STREAM,
        op: op::CREDIT_UPDATE,
        buf_alloc: BUFFER,
        fwd_cnt: BUFFER,
        ..Header::default()
    };
    guest.send_raw(&update, &[]);
    while received.len() < data.len() {
        received.extend(guest.receive().1);
    }
    assert!(received == data);
    drop(writer.join().unwrap().unwrap());
}

#[test]
fn much_data_to_the_host_is_credited() {
    let mut guest = Guest::new();
    let stream = guest.connect(1);
    let mut reader = stream.try_clone().unwrap();
    let total = 8 * BUFFER as usize;
    let read = std::thread::spawn(move || read(&mut reader, total));
    let chunk = vec![5; 32 * 1024];
    let (mut sent, mut credited) = (0, 0);
    while sent < total {
        while sent - credited + chunk.len() > BUFFER as usize {
            let (header, _) = guest.receive();
            assert_eq!(header.op, op::CREDIT_UPDATE);
            credited = header.fwd_cnt as usize;
        }
        guest.send(1, op::RW, 0, &chunk);
        sent += chunk.len();
    }
    assert!(read.join().unwrap().iter().all(|byte| *byte == 5));
}

#[test]
fn connections_take_turns() {
    let mut guest = Guest::new();
    let (mut one, mut two) = (guest.connect(1), guest.connect(2));
    one.set_nonblocking(true).unwrap();
    let full = std::iter::repeat_with(|| one.write(&[0; 4096])).find_map(Result::err);
    assert_eq!(full.unwrap().kind(), ErrorKind::WouldBlock);
    two.write_all(b"short").unwrap();
    let (header, _) =
        std::iter::from_fn(|| Some(guest.receive())).find(|(_, data)| data == b"short").unwrap();
    assert_eq!(header.dst_port, 2);
}

#[test]
fn connections_are_limited() {
    let mut guest = Guest::new();
    let kept: Vec<_> = (0..MAX_CONNECTIONS as u32).map(|port| guest.connect(port)).collect();
    guest.send(100_000, op::REQUEST, 0, &[]);
    assert_eq!(guest.receive_op(), (op::RST, 100_000));
    drop(kept);
    guest.send(0, op::RST, 0, &[]);
    while guest.receive_op() != (op::SHUTDOWN, MAX_CONNECTIONS as u32 - 1) {}
    guest.send(200_000, op::REQUEST, 0, &[]);
    while guest.receive_op() != (op::RESPONSE, 200_000) {}
}

#[test]
fn a_reset_device_closes_its_connections() {
    let mut guest = Guest::new();
    for _ in 0..3 {
        let mut stream = guest.connect(1);
        guest.driver.reset();
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
        guest.driver.start();
        guest.make_room();
    }
}

#[test]
fn a_guest_that_makes_no_room_does_not_stop_its_own_sending() {
    let mut guest = Guest::new();
    guest.driver.reset();
    guest.driver.start();
    for port in 0..1000 {
        guest.send(port, op::RW, 0, b"x");
    }
    guest.make_room();
    for port in 0..200 {
        assert_eq!(guest.receive_op(), (op::RST, port));
    }
}
