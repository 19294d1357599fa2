//! From the tap to the guest.

use std::time::Duration;

use virtio_bindings::virtio_net::VIRTIO_NET_F_MRG_RXBUF;
use vm_memory::{Bytes, GuestAddress};

use super::{
    super::*,
    alone, cabled, data_paths, started,
    wire::{Wire, frame},
    worker_time,
};
use crate::virtio::{
    conformance::{BUFFERS, Buffer, Driver},
    net::{HEADER_LEN, NUM_BUFFERS},
};

pub const RX: usize = 0;
/// Where buffers for packets begin, and how far they are apart.
const FIRST: u64 = BUFFERS + (1 << 20);
const DISTANCE: u64 = 0x12000;

/// A packet as the guest got it.
#[derive(Debug)]
pub struct Packet {
    pub header: [u8; HEADER_LEN],
    pub frame: Vec<u8>,
    /// Bytes written to each buffer.
    pub parts: Vec<u32>,
}

/// Offers buffers of these sizes, each a chain of its own, which must be the first since the device was started.
pub fn offer(driver: &mut Driver, queue: usize, sizes: &[u32]) {
    for (index, &size) in (0..).zip(sizes) {
        let head = driver.add(queue, &[Buffer::writable(FIRST + index * DISTANCE, size)]);
        assert_eq!(u64::from(head), index);
    }
}

/// Waits for a packet in the buffers of `offer`.
pub fn take(driver: &mut Driver, queue: usize) -> Packet {
    let mut bytes = Vec::new();
    let mut parts = Vec::new();
    loop {
        let (head, written) = driver.wait_used(queue);
        let mut part = vec![0; written as usize];
        let at = GuestAddress(FIRST + u64::from(head) * DISTANCE);
        driver.memory.read_slice(&mut part, at).unwrap();
        bytes.extend(part);
        parts.push(written);
        let count = u16::from_le_bytes([bytes[NUM_BUFFERS], bytes[NUM_BUFFERS + 1]]);
        if parts.len() == usize::from(count) {
            let frame = bytes.split_off(HEADER_LEN);
            return Packet { header: bytes.try_into().unwrap(), frame, parts };
        }
        assert!(parts.len() < usize::from(count), "The packet has {count} buffers");
    }
}

/// A TCP segment of 60,000 bytes for a network that takes 1448 at a time, with its virtio header.
fn large_segment() -> (Vec<u8>, Vec<u8>) {
    const TCP_AT: u16 = 34;
    let mut header = vec![1, 1];
    for field in [54, 1448, TCP_AT, 16_u16] {
        header.extend(field.to_le_bytes());
    }
    let mut frame = frame(20 + 20 + 60_000);
    frame[12..14].copy_from_slice(&[8, 0]);
    let length = (frame.len() - 14) as u16;
    frame[14..34].copy_from_slice(&[0x45, 0, 0, 0, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    frame[16..18].copy_from_slice(&length.to_be_bytes());
    frame[34..54].copy_from_slice(&[0, 80, 0, 81, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 1, 0, 0, 0, 0, 0]);
    (header, frame)
}

#[test]
fn packets_reach_the_guest() {
    for make in data_paths() {
        let Some((mut driver, wire)) = started(1, make) else { return };
        offer(&mut driver, RX, &[2048; 60]);
        for length in [46, 1500, 60] {
            wire.send(&frame(length));
            let packet = take(&mut driver, RX);
            assert_eq!(packet.frame, frame(length));
            assert_eq!(packet.header, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
        }
        assert_eq!(driver.wait_interrupt() & 1, 1);
    }
}

#[test]
fn a_large_segment_fills_several_buffers() {
    for make in data_paths() {
        let Some((mut driver, wire)) = started(1, make) else { return };
        let sizes: Vec<u32> = (0..64).map(|index| [4096, 1526, 700][index % 3]).collect();
        offer(&mut driver, RX, &sizes);
        let (header, frame) = large_segment();
        wire.send_segment(&[&header[..], &frame].concat());
        let packet = take(&mut driver, RX);
        assert!(
            packet.frame == frame,
            "The segment changed, or {} bytes are {}",
            frame.len(),
            packet.frame.len()
        );
        assert_eq!(packet.header[1], 1, "Not a TCP segment");
        let (last, full) = packet.parts.split_last().unwrap();
        assert_eq!(full, &sizes[..full.len()]);
        assert!(*last <= sizes[full.len()]);
    }
}

#[test]
fn without_mergeable_buffers_a_packet_has_one() {
    let Some((device, wire)) = cabled(1, Net::in_user_space) else { return };
    let counters = device.counters();
    let mut driver = Driver::new(Box::new(device));
    let features = driver.offered() & !(1 << VIRTIO_NET_F_MRG_RXBUF);
    driver.start_with(features);
    offer(&mut driver, RX, &[1526; 2]);
    wire.send(&frame(1501));
    wire.send(&frame(1500));
    let packet = take(&mut driver, RX);
    assert_eq!((packet.frame, packet.parts), (frame(1500), vec![1526]));
    assert_eq!(counters.received_dropped(), 1);
    wire.send(&frame(700));
    assert_eq!(take(&mut driver, RX).frame, frame(700));
}

#[test]
fn packets_wait_for_room() {
    for make in data_paths() {
        let Some((mut driver, wire)) = started(1, make) else { return };
        for length in 100..120 {
            wire.send(&frame(length));
        }
        driver.settle(RX, 1);
        offer(&mut driver, RX, &[4096; 40]);
        for length in 100..120 {
            assert_eq!(take(&mut driver, RX).frame, frame(length));
        }
    }
}

#[test]
fn useless_buffers_come_back_empty() {
    let Some((mut driver, wire)) = started(1, Net::in_user_space) else { return };
    for buffer in
        [Buffer::writable(BUFFERS, 11), Buffer::readable(BUFFERS, 4096), Buffer::writable(u64::MAX, 64)]
    {
        let head = driver.add(RX, &[buffer]);
        wire.send(&frame(64));
        assert_eq!(driver.wait_used(RX), (u32::from(head), 0));
    }
}

#[test]
fn a_guest_without_room_and_a_silent_one_cost_nothing() {
    alone("virtio::net::device::tests::receive::costs_nothing_alone");
}

#[test]
#[ignore = "run by a_guest_without_room_and_a_silent_one_cost_nothing"]
fn costs_nothing_alone() {
    let Some((mut driver, wire)) = started(1, Net::in_user_space) else { return };
    let cost = |wire: &Wire, packets| {
        for _ in 0..packets {
            wire.send(&frame(64));
        }
        let before = worker_time();
        std::thread::sleep(Duration::from_millis(500));
        worker_time() - before
    };
    const LITTLE: Duration = Duration::from_millis(20);
    assert!(cost(&wire, 0) < LITTLE, "An idle worker is busy");
    assert!(cost(&wire, 10) < LITTLE, "A worker whose guest has no room is busy");
    offer(&mut driver, RX, &[4096; 40]);
    for _ in 0..10 {
        take(&mut driver, RX);
    }
    assert!(cost(&wire, 1) < LITTLE, "A worker that has nothing to receive is busy");
}
