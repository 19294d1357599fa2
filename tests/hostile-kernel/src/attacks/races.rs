//! Two processors at one device: what the VMM looks at is changed meanwhile, and what it serves is reset. Afterwards every device must be what
//! it was.

use hostile_kernel::outcome::Outcome;

use super::Table;
use crate::machine::{
    Device, Guest, kind, register,
    second::{self, Deed},
    within,
};

pub(super) const ATTACKS: Table = &[
    ("race-rings", |guest| race(guest, Deed::Rings, serve)),
    ("race-resets", |guest| race(guest, Deed::Notify, reset)),
    ("race-registers", |guest| race(guest, Deed::Registers, reset)),
];

/// How often the first processor does its part with each device.
const ROUNDS: usize = 30;
/// How long a request is waited for that may never come back: a thirtieth of a second.
const MOMENT: u64 = 100_000_000;

fn race(guest: &mut Guest, deed: Deed, ours: fn(&Device)) -> Outcome {
    if !second::is_there() {
        return Outcome::Is("no second processor");
    }
    // A balloon does as it is told: it would take this kernel's own memory.
    for device in guest.devices().iter().filter(|device| device.kind() != kind::BALLOON) {
        second::beside(deed, *device, || (0..ROUNDS).for_each(|_| ours(device)));
        device.write(register::STATUS, 0);
    }
    guest.unmount();
    Outcome::Is("over")
}

/// Requests in a queue that somebody else writes to, too.
fn serve(device: &Device) {
    let [mut first, mut second] = device.start_whole();
    for queue in [&mut first, &mut second].into_iter().filter(|queue| queue.size() > 0) {
        queue.offer(0);
        queue.notify();
        within(MOMENT, || queue.poll());
    }
}

/// A device begun and broken off.
fn reset(device: &Device) {
    device.start_whole();
    device.write(register::STATUS, 0);
}
