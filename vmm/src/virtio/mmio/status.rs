//! The device status field (virtio 1.2 §2.1).

use virtio_bindings::virtio_config::{
    VIRTIO_CONFIG_S_ACKNOWLEDGE, VIRTIO_CONFIG_S_DRIVER, VIRTIO_CONFIG_S_DRIVER_OK, VIRTIO_CONFIG_S_FAILED,
    VIRTIO_CONFIG_S_FEATURES_OK, VIRTIO_CONFIG_S_NEEDS_RESET,
};

/// The device status field.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Status(u32);

impl Status {
    /// As the driver reads it.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// The driver may negotiate features: it has said that it knows the device, and not yet what it accepts.
    pub fn negotiating(self) -> bool {
        self.has(VIRTIO_CONFIG_S_DRIVER) && !self.has(VIRTIO_CONFIG_S_FEATURES_OK) && !self.broken()
    }

    /// The driver may set up queues: features are agreed, and the device does not work yet.
    pub fn configuring(self) -> bool {
        self.has(VIRTIO_CONFIG_S_FEATURES_OK) && !self.has(VIRTIO_CONFIG_S_DRIVER_OK) && !self.broken()
    }

    /// Says that only a reset helps.
    pub fn set_needs_reset(&mut self) {
        self.0 |= VIRTIO_CONFIG_S_NEEDS_RESET;
    }

    /// Takes the next steps the driver asks for with `wanted`, in the order the specification demands (§3.1.1);
    /// steps out of order are not taken, which the driver sees when it reads the field again. Bits are never cleared.
    /// `features_acceptable` says whether FEATURES_OK may be taken. True if the device is to start now.
    pub fn advance(&mut self, wanted: u32, features_acceptable: bool) -> bool {
        self.0 |= wanted & (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_FAILED);
        if wanted & VIRTIO_CONFIG_S_DRIVER != 0 && self.has(VIRTIO_CONFIG_S_ACKNOWLEDGE) {
            self.0 |= VIRTIO_CONFIG_S_DRIVER;
        }
        if wanted & VIRTIO_CONFIG_S_FEATURES_OK != 0 && self.negotiating() && features_acceptable {
            self.0 |= VIRTIO_CONFIG_S_FEATURES_OK;
        }
        let start = wanted & VIRTIO_CONFIG_S_DRIVER_OK != 0 && self.configuring();
        if start {
            self.0 |= VIRTIO_CONFIG_S_DRIVER_OK;
        }
        start
    }

    fn has(self, bit: u32) -> bool {
        self.0 & bit != 0
    }

    fn broken(self) -> bool {
        self.0 & (VIRTIO_CONFIG_S_FAILED | VIRTIO_CONFIG_S_NEEDS_RESET) != 0
    }
}
