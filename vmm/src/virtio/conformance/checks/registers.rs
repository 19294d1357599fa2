//! Registers, features and the configuration space.

use virtio_bindings::{virtio_config::*, virtio_mmio::*};

use crate::virtio::{VirtioDevice, conformance::Driver, mmio::WINDOW};

/// Only offered features are accepted, and nothing goes without VIRTIO_F_VERSION_1.
pub fn features_are_negotiated(make: impl Fn() -> Box<dyn VirtioDevice>) {
    let mut driver = Driver::new(make());
    let offered = driver.offered();
    assert_ne!(offered & 1 << VIRTIO_F_VERSION_1, 0);
    assert!(driver.negotiate(offered));
    assert!(driver.negotiate(1 << VIRTIO_F_VERSION_1), "A driver may do without any feature");
    assert!(driver.negotiate(u64::MAX), "Bits not offered are ignored");
    assert!(!driver.negotiate(offered & !(1 << VIRTIO_F_VERSION_1)), "Legacy drivers are refused");
    assert!(!driver.negotiate(0));
    driver.write(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 2);
    assert_eq!(driver.read(VIRTIO_MMIO_DEVICE_FEATURES), 0);
}

/// Identification, and what is not there.
pub fn registers_are_as_specified(make: impl Fn() -> Box<dyn VirtioDevice>) {
    let device = make();
    let (device_type, sizes) = (device.device_type(), device.queue_sizes().to_vec());
    let mut driver = Driver::new(device);
    assert_eq!(driver.read(VIRTIO_MMIO_MAGIC_VALUE), u32::from_le_bytes(*b"virt"));
    assert_eq!(driver.read(VIRTIO_MMIO_VERSION), 2);
    assert_eq!(driver.read(VIRTIO_MMIO_DEVICE_ID), device_type);
    assert_eq!(driver.read(VIRTIO_MMIO_INTERRUPT_STATUS), 0);
    assert_eq!(driver.read(VIRTIO_MMIO_SHM_LEN_LOW), u32::MAX);
    assert!(!sizes.is_empty());
    for (queue, &size) in sizes.iter().enumerate() {
        assert!(size.is_power_of_two());
        assert_eq!(driver.max_size(queue as u32), u32::from(size));
        assert_eq!(driver.read(VIRTIO_MMIO_QUEUE_READY), 0);
    }
    assert_eq!(driver.queue_count() as usize, sizes.len());
    assert_eq!(driver.max_size(u32::MAX), 0);
}

/// Accesses of any width anywhere in the window, and registers that do not exist.
pub fn unknown_accesses_are_harmless(make: impl Fn() -> Box<dyn VirtioDevice>) {
    let mut driver = Driver::started(make());
    let expected = driver.status();
    for offset in 0..u64::from(VIRTIO_MMIO_CONFIG) {
        for width in [1, 2, 3, 8] {
            let mut data = [0xaa; 8];
            driver.transport.read(offset, &mut data[..width]);
            driver.transport.write(offset, &[0xff; 8][..width]);
        }
    }
    for offset in (0x10c..0x200).chain(WINDOW - 8..WINDOW).chain([u64::MAX - 8]) {
        driver.transport.write(offset, &[0xff; 4]);
        driver.transport.read(offset, &mut [0; 8]);
    }
    assert_eq!(driver.status(), expected);
}

/// Reads and writes of the configuration space at every offset and width, also where it ends.
pub fn configuration_withstands_any_access(make: impl Fn() -> Box<dyn VirtioDevice>) {
    let mut driver = Driver::started(make());
    let before = driver.read_config(0, 64);
    for offset in (0..128).chain([WINDOW - 0x101, u64::from(u32::MAX), u64::MAX - 0x108]) {
        for width in [0, 1, 2, 4, 8] {
            assert!(driver.read_config(offset, width).len() == width);
        }
    }
    for byte in &driver.read_config(WINDOW, 8) {
        assert_eq!(*byte, 0, "Beyond its end the configuration space reads as zero");
    }
    for offset in (0..128).chain([WINDOW, u64::MAX - 0x108]) {
        for width in [0, 1, 2, 4, 8] {
            driver.write_config(offset, &[0x5a; 8][..width]);
        }
    }
    driver.reset();
    driver.start();
    assert_eq!(driver.read_config(0, 64).len(), before.len());
}

/// Steps of the status field out of order are not taken.
pub fn status_follows_the_order(make: impl Fn() -> Box<dyn VirtioDevice>) {
    let mut driver = Driver::new(make());
    assert_eq!(driver.status(), 0);
    driver.write(VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_DRIVER_OK);
    assert_eq!(driver.status() & VIRTIO_CONFIG_S_DRIVER_OK, 0);
    driver.write(VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_FEATURES_OK);
    assert_eq!(driver.status(), VIRTIO_CONFIG_S_ACKNOWLEDGE);

    let features = driver.offered();
    assert!(driver.negotiate(features));
    driver.write(VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE);
    assert_ne!(driver.status() & VIRTIO_CONFIG_S_FEATURES_OK, 0, "Only a reset clears bits");

    driver.write(VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_FAILED);
    driver.go();
    assert_eq!(driver.status() & VIRTIO_CONFIG_S_DRIVER_OK, 0, "A driver that gave up cannot go on");
    driver.reset();
    driver.start();
}

/// Queue addresses outside guest memory, across its holes, and not aligned.
pub fn queues_outside_memory_are_refused(make: impl Fn() -> Box<dyn VirtioDevice>) {
    use crate::virtio::conformance::{BEHIND_HOLE, MEMORY};
    let bad = [MEMORY, MEMORY - 4, BEHIND_HOLE - 16, BEHIND_HOLE + 4096, 1 << 63, !15, u64::MAX, 0x10_0001];
    for address in bad {
        for part in 0..3 {
            let mut driver = Driver::new(make());
            let features = driver.offered();
            assert!(driver.negotiate(features));
            let mut ring = driver.make_rings().swap_remove(0);
            *[&mut ring.descriptors, &mut ring.available, &mut ring.used][part] = address;
            assert!(!driver.set_up_queue(0, &ring), "Part {part} at {address:#x}");
            assert_ne!(driver.status() & VIRTIO_CONFIG_S_NEEDS_RESET, 0);
            driver.go();
            assert_eq!(driver.status() & VIRTIO_CONFIG_S_DRIVER_OK, 0);
            driver.reset();
            driver.start();
        }
    }
}

/// Sizes that are no power of two, zero, or larger than allowed.
pub fn queue_sizes_are_checked(make: impl Fn() -> Box<dyn VirtioDevice>) {
    for size in [0, 3, u32::from(u16::MAX), 0x8000_0000, u32::MAX, 0x1_0001] {
        let mut driver = Driver::new(make());
        let features = driver.offered();
        assert!(driver.negotiate(features));
        let ring = driver.make_rings().swap_remove(0);
        assert!(driver.set_up_queue(0, &ring));
        driver.write(VIRTIO_MMIO_QUEUE_READY, 0);
        driver.write(VIRTIO_MMIO_QUEUE_NUM, size);
        driver.write(VIRTIO_MMIO_QUEUE_READY, 1);
        assert_eq!(driver.read(VIRTIO_MMIO_QUEUE_READY), 0, "Size {size}");
    }
    let mut driver = Driver::new(make());
    let features = driver.offered();
    assert!(driver.negotiate(features));
    let mut ring = driver.make_rings().swap_remove(0);
    ring.size = 1;
    assert!(driver.set_up_queue(0, &ring), "The smallest size is a valid size");
}
