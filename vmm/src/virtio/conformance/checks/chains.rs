//! What a hostile driver puts into its rings. The device may return the chains or not; it must stay alive, stay in
//! bounds, and work again after a reset.

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use virtio_bindings::virtio_ring::{VRING_DESC_F_INDIRECT, VRING_DESC_F_NEXT, VRING_DESC_F_WRITE};

use crate::virtio::{
    VirtioDevice,
    conformance::{BEHIND_HOLE, BUFFERS, Buffer, Driver, MEMORY, ring::write_descriptor},
};

const NEXT: u16 = VRING_DESC_F_NEXT as u16;
const WRITE: u16 = VRING_DESC_F_WRITE as u16;
const INDIRECT: u16 = VRING_DESC_F_INDIRECT as u16;

/// Runs `attack` on every queue of a working device, lets the device chew on it, and starts the device again.
fn on_every_queue(make: impl Fn() -> Box<dyn VirtioDevice>, attack: impl Fn(&mut Driver, usize)) {
    let mut driver = Driver::started(make());
    for queue in 0..driver.rings.len() {
        attack(&mut driver, queue);
        driver.notify(queue);
        driver.settle(queue, 1);
        driver.reset();
        driver.start();
    }
}

/// Buffers and next indexes outside guest memory and outside the queue.
pub fn broken_chains(make: impl Fn() -> Box<dyn VirtioDevice>) {
    on_every_queue(make, |driver, queue| {
        for address in
            [MEMORY, MEMORY - 8, BEHIND_HOLE - 8, BEHIND_HOLE + 4090, u64::MAX, u64::MAX - 8, 1 << 63]
        {
            driver.add(queue, &[Buffer::readable(address, 4096)]);
            driver.add(queue, &[Buffer::writable(address, 4096)]);
            driver.settle(queue, u16::MAX);
        }
        let (memory, size) = (driver.memory.clone(), driver.rings[queue].size);
        let ring = &mut driver.rings[queue];
        ring.describe(&memory, 0, BUFFERS, 64, NEXT, size);
        ring.offer(&memory, 0);
        ring.describe(&memory, 1, BUFFERS, 64, NEXT | WRITE, u16::MAX);
        ring.offer(&memory, 1);
        ring.describe(&memory, 2, BUFFERS, 64, 0xfff8, 0);
        ring.offer(&memory, 2);
        ring.offer(&memory, size);
        ring.offer(&memory, u16::MAX);
    });
}

/// Chains that never end.
pub fn looping_chains(make: impl Fn() -> Box<dyn VirtioDevice>) {
    on_every_queue(make, |driver, queue| {
        let memory = driver.memory.clone();
        let ring = &mut driver.rings[queue];
        for (index, flags) in [(0, NEXT), (1, NEXT | WRITE)] {
            ring.describe(&memory, index, BUFFERS, 4096, flags, index);
            ring.offer(&memory, index);
        }
        let last = ring.size - 1;
        for index in 2..ring.size {
            let next = if index == last { 2 } else { index + 1 };
            ring.describe(&memory, index, BUFFERS, u32::from(index % 3), NEXT | WRITE, next);
        }
        ring.offer(&memory, last);
    });
}

/// Indirect tables: valid, nested, of odd size, looping, huge, and outside guest memory.
pub fn indirect_chains(make: impl Fn() -> Box<dyn VirtioDevice>) {
    on_every_queue(make, |driver, queue| {
        let memory = driver.memory.clone();
        let table = BUFFERS + 0x10000;
        write_descriptor(&memory, table, 0, (BUFFERS, 64, NEXT, 1));
        write_descriptor(&memory, table, 1, (BUFFERS, 64, NEXT | WRITE, 2));
        write_descriptor(&memory, table, 2, (BUFFERS, 64, NEXT | WRITE, 0));
        write_descriptor(&memory, table, 3, (table, 64, INDIRECT, 0));
        let ring = &mut driver.rings[queue];
        let tables = [
            (table, 32, INDIRECT),
            (table, 48, INDIRECT | WRITE),
            (table + 48, 16, INDIRECT),
            (table, 17, INDIRECT),
            (table, 0, INDIRECT),
            (table, 0xffff * 16, INDIRECT),
            (table, 0xffff_fff0, INDIRECT | NEXT),
            (MEMORY - 16, 64, INDIRECT),
            (u64::MAX - 8, 64, INDIRECT),
        ];
        for (index, (address, length, flags)) in tables.into_iter().enumerate() {
            let index = index as u16 % ring.size;
            ring.describe(&memory, index, address, length, flags, index);
            ring.offer(&memory, index);
        }
    });
}

