//! A name that becomes a link to the canary, and a file again, while it is opened.

use hostile_kernel::{
    descriptor::Descriptor,
    fuse::{self, Body, op},
    outcome::Outcome,
};

use super::{CREATE, READ_WRITE, TRUNCATE, VOLUME};
use crate::machine::{Guest, Share, ram};

/// How often it is tried.
const ROUNDS: u64 = 300;
/// Between two requests under way at once, and their answers.
const APART: u64 = 0x1000;
/// `RENAME_EXCHANGE`.
const EXCHANGE: u32 = 2;

/// What is opened is written to. Whether anything was, the canary tells.
pub fn link_race(guest: &mut Guest) -> Outcome {
    let share = guest.volumes();
    let volume = share.walk(&[VOLUME]);
    let swap = Body::new().u64(volume).u32(EXCHANGE).u32(0).name(b"swap-a").name(b"swap-b");
    let create = fuse::create(READ_WRITE | CREATE | TRUNCATE, b"swap-a");
    let (mut opened, mut refused) = (0, 0);
    for _ in 0..ROUNDS {
        place(share, 0, op::RENAME2, volume, &swap);
        place(share, 1, op::CREATE, volume, &create);
        let queue = share.requests();
        queue.offer(0);
        queue.offer(2);
        queue.notify();
        if queue.wait().and_then(|_| queue.wait()).is_none() {
            return Outcome::Silence;
        }
        if fuse::errno(&ram::read(ram::ANSWERS + APART)) != 0 {
            refused += 1;
            continue;
        }
        opened += 1;
        // Behind the entry of 128 bytes comes the handle.
        let answer = ram::ANSWERS + APART + fuse::OUT_HEADER as u64;
        let node = u64::from_le_bytes(ram::read(answer));
        let handle = u64::from_le_bytes(ram::read(answer + 128));
        share.ask(op::WRITE, node, &fuse::write(handle, 0, 4, b"evil"));
    }
    Outcome::Is(if opened > 0 && refused > 0 { "both seen" } else { "never met" })
}

/// Puts a request into the queue's chain `number`.
fn place(share: &mut Share, number: u64, operation: u32, node: u64, body: &Body) {
    let (request, answer) = (ram::REQUESTS + number * APART, ram::ANSWERS + number * APART);
    let length = (fuse::IN_HEADER + body.as_bytes().len()) as u32;
    ram::write(request, &fuse::header(length, operation, 1 + number, node));
    ram::write(request + fuse::IN_HEADER as u64, body.as_bytes());
    let head = 2 * number as u16;
    let queue = share.requests();
    queue.put(head, Descriptor::read(request, length).then(head + 1));
    queue.put(head + 1, Descriptor::write(answer, APART as u32));
}
