//! From DRIVER_OK to reset, and again.

use virtio_bindings::{virtio_config::*, virtio_mmio::*};

use crate::virtio::{
    VirtioDevice,
    conformance::{BUFFERS, Buffer, Driver},
};

/// DRIVER_OK without any queue: the device refuses or waits, and comes back after a reset.
pub fn missing_queues_are_no_crash(make: impl Fn() -> Box<dyn VirtioDevice>) {
    let mut driver = Driver::new(make());
    let features = driver.offered();
    assert!(driver.negotiate(features));
    driver.go();
    for queue in 0..driver.queue_count() {
        driver.write(VIRTIO_MMIO_QUEUE_NOTIFY, queue);
    }
    driver.reset();
    driver.start();
}

/// Notifications, also of queues that do not exist, at every step before DRIVER_OK.
pub fn notification_before_the_device_works(make: impl Fn() -> Box<dyn VirtioDevice>) {
    let mut driver = Driver::new(make());
    let notify = |driver: &mut Driver| {
        for queue in [0, 1, 2, 3, 0xffff, u32::MAX] {
            driver.write(VIRTIO_MMIO_QUEUE_NOTIFY, queue);
        }
    };
    notify(&mut driver);
    driver.write(VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE);
    notify(&mut driver);
    let features = driver.offered();
    assert!(driver.negotiate(features));
    notify(&mut driver);
    driver.rings = driver.make_rings();
    for (queue, ring) in driver.rings.clone().iter().enumerate() {
        assert!(driver.set_up_queue(queue as u32, ring));
        notify(&mut driver);
    }
    assert_eq!(
        driver.read(VIRTIO_MMIO_INTERRUPT_STATUS),
        0,
        "A device that does not work must not interrupt"
    );
    driver.go();
    notify(&mut driver);
    assert_eq!(driver.status() & VIRTIO_CONFIG_S_NEEDS_RESET, 0);
}

/// A reset forgets everything the driver set, and the device can be set up again, many times.
pub fn reset_and_activation_again(make: impl Fn() -> Box<dyn VirtioDevice>) {
    let mut driver = Driver::new(make());
    for _ in 0..5 {
        driver.start();
        for queue in 0..driver.rings.len() {
            driver.notify(queue);
        }
        driver.reset();
        assert_eq!(driver.read(VIRTIO_MMIO_INTERRUPT_STATUS), 0);
        for queue in 0..driver.queue_count() {
            driver.write(VIRTIO_MMIO_QUEUE_SEL, queue);
            assert_eq!(driver.read(VIRTIO_MMIO_QUEUE_READY), 0);
        }
        driver.reset();
    }
}

/// A reset while there is work. Afterwards the device leaves the old rings alone.
pub fn reset_while_busy(make: impl Fn() -> Box<dyn VirtioDevice>) {
    let mut driver = Driver::new(make());
    for round in 0..10 {
        driver.start();
        for queue in 0..driver.rings.len() {
            for _ in 0..4 {
                driver.add(queue, &[Buffer::readable(BUFFERS, 64), Buffer::writable(BUFFERS + 4096, 4096)]);
            }
        }
        if round % 2 == 0 {
            std::thread::yield_now();
        }
        driver.reset();
        let before: Vec<u16> = driver.rings.iter().map(|ring| ring.used_index(&driver.memory)).collect();
        std::thread::sleep(std::time::Duration::from_millis(2));
        let after: Vec<u16> = driver.rings.iter().map(|ring| ring.used_index(&driver.memory)).collect();
        assert_eq!(before, after, "Device goes on after a reset");
    }
}

/// The end of a machine: no reset, and the event loop is gone already.
pub fn dropped_while_active(make: impl Fn() -> Box<dyn VirtioDevice>) {
    let mut driver = Driver::started(make());
    for queue in 0..driver.rings.len() {
        driver.add(queue, &[Buffer::readable(BUFFERS, 64), Buffer::writable(BUFFERS + 4096, 4096)]);
    }
    drop(driver);
    drop(Driver::new(make()));
}
