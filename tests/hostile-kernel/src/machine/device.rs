//! A device behind its registers (virtio 1.2 §4.2.2).

use super::{Queue, ram};

/// Registers.
pub mod register {
    pub const DEVICE_ID: u64 = 0x008;
    pub const DRIVER_FEATURES: u64 = 0x020;
    pub const DRIVER_FEATURES_SEL: u64 = 0x024;
    pub const QUEUE_SEL: u64 = 0x030;
    pub const QUEUE_NUM_MAX: u64 = 0x034;
    pub const QUEUE_NUM: u64 = 0x038;
    pub const QUEUE_READY: u64 = 0x044;
    pub const QUEUE_NOTIFY: u64 = 0x050;
    pub const STATUS: u64 = 0x070;
    pub const QUEUE_DESC: u64 = 0x080;
    pub const QUEUE_DRIVER: u64 = 0x090;
    pub const QUEUE_DEVICE: u64 = 0x0a0;
    pub const CONFIG: u64 = 0x100;
}

/// Bits of the device status field (virtio 1.2 §2.1).
pub mod status {
    pub const ACKNOWLEDGE: u32 = 1;
    pub const DRIVER: u32 = 2;
    pub const DRIVER_OK: u32 = 4;
    pub const FEATURES_OK: u32 = 8;
}

/// Kinds of devices (virtio 1.2 §5).
pub mod kind {
    pub const NET: u32 = 1;
    pub const RNG: u32 = 4;
    pub const BALLOON: u32 = 5;
    pub const VSOCK: u32 = 19;
    pub const FS: u32 = 26;
}

/// VIRTIO_F_INDIRECT_DESC, and in the upper half VIRTIO_F_VERSION_1.
const INDIRECT: u32 = 1 << 28;
const VERSION_1: u32 = 1;
/// The most queues of a device here.
const MAX_QUEUES: u64 = 8;
/// What a ring gets of [`ram::RINGS`].
const RING: u64 = 0x8000;
/// Bytes of a device's registers.
const WINDOW: u64 = 0x1000;

/// A device.
#[derive(Debug, Clone, Copy, Default)]
pub struct Device {
    /// Guest physical address of its registers.
    pub base: u64,
}

impl Device {
    /// Reads a register.
    pub fn read(&self, register: u64) -> u32 {
        ram::read_register(self.base + register)
    }

    /// Writes a register.
    pub fn write(&self, register: u64, value: u32) {
        ram::write_register(self.base + register, value);
    }

    /// What it is.
    pub fn kind(&self) -> u32 {
        self.read(register::DEVICE_ID)
    }

    /// Its status.
    pub fn status(&self) -> u32 {
        self.read(register::STATUS)
    }

    /// Resets it, and negotiates no more than chains need, and `features` of the lower half.
    pub fn negotiate(&self, features: u32) {
        self.write(register::STATUS, 0);
        let known = status::ACKNOWLEDGE | status::DRIVER;
        self.write(register::STATUS, status::ACKNOWLEDGE);
        self.write(register::STATUS, known);
        for (half, bits) in [(0, INDIRECT | features), (1, VERSION_1)] {
            self.write(register::DRIVER_FEATURES_SEL, half);
            self.write(register::DRIVER_FEATURES, bits);
        }
        self.write(register::STATUS, known | status::FEATURES_OK);
    }

    /// Describes a queue as it should be described, and says that it is ready.
    pub fn set_up(&self, index: u16) -> Queue {
        self.write(register::QUEUE_SEL, u32::from(index));
        let size = self.read(register::QUEUE_NUM_MAX);
        let queue = self.queue(index, size as u16);
        ram::fill(queue.descriptors(), RING, 0);
        self.describe(size, [queue.descriptors(), queue.available(), queue.used()]);
        queue
    }

    /// One of its queues, where it is in this kernel's memory.
    pub fn queue(&self, index: u16, size: u16) -> Queue {
        let slot = (self.base / WINDOW % MAX_QUEUES) * MAX_QUEUES + u64::from(index);
        Queue::new(*self, index, size, ram::RINGS + slot * RING)
    }

    /// Writes what describes the selected queue, and says that it is ready. Whether the device thinks so.
    pub fn describe(&self, size: u32, parts: [u64; 3]) -> bool {
        self.write(register::QUEUE_NUM, size);
        let registers = [register::QUEUE_DESC, register::QUEUE_DRIVER, register::QUEUE_DEVICE];
        for (register, address) in registers.into_iter().zip(parts) {
            self.write(register, address as u32);
            self.write(register + 4, (address >> 32) as u32);
        }
        self.write(register::QUEUE_READY, 1);
        self.read(register::QUEUE_READY) == 1
    }

    /// Says that the driver is ready.
    pub fn go(&self) {
        self.write(register::STATUS, self.status() | status::DRIVER_OK);
    }

    /// Negotiates, sets up the first `N` queues, and starts the device.
    pub fn start<const N: usize>(&self) -> [Queue; N] {
        self.start_with(0)
    }

    /// The same with features of the device.
    pub fn start_with<const N: usize>(&self, features: u32) -> [Queue; N] {
        self.negotiate(features);
        let queues = core::array::from_fn(|index| self.set_up(index as u16));
        self.go();
        queues
    }

    /// Negotiates, sets up all queues, and starts the device: the first two of them. With several processors some devices have more, and
    /// need them all.
    pub fn start_whole(&self) -> [Queue; 2] {
        self.negotiate(0);
        let queues = [0, 1].map(|index| self.set_up(index));
        for index in 2..MAX_QUEUES as u16 {
            self.set_up(index);
        }
        self.go();
        queues
    }
}
