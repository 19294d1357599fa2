//! What never ends: the test ends the pod.

use hostile_kernel::{
    descriptor::Descriptor,
    fuse::{self, Body, ROOT, op},
    outcome::Outcome,
    vsock::{Header, op as packet},
};

use super::Table;
use crate::machine::{Guest, Queue, kind, ram, say};

pub(super) const ATTACKS: Table = &[("flood", flood)];

/// How often everything is done in a row before what came back is looked at.
const AT_ONCE: u16 = 16;

/// Every device at once, as fast as notifications go, with no regard for answers.
fn flood(guest: &mut Guest) -> Outcome {
    let [mut entropy] = guest.device(kind::RNG).start();
    let [_rx, mut packets, _events] = guest.device(kind::VSOCK).start();
    let unit = Body::new().bytes(&[0; 16]);
    ram::write(ram::REQUESTS, &fuse::header(56, op::GETATTR, 1, ROOT));
    ram::write(ram::REQUESTS + 40, unit.as_bytes());
    let request = ram::REQUESTS + 0x1000;
    ram::write(request, &Header::new(packet::REQUEST, 9, 4).bytes());
    entropy.put(0, Descriptor::write(ram::ANSWERS + 0x10_0000, 0x1_0000));
    packets.put(0, Descriptor::read(request, 44));
    let files = guest.rootfs().requests();
    files.put(0, Descriptor::read(ram::REQUESTS, 56).then(1));
    files.put(1, Descriptor::write(ram::ANSWERS, 4096));
    say!("flood: begins");
    loop {
        for queue in [&mut entropy, &mut packets, guest.rootfs().requests()] {
            pour(queue);
        }
    }
}

/// As many chains as the device has taken back, and a notification in any case.
fn pour(queue: &mut Queue) {
    while queue.poll().is_some() {}
    for _ in 0..AT_ONCE.min(queue.room()) {
        queue.offer(0);
    }
    queue.notify();
}
