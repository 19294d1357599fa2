//! The registers of every device, and queues that make no sense. The entropy device stands for all: its requests are buffers.

use hostile_kernel::{descriptor::Descriptor, outcome::Outcome, random::Random};

use super::Table;
use crate::machine::{Device, Guest, Queue, kind, ram, register, within};

pub(super) const ATTACKS: Table = &[
    ("queue-in-registers", queue_in_registers),
    ("queue-outside-memory", queue_outside_memory),
    ("queue-of-odd-size", queue_of_odd_size),
    ("start-without-queues", start_without_queues),
    ("move-active-queue", move_active_queue),
    ("descriptor-loop", descriptor_loop),
    ("next-out-of-range", next_out_of_range),
    ("head-out-of-range", head_out_of_range),
    ("index-jump", index_jump),
    ("buffer-of-4g", buffer_of_4g),
    ("buffer-at-the-end-of-all", buffer_at_the_end_of_all),
    ("buffer-in-registers", buffer_in_registers),
    ("buffer-over-rings", buffer_over_rings),
    ("any-register", any_register),
    ("any-port", any_port),
    ("resets", resets),
    ("notifications", notifications),
    ("sound-request", sound_request),
];

/// How long a device is given to do what it must not: a tenth of a second.
const MOMENT: u64 = 300_000_000;
/// A request of this size is answered in full.
const BYTES: u32 = 512;

/// The entropy device and its queue, as they should be.
fn entropy(guest: &Guest) -> (Device, Queue) {
    let device = guest.device(kind::RNG);
    let [queue] = device.start();
    (device, queue)
}

/// One of this kind, ready for its queue to be described.
fn unqueued(guest: &Guest) -> (Device, Queue) {
    let device = guest.device(kind::RNG);
    device.negotiate(0);
    (device, device.set_up(0))
}

/// The device still does what it is for.
fn sound_request(guest: &mut Guest) -> Outcome {
    let (_, mut queue) = entropy(guest);
    queue.attack(&[Descriptor::write(ram::ANSWERS, BYTES)])
}

/// How many of these places the device takes for a queue.
fn accepted(guest: &Guest, size: u32, places: &[u64]) -> Outcome {
    let (device, queue) = unqueued(guest);
    let good = [queue.descriptors(), queue.available(), queue.used()];
    let mut count = 0;
    for &place in places {
        for part in 0..good.len() {
            device.negotiate(0);
            let mut parts = good;
            parts[part] = place;
            count += u64::from(device.describe(size, parts));
        }
    }
    Outcome::Count(count)
}

fn queue_in_registers(guest: &mut Guest) -> Outcome {
    let bases: [u64; 3] = [guest.device(kind::RNG).base, 0xfee0_0000, 0xfec0_0000];
    accepted(guest, 16, &bases)
}

fn queue_outside_memory(guest: &mut Guest) -> Outcome {
    accepted(guest, 16, &[1 << 62, !0xfff, 0xffff_ffff_0000_0000, 0xcfff_f000])
}

fn queue_of_odd_size(guest: &mut Guest) -> Outcome {
    let places = [ram::RINGS];
    let sizes = [0, 3, 17, 32, 0xffff, 0x1_0000, u32::MAX];
    let outcomes = sizes.map(|size| accepted(guest, size, &places));
    let all = outcomes.iter().all(|outcome| *outcome == Outcome::Count(0));
    Outcome::Is(if all { "none accepted" } else { "accepted" })
}

fn start_without_queues(guest: &mut Guest) -> Outcome {
    let device = guest.device(kind::RNG);
    device.negotiate(0);
    device.go();
    Outcome::Status(device.status())
}

/// The device goes on with the queue it has.
fn move_active_queue(guest: &mut Guest) -> Outcome {
    let (device, mut queue) = entropy(guest);
    device.write(register::QUEUE_SEL, 0);
    device.write(register::QUEUE_READY, 0);
    device.describe(8, [ram::TABLES, ram::TABLES + 0x1000, ram::TABLES + 0x2000]);
    queue.attack(&[Descriptor::write(ram::ANSWERS, BYTES)])
}

fn descriptor_loop(guest: &mut Guest) -> Outcome {
    let (_, mut queue) = entropy(guest);
    queue.put(0, Descriptor::write(ram::ANSWERS, BYTES).then(1));
    queue.put(1, Descriptor::write(ram::ANSWERS, BYTES).then(0));
    returned(&mut queue, 0)
}

