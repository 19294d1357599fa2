//! Several queue pairs.

use virtio_bindings::virtio_net::VIRTIO_NET_F_MQ;
use vm_memory::{Bytes, GuestAddress};

use super::{data_paths, receive, started, transmit, wire::frame};
use crate::virtio::conformance::{BUFFERS, Buffer, Driver};

/// Where commands are, behind packets.
const COMMAND: u64 = BUFFERS + 0x20000;
const OK: u8 = 0;
const ERROR: u8 = 1;

/// Gives a command to the control queue. The answer.
fn command(driver: &mut Driver, queue: usize, command: &[u8]) -> u8 {
    driver.memory.write_slice(command, GuestAddress(COMMAND)).unwrap();
    driver.memory.write_obj(0xee_u8, GuestAddress(COMMAND + 64)).unwrap();
    let buffers = [
        Buffer::readable(COMMAND, 2.min(command.len() as u32)),
        Buffer::readable(COMMAND + 2, command.len().saturating_sub(2) as u32),
        Buffer::writable(COMMAND + 64, 1),
    ];
    driver.add(queue, &buffers);
    assert_eq!(driver.wait_used(queue).1, 1);
    driver.memory.read_obj(GuestAddress(COMMAND + 64)).unwrap()
}

#[test]
fn the_driver_chooses_how_many_pairs_it_uses() {
    for make in data_paths() {
        let Some((mut driver, wire)) = started(3, make) else { return };
        for (text, answer) in [
            (&[4, 0, 3, 0][..], OK),
            (&[4, 0, 1, 0], OK),
            (&[4, 0, 0, 0], ERROR),
            (&[4, 0, 4, 0], ERROR),
            (&[4, 0, 0xff, 0xff], ERROR),
            (&[4, 0, 2], ERROR),
            (&[4, 1, 2, 0], ERROR),
            (&[0, 0, 1, 0], ERROR),
            (&[], ERROR),
            (&[4, 0, 2, 0], OK),
        ] {
            assert_eq!(command(&mut driver, 6, text), answer, "{text:?}");
        }
        transmit::send(&mut driver, 3, &frame(300));
        assert_eq!(wire.receive(), frame(300));
        driver.reset();
        driver.start();
        assert_eq!(command(&mut driver, 6, &[4, 0, 3, 0]), OK);
        transmit::send(&mut driver, 5, &frame(400));
        assert_eq!(wire.receive(), frame(400));
    }
}

#[test]
fn packets_come_to_pairs_in_use_only() {
    for make in data_paths() {
        let Some((mut driver, wire)) = started(4, make) else { return };
        receive::offer(&mut driver, receive::RX, &[2048; 100]);
        // Whatever queue the kernel would choose for a sender: there is one.
        for length in 100..140 {
            wire.send(&frame(length));
            assert_eq!(receive::take(&mut driver, receive::RX).frame, frame(length));
        }
    }
}

#[test]
fn without_several_pairs_the_control_queue_is_the_third() {
    for make in data_paths() {
        let Some((device, wire)) = super::cabled(2, make) else { return };
        let mut driver = Driver::new(Box::new(device));
        let features = driver.offered() & !(1 << VIRTIO_NET_F_MQ);
        driver.start_with(features);
        assert_eq!(command(&mut driver, 2, &[4, 0, 1, 0]), OK);
        assert_eq!(command(&mut driver, 2, &[4, 0, 2, 0]), ERROR);
        transmit::send(&mut driver, transmit::TX, &frame(100));
        assert_eq!(wire.receive(), frame(100));
    }
}
