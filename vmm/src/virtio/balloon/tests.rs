use vm_memory::{Bytes, GuestAddress};

use super::{memory::is_resident, *};
use crate::virtio::conformance::{BEHIND_HOLE, BUFFERS, Buffer, Driver, MEMORY, suite};

suite!(Balloon::default());

/// A driver with a started balloon and guest memory that is all touched, from `BUFFERS` on.
fn driver() -> (Driver, BalloonTarget) {
    let balloon = Balloon::default();
    let target = balloon.target();
    let driver = Driver::started(Box::new(balloon));
    driver.memory.write_slice(&vec![7; (MEMORY - BUFFERS) as usize], GuestAddress(BUFFERS)).unwrap();
    (driver, target)
}

fn inflate(driver: &mut Driver, pages: &[u32]) {
    let bytes: Vec<u8> = pages.iter().flat_map(|page| page.to_le_bytes()).collect();
    driver.memory.write_slice(&bytes, GuestAddress(BUFFERS)).unwrap();
    driver.add(INFLATE, &[Buffer::readable(BUFFERS, bytes.len() as u32)]);
    assert_eq!(driver.wait_used(INFLATE).1, 0);
}

fn resident(driver: &Driver, page: u32) -> bool {
    is_resident(&driver.memory, GuestAddress(u64::from(page) * PAGE))
}

const PAGES: u32 = (BUFFERS / PAGE) as u32;

#[test]
fn inflating_returns_pages_to_the_host() {
    let (mut driver, _target) = driver();
    inflate(&mut driver, &[PAGES + 17, PAGES + 16, PAGES + 20, PAGES + 21, PAGES + 40]);
    for page in 10..50 {
        let expected = ![16, 17, 20, 21, 40].contains(&page);
        assert_eq!(resident(&driver, PAGES + page), expected, "page {page}");
    }
    assert_eq!(driver.memory.read_obj::<u64>(GuestAddress(BUFFERS + 16 * PAGE)).unwrap(), 0);
    assert_eq!(driver.wait_interrupt(), 1);
}

#[test]
fn pages_outside_memory_are_ignored() {
    let (mut driver, _target) = driver();
    inflate(&mut driver, &[u32::MAX, (MEMORY / PAGE) as u32, (BEHIND_HOLE / PAGE) as u32 + 1, PAGES + 16]);
    assert!(!resident(&driver, PAGES + 16));
    assert!(resident(&driver, PAGES + 15) && resident(&driver, PAGES + 17));
}

#[test]
fn deflating_is_acknowledged() {
    let (mut driver, _target) = driver();
    driver.add(DEFLATE, &[Buffer::readable(BUFFERS, 4)]);
    assert_eq!(driver.wait_used(DEFLATE).1, 0);
    assert!(resident(&driver, PAGES));
}

#[test]
fn reported_ranges_return_to_the_host_but_for_partial_pages() {
    let (mut driver, _target) = driver();
    let ranges = [
        Buffer::writable(BUFFERS + 16 * PAGE, 2 * PAGE as u32),
        Buffer::writable(BUFFERS + 20 * PAGE + 1, 5000),
    ];
    driver.add(REPORT, &ranges);
    driver.wait_used(REPORT);
    for page in 10..30 {
        assert_eq!(resident(&driver, PAGES + page), !(16..18).contains(&page), "page {page}");
    }
}

#[test]
fn a_target_reaches_the_driver_and_its_answer_comes_back() {
    let (mut driver, target) = driver();
    let generation = driver.read(virtio_bindings::virtio_mmio::VIRTIO_MMIO_CONFIG_GENERATION);
    target.set(10 * PAGE + 1);
    assert_eq!(driver.wait_interrupt(), 3, "The used-buffer bit is always set");
    assert_eq!(driver.read(virtio_bindings::virtio_mmio::VIRTIO_MMIO_INTERRUPT_STATUS), 1);
    assert_ne!(driver.read(virtio_bindings::virtio_mmio::VIRTIO_MMIO_CONFIG_GENERATION), generation);
    assert_eq!(driver.read_config(0, 8), [10, 0, 0, 0, 0, 0, 0, 0]);
    driver.write_config(4, &[7, 0, 0, 0]);
    assert_eq!(target.reached(), 7 * PAGE);
    driver.write_config(0, &[99, 0, 0, 0]);
    assert_eq!(driver.read_config(0, 4), [10, 0, 0, 0], "The target is not the driver's to write");
    driver.reset();
    assert_eq!(target.reached(), 0);
    target.set(u64::MAX);
    driver.start();
    assert_eq!(driver.read_config(0, 4), [0xff; 4]);
}

#[test]
fn a_driver_without_reporting_needs_no_queue_for_it() {
    let mut driver = Driver::new(Box::new(Balloon::default()));
    assert!(driver.negotiate(1 << virtio_bindings::virtio_config::VIRTIO_F_VERSION_1));
    let rings = driver.make_rings();
    assert!(driver.set_up_queue(0, &rings[0]) && driver.set_up_queue(1, &rings[1]));
    driver.go();
    assert_eq!(driver.status() & virtio_bindings::virtio_config::VIRTIO_CONFIG_S_NEEDS_RESET, 0);
}