fn next_out_of_range(guest: &mut Guest) -> Outcome {
    let (_, mut queue) = entropy(guest);
    queue.put(0, Descriptor::write(ram::ANSWERS, BYTES).then(u16::MAX));
    returned(&mut queue, 0)
}

/// Nobody can be given back a chain that is none: the next one is served.
fn head_out_of_range(guest: &mut Guest) -> Outcome {
    let (_, mut queue) = entropy(guest);
    for head in [queue.size(), 0x8000, u16::MAX] {
        queue.offer(head);
    }
    queue.put(0, Descriptor::write(ram::ANSWERS, BYTES));
    returned(&mut queue, 0)
}

/// More chains than the queue has room for: it is left alone.
fn index_jump(guest: &mut Guest) -> Outcome {
    let (_, mut queue) = entropy(guest);
    queue.put(0, Descriptor::write(ram::ANSWERS, BYTES));
    queue.overstate(30_000);
    queue.notify();
    within(MOMENT, || queue.poll()).map_or(Outcome::Silence, |used| Outcome::Used(used.length))
}

fn buffer_of_4g(guest: &mut Guest) -> Outcome {
    let (_, mut queue) = entropy(guest);
    let pieces = [u32::MAX; 16].map(|length| Descriptor::write(ram::ANSWERS, length));
    queue.attack(&pieces)
}

fn buffer_at_the_end_of_all(guest: &mut Guest) -> Outcome {
    let (_, mut queue) = entropy(guest);
    queue.attack(&[Descriptor::write(u64::MAX - 15, u32::MAX), Descriptor::write(u64::MAX, 1)])
}

fn buffer_in_registers(guest: &mut Guest) -> Outcome {
    let (device, mut queue) = entropy(guest);
    queue.attack(&[Descriptor::write(device.base, 0x1000)])
}

/// The device overwrites its own queue. It may return what it likes, and must work after a reset.
fn buffer_over_rings(guest: &mut Guest) -> Outcome {
    let (_, mut queue) = entropy(guest);
    queue.put(0, Descriptor::write(queue.descriptors(), 0x7000));
    queue.offer(0);
    queue.notify();
    within(MOMENT, || queue.poll());
    sound_request(guest)
}

/// Anything written to any register of any device, and anything read.
fn any_register(guest: &mut Guest) -> Outcome {
    let mut random = Random::new(1);
    let devices = guest.devices();
    for _ in 0..2000 {
        let device = devices[random.below(devices.len() as u64) as usize];
        let value = random.number() as u32;
        let narrow = random.one_of(&[value, value & 0x1f, u32::MAX, 0xf, ram::RINGS as u32]);
        device.write(random.one_of(&[random_register(value), u64::from(value >> 8) & 0xffc]), narrow);
    }
    devices.iter().for_each(|device| device.write(register::STATUS, 0));
    guest.unmount();
    sound_request(guest)
}

fn random_register(value: u32) -> u64 {
    u64::from(value >> 4) % 0x48 * 4
}

/// All ports but that of the reset.
fn any_port(guest: &mut Guest) -> Outcome {
    let ports = (0..=u16::MAX).step_by(97).filter(|port| !(0x60..0x70).contains(port));
    for port in ports.filter(|port| !(0x3f0..0x400).contains(port)) {
        crate::machine::port::write(port, 0xfe);
        crate::machine::port::read(port);
        crate::machine::port::poke_wide(port, u32::MAX);
    }
    sound_request(guest)
}

/// Every device begun and broken off, again and again; those of files with their threads.
fn resets(guest: &mut Guest) -> Outcome {
    for _ in 0..20 {
        for device in guest.devices() {
            device.negotiate(0);
            for index in 0..8 {
                device.set_up(index);
            }
            device.go();
            device.write(register::QUEUE_NOTIFY, 1);
        }
    }
    guest.devices().iter().for_each(|device| device.write(register::STATUS, 0));
    guest.unmount();
    sound_request(guest)
}

/// Notifications of nothing, and of queues that are not there.
fn notifications(guest: &mut Guest) -> Outcome {
    let (device, mut queue) = entropy(guest);
    for number in 0..20_000_u32 {
        device.write(register::QUEUE_NOTIFY, if number % 100 == 0 { number * 0x10_0001 } else { 0 });
    }
    queue.attack(&[Descriptor::write(ram::ANSWERS, BYTES)])
}

fn returned(queue: &mut Queue, head: u16) -> Outcome {
    queue.offer(head);
    queue.notify();
    queue.wait().map_or(Outcome::Silence, |used| Outcome::Used(used.length))
}
