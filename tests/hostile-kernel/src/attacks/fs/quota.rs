//! A volume that is full, and what a guest may try with it.

use hostile_kernel::{
    fuse::{self, Body, op},
    outcome::Outcome,
};

use super::{READ_WRITE, VOLUME};
use crate::machine::{Answer, Guest, Share};

/// `ENOSPC`.
const FULL: i32 = 28;
/// More than the test's volume has of either.
const MANY: u64 = 1000;
/// Bytes asked for at once.
const PIECE: u64 = 16 << 10;
/// How often all is taken and given back.
const ROUNDS: usize = 5;

/// Every inode and every block taken, names removed of what is still open, and all of it again: each time as much as the first.
pub fn all_of_it(guest: &mut Guest) -> Outcome {
    let share = guest.volumes();
    let volume = share.walk(&[VOLUME]);
    let rounds = [(); ROUNDS].map(|()| (take_inodes(share, volume), take_blocks(share, volume)));
    match rounds[0] {
        (Some(0), _) | (_, Some(0)) => Outcome::Is("nothing to take"),
        (Some(_), Some(_)) if rounds.iter().all(|round| *round == rounds[0]) => {
            Outcome::Is("as much each time")
        }
        (Some(_), Some(_)) => Outcome::Is("not as much each time"),
        _ => Outcome::Is("no end, or another"),
    }
}

/// Files, until there is no room for one more; how many there were.
fn take_inodes(share: &mut Share, volume: u64) -> Option<u64> {
    let mut made = 0;
    let end = loop {
        match share.ask(op::MKNOD, volume, &fuse::mknod(0o100_644, 0, &name(made))) {
            Answer::Done if made < MANY => {
                // What it remembers without opening it, it keeps for some seconds longer than its name.
                let node = share.number();
                forget(share, node);
                made += 1;
            }
            end => break end,
        }
    };
    (0..made).for_each(|number| remove(share, volume, number));
    matches!(end, Answer::Error(FULL)).then_some(made)
}

/// Blocks of a file whose name is gone, until there is none left; how many pieces there were.
fn take_blocks(share: &mut Share, volume: u64) -> Option<u64> {
    if !share.ask(op::MKNOD, volume, &fuse::mknod(0o100_644, 0, &name(0))).is_done() {
        return None;
    }
    let file = share.number();
    if !share.ask(op::OPEN, file, &fuse::open(READ_WRITE)).is_done() {
        return None;
    }
    let handle = share.number();
    remove(share, volume, 0);
    let allocate = |offset: u64, length: u64| Body::new().u64(handle).u64(offset).u64(length).u64(0);
    // More than the host has is refused, and takes nothing.
    let whole = share.ask(op::FALLOCATE, file, &allocate(0, 1 << 50));
    let mut pieces = 0;
    let end = loop {
        match share.ask(op::FALLOCATE, file, &allocate(pieces * PIECE, PIECE)) {
            Answer::Done if pieces < MANY => pieces += 1,
            end => break end,
        }
    };
    // The last of it goes back with the handle and the node.
    share.ask(op::RELEASE, file, &Body::new().u64(handle).u32(0).u32(0).u64(0));
    forget(share, file);
    (!whole.is_done() && matches!(end, Answer::Error(FULL))).then_some(pieces)
}

fn forget(share: &mut Share, node: u64) {
    share.ask(op::BATCH_FORGET, 0, &Body::new().u32(1).u32(0).u64(node).u64(1));
}

fn remove(share: &mut Share, volume: u64, number: u64) {
    // Whether it worked shows in what there is to take next.
    share.ask(op::UNLINK, volume, &Body::new().name(&name(number)));
}

fn name(number: u64) -> [u8; 8] {
    let mut name = *b"quota000";
    for (place, digit) in name[5..].iter_mut().rev().enumerate() {
        *digit = b'0' + (number / 10_u64.pow(place as u32) % 10) as u8;
    }
    name
}
