//! What is asked for and never given back.

use hostile_kernel::{
    fuse::{self, op},
    outcome::Outcome,
};

use super::{OTHER, READ_WRITE, VOLUME};
use crate::machine::{Answer, Guest};

/// How many files a guest keeps that never lets go of one.
const HOARD: u64 = 3000;

/// Files that are not there, opened to be written, each another: nothing may be remembered of them.
pub fn opens_of_unknown_nodes(guest: &mut Guest) -> Outcome {
    let share = guest.rootfs();
    let mut refused = 0;
    for node in 0..HOARD {
        let answer = share.ask(op::OPEN, (1 << 40) + node, &fuse::open(READ_WRITE));
        refused += u64::from(matches!(answer, Answer::Error(_)));
    }
    Outcome::Counts(HOARD - refused, refused)
}

/// Files made and never forgotten.
pub fn never_forget(guest: &mut Guest) -> Outcome {
    let share = guest.volumes();
    let volume = share.walk(&[OTHER]);
    let mut through = 0;
    for number in 0..HOARD {
        let mut name = *b"hoard-0000000000";
        for (place, digit) in name[6..].iter_mut().rev().enumerate() {
            *digit = b'0' + (number / 10_u64.pow(place as u32) % 10) as u8;
        }
        through += u64::from(share.ask(op::MKNOD, volume, &fuse::mknod(0o100_644, 0, &name)).is_done());
    }
    Outcome::Counts(through, HOARD - through)
}

/// A file opened and never closed.
pub fn never_release(guest: &mut Guest) -> Outcome {
    let share = guest.volumes();
    let file = share.walk(&[VOLUME, "file"]);
    let opens = (0..HOARD).filter(|_| share.ask(op::OPEN, file, &fuse::open(0)).is_done());
    let through = opens.count() as u64;
    Outcome::Counts(through, HOARD - through)
}
