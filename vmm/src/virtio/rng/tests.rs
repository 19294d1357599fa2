use vm_memory::{Bytes, GuestAddress};

use super::{REQUEST_LIMIT, Rng};
use crate::virtio::conformance::{BUFFERS, Buffer, Driver, suite};

suite!(Rng::default());

#[test]
fn fills_requests_with_entropy() {
    let mut driver = Driver::started(Box::new(Rng::default()));
    let head = driver.add(0, &[Buffer::writable(BUFFERS, 1000)]);
    assert_eq!(driver.wait_used(0), (u32::from(head), 1000));
    assert_eq!(driver.wait_interrupt(), 1);
    let mut bytes = vec![0; 1000];
    driver.memory.read_slice(&mut bytes, GuestAddress(BUFFERS)).unwrap();
    let zeroes = bytes.iter().filter(|&&byte| byte == 0).count();
    assert!(zeroes < 50, "{zeroes} of 1000 bytes are zero");
    let mut next = [0xff; 8];
    driver.memory.read_slice(&mut next, GuestAddress(BUFFERS + 1000)).unwrap();
    assert_eq!(next, [0; 8], "Wrote beyond the request");
}

#[test]
fn spans_buffers_and_leaves_readable_ones_alone() {
    let mut driver = Driver::started(Box::new(Rng::default()));
    let buffers = [
        Buffer::readable(BUFFERS, 64),
        Buffer::writable(BUFFERS + 64, 300),
        Buffer::writable(BUFFERS + 4096, 7),
    ];
    driver.add(0, &buffers);
    assert_eq!(driver.wait_used(0).1, 307);
    assert_eq!(driver.memory.read_obj::<u128>(GuestAddress(BUFFERS)).unwrap(), 0);
}

#[test]
fn large_requests_get_the_limit() {
    let mut driver = Driver::started(Box::new(Rng::default()));
    driver.add(0, &[Buffer::writable(BUFFERS, 1 << 20), Buffer::writable(BUFFERS, 1 << 20)]);
    assert_eq!(driver.wait_used(0).1 as usize, REQUEST_LIMIT);
}

#[test]
fn works_after_a_reset() {
    let mut driver = Driver::started(Box::new(Rng::default()));
    for _ in 0..3 {
        driver.add(0, &[Buffer::writable(BUFFERS, 32)]);
        assert_eq!(driver.wait_used(0).1, 32);
        driver.reset();
        driver.start();
    }
}
