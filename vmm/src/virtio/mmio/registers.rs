//! The register file (virtio 1.2 §4.2.2).

use virtio_bindings::virtio_mmio::*;

use super::MmioTransport;

/// "virt" (virtio 1.2 §4.2.2).
const MAGIC: u32 = 0x7472_6976;
/// The version of the registers that is not legacy.
const VERSION: u32 = 2;
/// "rkt", as a vendor: no driver looks at it.
const VENDOR: u32 = 0x0074_6b72;
/// What a shared memory region that does not exist has for length and base (virtio 1.2 §4.2.2).
const NO_SHARED_MEMORY: u32 = u32::MAX;
/// Where the device's configuration space begins.
const CONFIG: u64 = VIRTIO_MMIO_CONFIG as u64;

impl MmioTransport {
    /// A read at `offset` of the device's window, where KVM cannot map the page of registers.
    pub fn read(&self, offset: u64, data: &mut [u8]) {
        self.page.page().read(offset, data);
    }

    /// A write at `offset` of the device's window. Registers take 32-bit accesses, the configuration space any.
    pub fn write(&mut self, offset: u64, data: &[u8]) {
        if let Some(offset) = offset.checked_sub(CONFIG) {
            self.device.write_config(offset, data);
            self.publish_config();
        } else if let Ok(data) = <[u8; 4]>::try_from(data) {
            self.write_register(offset as u32, u32::from_le_bytes(data));
            self.publish();
        }
    }

    /// Lets the guest see what its write has changed.
    pub(super) fn publish(&self) {
        let queue = self.selected();
        let registers = [
            (VIRTIO_MMIO_DEVICE_FEATURES, half(self.offered_features(), self.device_features_sel)),
            (VIRTIO_MMIO_QUEUE_NUM_MAX, queue.map_or(0, |queue| u32::from(queue.max_size))),
            (VIRTIO_MMIO_QUEUE_READY, queue.map_or(0, |queue| u32::from(queue.ready))),
            (VIRTIO_MMIO_STATUS, self.status.bits()),
        ];
        registers.into_iter().for_each(|(register, value)| self.page.set(register, value));
    }

    /// Lets the guest see what stays as it is.
    pub(super) fn publish_constants(&self) {
        let registers = [
            (VIRTIO_MMIO_MAGIC_VALUE, MAGIC),
            (VIRTIO_MMIO_VERSION, VERSION),
            (VIRTIO_MMIO_DEVICE_ID, self.device.device_type()),
            (VIRTIO_MMIO_VENDOR_ID, VENDOR),
            (VIRTIO_MMIO_SHM_LEN_LOW, NO_SHARED_MEMORY),
            (VIRTIO_MMIO_SHM_LEN_HIGH, NO_SHARED_MEMORY),
            (VIRTIO_MMIO_SHM_BASE_LOW, NO_SHARED_MEMORY),
            (VIRTIO_MMIO_SHM_BASE_HIGH, NO_SHARED_MEMORY),
        ];
        registers.into_iter().for_each(|(register, value)| self.page.set(register, value));
    }

    pub(super) fn publish_config(&self) {
        self.page.set_config(|| self.device.config_space());
    }

    fn write_register(&mut self, offset: u32, value: u32) {
        match offset {
            VIRTIO_MMIO_DEVICE_FEATURES_SEL => self.device_features_sel = value,
            VIRTIO_MMIO_DRIVER_FEATURES_SEL => self.driver_features_sel = value,
            VIRTIO_MMIO_DRIVER_FEATURES => self.accept_features(value),
            VIRTIO_MMIO_QUEUE_SEL => self.queue_sel = value,
            VIRTIO_MMIO_QUEUE_NOTIFY => self.notify(value),
            VIRTIO_MMIO_INTERRUPT_ACK => self.interrupt.acknowledge(value),
            VIRTIO_MMIO_STATUS => self.write_status(value),
            _ => self.write_queue_register(offset, value),
        }
    }

    fn write_queue_register(&mut self, offset: u32, value: u32) {
        // Queues of a device that works are the device's; only a reset gives them back.
        if !self.status.configuring() {
            return;
        }
        if offset == VIRTIO_MMIO_QUEUE_READY {
            return self.set_queue_ready(value & 1 != 0);
        }
        let Some(queue) = self.queues.get_mut(self.queue_sel as usize).filter(|queue| !queue.ready) else {
            return;
        };
        match offset {
            VIRTIO_MMIO_QUEUE_NUM => queue.size = value,
            VIRTIO_MMIO_QUEUE_DESC_LOW => set_half(&mut queue.descriptors, 0, value),
            VIRTIO_MMIO_QUEUE_DESC_HIGH => set_half(&mut queue.descriptors, 1, value),
            VIRTIO_MMIO_QUEUE_AVAIL_LOW => set_half(&mut queue.available, 0, value),
            VIRTIO_MMIO_QUEUE_AVAIL_HIGH => set_half(&mut queue.available, 1, value),
            VIRTIO_MMIO_QUEUE_USED_LOW => set_half(&mut queue.used, 0, value),
            VIRTIO_MMIO_QUEUE_USED_HIGH => set_half(&mut queue.used, 1, value),
            _ => {}
        }
    }

    fn accept_features(&mut self, value: u32) {
        if self.status.negotiating() {
            set_half(&mut self.driver_features, self.driver_features_sel, value);
            self.driver_features &= self.offered_features();
        }
    }

    /// A notification KVM did not take itself: of a queue that does not exist, or where there is no ioeventfd.
    fn notify(&self, queue: u32) {
        if let Some(kick) = self.kicks.get(queue as usize) {
            // Fails only when the counter is at its limit: the notification is pending already.
            let _ = kick.write(1);
        }
    }
}

/// The 32 bits of `value` that a selector register chooses.
fn half(value: u64, selector: u32) -> u32 {
    match selector {
        0 => value as u32,
        1 => (value >> 32) as u32,
        _ => 0,
    }
}

fn set_half(value: &mut u64, selector: u32, half: u32) {
    match selector {
        0 => *value = *value & !0xffff_ffff | u64::from(half),
        1 => *value = *value & 0xffff_ffff | u64::from(half) << 32,
        _ => {}
    }
}