/// Lengths that add up to more than 32 bits hold, and to more than guest memory.
pub fn oversized_chains(make: impl Fn() -> Box<dyn VirtioDevice>) {
    on_every_queue(make, |driver, queue| {
        driver.add(queue, &[Buffer::writable(0, u32::MAX)]);
        driver.add(queue, &[Buffer::readable(0, u32::MAX)]);
        driver.add(queue, &[Buffer::readable(BUFFERS, 4 << 20), Buffer::readable(BUFFERS, u32::MAX)]);
        driver.add(queue, &[Buffer::readable(BUFFERS, u32::MAX), Buffer::writable(BUFFERS, u32::MAX)]);
        // All of this is in guest memory, rings excepted, and is read or written many times over.
        driver.add(queue, &[Buffer::readable(BUFFERS, 4 << 20); 3]);
        driver.add(queue, &[Buffer::writable(BUFFERS, 4 << 20); 3]);
    });
}

/// No bytes at all, and parts in an order the specification forbids.
pub fn empty_chains(make: impl Fn() -> Box<dyn VirtioDevice>) {
    on_every_queue(make, |driver, queue| {
        driver.add(queue, &[Buffer::readable(BUFFERS, 0)]);
        driver.add(queue, &[Buffer::writable(BUFFERS, 0)]);
        driver.add(queue, &[Buffer::readable(0, 0), Buffer::writable(u64::MAX, 0)]);
        driver.add(queue, &[Buffer::writable(BUFFERS, 64), Buffer::readable(BUFFERS, 64)]);
        driver.add(queue, &[Buffer::readable(BUFFERS, 1), Buffer::writable(BUFFERS + 64, 1)]);
    });
}

/// An available index that jumps, goes back, or runs away.
pub fn nonsense_rings(make: impl Fn() -> Box<dyn VirtioDevice>) {
    on_every_queue(make, |driver, queue| {
        for index in [1, 0x8000, 0xffff, 0, 3, 2] {
            driver.rings[queue].publish(&driver.memory, index);
            driver.notify(queue);
            driver.settle(queue, u16::MAX);
        }
    });
}

/// Random descriptors in random rings.
pub fn random_chains(make: impl Fn() -> Box<dyn VirtioDevice>) {
    let address =
        prop_oneof![0..MEMORY, BUFFERS..BUFFERS + 0x1000, BEHIND_HOLE..BEHIND_HOLE + 4096, any::<u64>()];
    let length = prop_oneof![0..128u32, 4000..9000u32, any::<u32>()];
    let flags =
        prop_oneof![Just(0), Just(NEXT), Just(WRITE), Just(NEXT | WRITE), Just(INDIRECT), any::<u16>()];
    let descriptor = (address, length, flags, 0..20u16);
    let content = proptest::collection::vec(any::<u8>(), 0..64);
    let strategy =
        (proptest::collection::vec(descriptor, 1..16), proptest::collection::vec(0..18u16, 1..16), content);
    let config = Config { cases: 24, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&strategy, |(descriptors, heads, content)| {
        on_every_queue(&make, |driver, queue| {
            let memory = driver.memory.clone();
            vm_memory::Bytes::write_slice(&*memory, &content, vm_memory::GuestAddress(BUFFERS)).unwrap();
            let ring = &mut driver.rings[queue];
            for (index, &(address, length, flags, next)) in descriptors.iter().enumerate() {
                ring.describe(&memory, index as u16 % ring.size, address, length, flags, next);
            }
            for &head in &heads {
                ring.offer(&memory, head);
            }
        });
        Ok(())
    });
    outcome.unwrap();
}
