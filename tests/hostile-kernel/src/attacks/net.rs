//! Packets of any shape. Who moves them, the host's kernel or the VMM, may stop at what makes no sense; after a reset it must go on.

use hostile_kernel::{descriptor::Descriptor, outcome::Outcome, random::Random};

use super::Table;
use crate::machine::{Guest, Queue, kind, ram, within};

pub(super) const ATTACKS: Table = &[
    ("net-sound-packet", sound_packet),
    ("net-lengths", lengths),
    ("net-buffers", buffers),
    ("net-any-header", any_header),
    ("net-index-jump", index_jump),
];

/// Bytes of `struct virtio_net_hdr_v1`, and of the shortest packet.
const HEADER: u32 = 12;
const FRAME: u32 = 60;
/// How long a packet is waited for that may never come back: a thirtieth of a second.
const MOMENT: u64 = 100_000_000;

/// The device with its first queue pair: what comes and what goes. It has room for nothing that comes.
fn start(guest: &Guest) -> [Queue; 2] {
    guest.device(kind::NET).start()
}

/// A broadcast of an unknown protocol, behind a header of zeroes.
fn sound_packet(guest: &mut Guest) -> Outcome {
    let [_rx, mut tx] = start(guest);
    ram::fill(ram::REQUESTS, u64::from(HEADER + FRAME), 0);
    ram::fill(ram::REQUESTS + u64::from(HEADER), 6, 0xff);
    tx.attack(&[Descriptor::read(ram::REQUESTS, HEADER + FRAME)])
}

/// Sends what need not come back.
fn try_packet(guest: &Guest, chain: &[Descriptor]) {
    let [mut rx, mut tx] = start(guest);
    for queue in [&mut rx, &mut tx] {
        for (index, descriptor) in (0..).zip(chain) {
            let last = usize::from(index) + 1 == chain.len();
            queue.put(index, if last { *descriptor } else { descriptor.then(index + 1) });
        }
        queue.offer(0);
        queue.notify();
    }
    within(MOMENT, || tx.poll());
}

fn lengths(guest: &mut Guest) -> Outcome {
    for length in [0, 1, HEADER - 1, HEADER, HEADER + 1, HEADER + 13, 0x1_0000, 0x10_0000, u32::MAX] {
        try_packet(guest, &[Descriptor::read(ram::REQUESTS, length)]);
    }
    try_packet(guest, &[Descriptor::read(ram::REQUESTS, 0x1_0000); 64]);
    sound_packet(guest)
}

/// Buffers outside memory, in registers, of the wrong direction, and chains that bite their tails.
fn buffers(guest: &mut Guest) -> Outcome {
    let registers = guest.devices()[0].base;
    let header = Descriptor::read(ram::REQUESTS, HEADER);
    for second in [
        Descriptor::read(u64::MAX - 15, 64),
        Descriptor::read(registers, 4096),
        Descriptor::write(registers, 4096),
        Descriptor::write(ram::ANSWERS, 4096),
        Descriptor::indirect(registers, 64),
        Descriptor::indirect(ram::TABLES, u32::MAX),
        header.then(0),
        header.then(u16::MAX),
    ] {
        try_packet(guest, &[header, second]);
    }
    sound_packet(guest)
}

/// Offloads that are none: of any kind, with any offset.
fn any_header(guest: &mut Guest) -> Outcome {
    let mut random = Random::new(4);
    let [_rx, mut tx] = start(guest);
    for _ in 0..200 {
        ram::write(ram::REQUESTS, &random.number().to_le_bytes());
        ram::write(ram::REQUESTS + 8, &random.number().to_le_bytes());
        let length = random.one_of(&[HEADER, HEADER + FRAME, HEADER + 1500, 0x1_0000]);
        tx.put(0, Descriptor::read(ram::REQUESTS, length));
        tx.offer(0);
        tx.notify();
        if within(MOMENT, || tx.poll()).is_none() {
            [_, tx] = start(guest);
        }
    }
    sound_packet(guest)
}

fn index_jump(guest: &mut Guest) -> Outcome {
    for count in [257, 30_000, u16::MAX] {
        let [mut rx, mut tx] = start(guest);
        for queue in [&mut rx, &mut tx] {
            queue.overstate(count);
            queue.notify();
        }
        within(MOMENT, || tx.poll());
    }
    sound_packet(guest)
}
