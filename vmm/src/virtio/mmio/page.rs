//! The registers as the guest reads them.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU32, Ordering},
};

use virtio_bindings::virtio_mmio::{
    VIRTIO_MMIO_CONFIG, VIRTIO_MMIO_CONFIG_GENERATION, VIRTIO_MMIO_INTERRUPT_STATUS,
};

use crate::memory::ReadOnlyPage;

/// The longest configuration space a device may have, in bytes.
const CONFIG_LEN: usize = 256;

const WORD: usize = size_of::<u32>();

/// What a device's window reads as. KVM maps it into the guest: to read a register is to read memory, and costs no exit.
/// Only writes leave the guest, and each may change what is read next.
#[derive(Debug, Default)]
pub struct RegisterPage {
    page: Arc<ReadOnlyPage>,
    /// Held by whoever changes the configuration space, or an old value could overtake a new one.
    config: Mutex<()>,
}

impl RegisterPage {
    /// The page to map.
    pub fn page(&self) -> &Arc<ReadOnlyPage> {
        &self.page
    }

    /// Changes what a register reads as.
    pub fn set(&self, register: u32, value: u32) {
        if let Some(word) = self.page.words().get(register as usize / WORD) {
            word.store(value, Ordering::SeqCst);
        }
    }

    /// Changes the configuration space to what `read` returns.
    pub fn set_config(&self, read: impl FnOnce() -> Vec<u8>) {
        let _alone = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = [0; CONFIG_LEN];
        bytes.iter_mut().zip(read()).for_each(|(shown, byte)| *shown = byte);
        for (register, word) in (VIRTIO_MMIO_CONFIG..).step_by(WORD).zip(bytes.as_chunks().0) {
            self.set(register, u32::from_le_bytes(*word));
        }
    }

    /// The InterruptStatus register.
    pub fn interrupt_status(&self) -> &AtomicU32 {
        &self.page.words()[VIRTIO_MMIO_INTERRUPT_STATUS as usize / WORD]
    }

    /// The ConfigGeneration register.
    pub fn config_generation(&self) -> &AtomicU32 {
        &self.page.words()[VIRTIO_MMIO_CONFIG_GENERATION as usize / WORD]
    }
}
