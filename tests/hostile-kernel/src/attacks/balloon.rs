//! Memory given away that is not the guest's to give.

use hostile_kernel::{descriptor::Descriptor, outcome::Outcome};

use super::Table;
use crate::machine::{Guest, Queue, kind, ram, register};

pub(super) const ATTACKS: Table = &[
    ("balloon-any-page", any_page),
    ("balloon-too-many-pages", too_many_pages),
    ("balloon-ranges-of-4g", ranges_of_4g),
    ("balloon-gives-back", gives_back),
    ("balloon-configuration", configuration),
];

/// Queues: inflate, deflate, and reports of free pages, which are a feature.
const INFLATE: usize = 0;
const REPORT: usize = 2;
const REPORTING: u32 = 1 << 5;
const PAGE: u64 = 4096;

fn queues(guest: &Guest) -> [Queue; 3] {
    guest.device(kind::BALLOON).start_with(REPORTING)
}

/// Pages that do not exist, and pages of devices.
fn any_page(guest: &mut Guest) -> Outcome {
    let mut queues = queues(guest);
    let pages = [u32::MAX, u32::MAX - 1, 0xd_0000, 0xf_ec00, 0xf_ee00, 0x10_0000, 0x7fff_ffff, 0xf_ffff];
    for (place, page) in (ram::REQUESTS..).step_by(4).zip(pages) {
        ram::write(place, &page.to_le_bytes());
    }
    queues[INFLATE].attack(&[Descriptor::read(ram::REQUESTS, 4 * pages.len() as u32)])
}

/// A list of pages as long as memory and longer, of pages nobody needs.
fn too_many_pages(guest: &mut Guest) -> Outcome {
    let mut queues = queues(guest);
    let page = (ram::PAGES / PAGE) as u32;
    for place in (0..0x10_0000).step_by(4) {
        ram::write(ram::REQUESTS + place, &(page + (place as u32 >> 2) % 256).to_le_bytes());
    }
    let piece = Descriptor::read(ram::REQUESTS, 0x10_0000);
    let beyond = Descriptor::read(ram::REQUESTS, u32::MAX);
    queues[INFLATE].attack(&[piece, piece, piece, beyond, Descriptor::read(u64::MAX - 3, u32::MAX)])
}

/// Ranges that begin and end outside memory, are too long, or wrap around. This kernel is in none of them.
fn ranges_of_4g(guest: &mut Guest) -> Outcome {
    let mut queues = queues(guest);
    let ranges = [
        Descriptor::write(u64::MAX - 4095, u32::MAX),
        Descriptor::write(u64::MAX - 1, u32::MAX),
        Descriptor::write(0xd000_0000, 0x1000_0000),
        Descriptor::write(1 << 32, u32::MAX),
        Descriptor::write(ram::PAGES + 1, 4096),
        Descriptor::write(ram::PAGES, 0),
    ];
    queues[REPORT].attack(&ranges)
}

/// A page that was reported is a page of zeroes, and its neighbours are as they were.
fn gives_back(guest: &mut Guest) -> Outcome {
    let mut queues = queues(guest);
    ram::fill(ram::PAGES, ram::PAGES_END - ram::PAGES, 0xaa);
    let given = ram::PAGES + PAGE;
    queues[REPORT].exchange(&[Descriptor::write(given - 1, PAGE as u32 + 2)]);
    let bytes = [given - 1, given, given + PAGE - 1, given + PAGE].map(|at| ram::read::<1>(at)[0]);
    Outcome::Is(if bytes == [0xaa, 0, 0, 0xaa] { "that page alone" } else { "something else" })
}

/// Anything written over the configuration space changes what the guest says of itself, and nothing else.
fn configuration(guest: &mut Guest) -> Outcome {
    let device = guest.device(kind::BALLOON);
    for offset in (0..0xf00).step_by(4) {
        device.write(register::CONFIG + offset, u32::MAX);
    }
    let (wanted, given) = (device.read(register::CONFIG), device.read(register::CONFIG + 4));
    Outcome::Is(if (wanted, given) == (0, u32::MAX) { "as it should be" } else { "changed" })
}
