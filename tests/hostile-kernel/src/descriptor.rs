//! Descriptors of a split virtqueue (virtio 1.2 §2.7.5).

/// The chain goes on at `next`.
pub const NEXT: u16 = 1;
/// The device writes.
pub const WRITE: u16 = 2;
/// The buffer holds a table of descriptors (virtio 1.2 §2.7.5.3).
pub const INDIRECT: u16 = 4;
/// Bytes of a descriptor.
pub const SIZE: u64 = 16;

/// `struct virtq_desc`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Descriptor {
    /// Guest physical address of the buffer.
    pub address: u64,
    /// Its bytes.
    pub length: u32,
    /// [`NEXT`], [`WRITE`], [`INDIRECT`].
    pub flags: u16,
    /// Index of the next one.
    pub next: u16,
}

impl Descriptor {
    /// A buffer the device reads.
    #[must_use]
    pub fn read(address: u64, length: u32) -> Self {
        Descriptor { address, length, ..Self::default() }
    }

    /// A buffer the device writes.
    #[must_use]
    pub fn write(address: u64, length: u32) -> Self {
        Descriptor { address, length, flags: WRITE, next: 0 }
    }

    /// A table of descriptors.
    #[must_use]
    pub fn indirect(address: u64, length: u32) -> Self {
        Descriptor { address, length, flags: INDIRECT, next: 0 }
    }

    /// The same, with the chain going on at `next`.
    #[must_use]
    pub fn then(self, next: u16) -> Self {
        Descriptor { flags: self.flags | NEXT, next, ..self }
    }

    /// As it lies in memory.
    #[must_use]
    pub fn bytes(&self) -> [u8; SIZE as usize] {
        let mut bytes = [0; SIZE as usize];
        bytes[..8].copy_from_slice(&self.address.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.length.to_le_bytes());
        bytes[12..14].copy_from_slice(&self.flags.to_le_bytes());
        bytes[14..].copy_from_slice(&self.next.to_le_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout() {
        let descriptor = Descriptor::write(0x1122_3344_5566_7788, 0x99aa_bbcc).then(0x0102);
        let expected =
            [0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0xcc, 0xbb, 0xaa, 0x99, 3, 0, 0x02, 0x01];
        assert_eq!(descriptor.bytes(), expected);
    }
}
