use std::time::{Duration, Instant};

use virtio_queue::{Queue, QueueT};
use vm_memory::{GuestAddress, GuestMemoryMmap};

use super::*;
use crate::virtio::{
    conformance::{Buffer, Ring},
    net::{
        HEADER_LEN,
        device::tests::{alone, worker_time},
        tap::tests::tap_of_socket,
    },
};

const MEMORY: usize = 1 << 20;
const PACKET: u64 = 0x80000;
const LENGTH: usize = 9000;

fn active(ring: &Ring) -> ActiveQueue {
    let mut queue = Queue::new(ring.size).unwrap();
    queue.try_set_desc_table_address(GuestAddress(ring.descriptors)).unwrap();
    queue.try_set_avail_ring_address(GuestAddress(ring.available)).unwrap();
    queue.try_set_used_ring_address(GuestAddress(ring.used)).unwrap();
    queue.set_ready(true);
    ActiveQueue { queue, kick: EventFd::new(EFD_NONBLOCK).unwrap() }
}

#[test]
fn a_full_tap_makes_the_guest_wait() {
    alone("virtio::net::worker::tests::a_full_tap_alone");
}

#[test]
#[ignore = "run by a_full_tap_makes_the_guest_wait"]
fn a_full_tap_alone() {
    // A tap fills only when the host's network does. A socket blocks, and says that it does not any more, the same way.
    let (tap, other_end) = tap_of_socket();
    let memory = Arc::new(GuestMemoryMmap::from_ranges(&[(GuestAddress(0), MEMORY)]).unwrap());
    let [mut ring, rx] = [0x1000, 0x10000].map(|address| Ring::new(&memory, address, 256));
    let tx = active(&ring);
    let kick = tx.kick.try_clone().unwrap();
    let worker = Worker::start(Duty {
        index: 0,
        tap: tap.clone(),
        memory: Arc::clone(&memory),
        interrupt: Arc::new(Interrupt::new(EventFd::new(EFD_NONBLOCK).unwrap(), Arc::default())),
        rx: active(&rx),
        tx,
        mergeable: true,
        longest: LENGTH + HEADER_LEN,
        counters: Arc::default(),
    })
    .unwrap();
    worker.connect(tap.queue(0).unwrap()).unwrap();
    for index in 0..256 {
        // Each is longer than the one before, so that their order shows.
        ring.add(&memory, &[Buffer::readable(PACKET, LENGTH as u32 + index)]);
    }
    kick.write(1).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let (sent, cost) = (ring.used_index(&memory), worker_time());
    assert!((1..200).contains(&sent), "{sent} packets went into a socket with room for less");
    kick.write(1).unwrap();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(ring.used_index(&memory), sent);
    assert!(worker_time() - cost < Duration::from_millis(20), "The worker is busy");
    let mut packet = vec![0; 2 * LENGTH];
    let end = Instant::now() + Duration::from_secs(10);
    for index in 0..256 {
        let length = loop {
            match rustix::io::read(&other_end, &mut packet) {
                Ok(length) => break length,
                Err(error) => assert!(Instant::now() < end, "Packet {index} does not come: {error}"),
            }
        };
        assert_eq!(length, LENGTH + index);
    }
}
