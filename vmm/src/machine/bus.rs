//! What the guest finds at its ports and in the gaps of its memory.

use std::sync::{Mutex, PoisonError};

use crate::{
    kvm::Devices,
    memory::layout,
    serial::Console,
    virtio::mmio::{MmioTransport, WINDOW},
};

/// Command port of the keyboard controller.
const KEYBOARD_COMMAND: u16 = 0x64;
/// Its command that pulls the CPU's reset line.
const RESET: u8 = 0xfe;
/// What a port reads as where nothing is.
const NOTHING: u8 = 0xff;

/// The machine's devices. Windows of virtio devices follow each other, in the order of the devices.
#[derive(Debug, Default)]
pub(super) struct Bus {
    pub virtio: Vec<Mutex<MmioTransport>>,
    pub console: Option<Console>,
}

impl Bus {
    /// The device whose window holds `address`, and the offset in it.
    fn find(&self, address: u64) -> Option<(&Mutex<MmioTransport>, u64)> {
        let offset = address.checked_sub(layout::DEVICES)?;
        let device = self.virtio.get(usize::try_from(offset / WINDOW).ok()?)?;
        Some((device, offset % WINDOW))
    }
}

impl Devices for Bus {
    fn port_in(&self, port: u16, data: &mut [u8]) {
        if !self.console.as_ref().is_some_and(|console| console.port_in(port, data)) {
            data.fill(NOTHING);
        }
    }

    fn port_out(&self, port: u16, data: &[u8]) -> bool {
        if let Some(console) = &self.console {
            console.port_out(port, data);
        }
        port == KEYBOARD_COMMAND && data.first() == Some(&RESET)
    }

    fn mmio_read(&self, address: u64, data: &mut [u8]) {
        if let Some((device, offset)) = self.find(address) {
            device.lock().unwrap_or_else(PoisonError::into_inner).read(offset, data);
        }
    }

    fn mmio_write(&self, address: u64, data: &[u8]) {
        if let Some((device, offset)) = self.find(address) {
            device.lock().unwrap_or_else(PoisonError::into_inner).write(offset, data);
        }
    }
}
