//! What the machine does last.

use core::arch::asm;

use hostile_kernel::outcome::Outcome;

use super::Table;
use crate::machine::{Guest, port, say};

pub(super) const ATTACKS: Table = &[("halt", halt), ("reset", reset), ("crash", crash)];

fn halt(_: &mut Guest) -> Outcome {
    say!("halt: now");
    port::halt()
}

fn reset(_: &mut Guest) -> Outcome {
    port::reset()
}

/// Without an interrupt table, the first exception is the third.
fn crash(_: &mut Guest) -> Outcome {
    // SAFETY: it does not come back.
    unsafe { asm!("ud2", options(noreturn)) }
}
