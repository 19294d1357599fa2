//! From the guest to the tap.

use vm_memory::{Bytes, GuestAddress};

use super::{super::*, data_paths, started, wire::frame};
use crate::virtio::{
    conformance::{BUFFERS, Buffer, Driver, MEMORY},
    net::{HEADER_LEN, MAX_FRAME},
};

pub const TX: usize = 1;

/// Places a packet, with an empty header, in guest memory.
pub fn place(driver: &Driver, frame: &[u8]) -> u32 {
    let packet = [&[0; HEADER_LEN], frame].concat();
    driver.memory.write_slice(&packet, GuestAddress(BUFFERS)).unwrap();
    packet.len() as u32
}

/// Sends a frame, and waits until the device has it.
pub fn send(driver: &mut Driver, queue: usize, frame: &[u8]) {
    let length = place(driver, frame);
    driver.add(queue, &[Buffer::readable(BUFFERS, length)]);
    driver.wait_used(queue);
}

#[test]
fn packets_arrive_whole_and_in_order() {
    for make in data_paths() {
        let Some((mut driver, wire)) = started(1, make) else { return };
        for length in [46, 1486, 8986, 60] {
            send(&mut driver, TX, &frame(length));
        }
        for length in [46, 1486, 8986, 60] {
            assert_eq!(wire.receive(), frame(length));
        }
        assert_eq!(driver.wait_interrupt() & 1, 1);
    }
}

#[test]
fn a_packet_may_be_in_many_buffers() {
    for make in data_paths() {
        let Some((mut driver, wire)) = started(1, make) else { return };
        place(&driver, &frame(200));
        let lengths = [1, 11, 3, 0, 20, 1, 178, 12];
        assert_eq!(lengths.iter().sum::<u32>(), 12 + 14 + 200);
        let mut address = BUFFERS;
        let buffers = lengths.map(|length| {
            address += u64::from(length);
            Buffer::readable(address - u64::from(length), length)
        });
        driver.add(TX, &buffers);
        assert_eq!(driver.wait_used(TX).1, 0);
        assert_eq!(wire.receive(), frame(200));
    }
}

#[test]
fn what_is_no_packet_is_dropped_and_counted() {
    let Some((device, wire)) = super::cabled(1, Net::in_user_space) else { return };
    let counters = device.counters();
    let mut driver = Driver::started(Box::new(device));
    place(&driver, &frame(100));
    let wrong = [
        vec![Buffer::readable(BUFFERS, 11)],
        vec![Buffer::readable(BUFFERS, 25)],
        vec![Buffer::readable(BUFFERS, MAX_FRAME as u32), Buffer::readable(BUFFERS, 1)],
        vec![Buffer::readable(BUFFERS, 100), Buffer::readable(MEMORY - 8, 16)],
        vec![Buffer::writable(BUFFERS, 126)],
    ];
    for (number, buffers) in wrong.iter().enumerate() {
        driver.add(TX, buffers);
        assert_eq!(driver.wait_used(TX).1, 0);
        assert_eq!(counters.transmitted_dropped(), number as u64 + 1, "{buffers:?}");
    }
    // A header that asks for a checksum outside the packet.
    driver.memory.write_slice(&[1, 0, 0, 0, 0, 0, 0xff, 0xff], GuestAddress(BUFFERS)).unwrap();
    driver.add(TX, &[Buffer::readable(BUFFERS, 126)]);
    driver.wait_used(TX);
    assert_eq!(counters.transmitted_dropped(), wrong.len() as u64 + 1);
    send(&mut driver, TX, &frame(60));
    assert_eq!(wire.receive(), frame(60));
    assert!(!wire.is_readable(0));
}

#[test]
fn an_interface_that_is_gone_harms_nobody() {
    for make in data_paths() {
        let Some((mut driver, wire)) = started(1, make) else { return };
        wire.take_down();
        for length in 60..80 {
            send(&mut driver, TX, &frame(length));
        }
        driver.reset();
        driver.start();
    }
}
