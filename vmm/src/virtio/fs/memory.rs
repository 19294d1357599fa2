//! Guest memory in the type the library is written for.

use std::io;

use virtiofsd::descriptor_utils::Reader;
use vm_memory::{GuestAddress, GuestMemory, GuestMemoryMmap, GuestMemoryRegion, GuestRegionMmap, MmapRegion};

use crate::virtio::GuestRam;

/// The type of dirty bitmap the library's readers and writers carry. It has no name in its interface other than as
/// their default.
pub(super) type Bitmap = <Reader<'static> as OverBitmap>::Bitmap;

pub(super) trait OverBitmap {
    type Bitmap;
}

impl<B> OverBitmap for Reader<'static, B> {
    type Bitmap = B;
}

/// A second view of guest memory, over the same mappings.
#[derive(Debug)]
pub(super) struct ServerMemory {
    view: GuestMemoryMmap<Bitmap>,
    /// Owns the mappings.
    _ram: GuestRam,
}

impl ServerMemory {
    /// A view of all of `ram`.
    pub fn new(ram: GuestRam) -> io::Result<Self> {
        let regions = ram.iter().map(|region| view(region)).collect::<io::Result<Vec<_>>>()?;
        let view = GuestMemoryMmap::from_regions(regions).map_err(io::Error::other)?;
        Ok(ServerMemory { view, _ram: ram })
    }

    /// The view.
    pub fn view(&self) -> &GuestMemoryMmap<Bitmap> {
        &self.view
    }
}

fn view(region: &GuestRegionMmap) -> io::Result<GuestRegionMmap<Bitmap>> {
    // SAFETY: the mapping is as long as `region` says, and outlives the view, which `ServerMemory` keeps next to its
    // owner. A region built this way does not unmap it.
    let mapping =
        unsafe { MmapRegion::build_raw(region.as_ptr(), region.size(), region.prot(), region.flags()) };
    let start: GuestAddress = region.start_addr();
    GuestRegionMmap::new(mapping.map_err(io::Error::other)?, start)
        .ok_or_else(|| io::Error::other("Guest memory region wraps around"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use vm_memory::Bytes;

    use super::*;

    #[test]
    fn both_views_show_the_same_bytes() {
        let ranges = [(GuestAddress(0), 0x4000), (GuestAddress(0x10000), 0x2000)];
        let ram = Arc::new(GuestMemoryMmap::from_ranges(&ranges).unwrap());
        let memory = ServerMemory::new(ram.clone()).unwrap();
        ram.write_obj(0x1234_u32, GuestAddress(0x10ffc)).unwrap();
        assert_eq!(memory.view().read_obj::<u32>(GuestAddress(0x10ffc)).unwrap(), 0x1234);
        assert!(memory.view().read_obj::<u32>(GuestAddress(0x8000)).is_err());
        drop(ram);
        memory.view().write_obj(7_u8, GuestAddress(0)).unwrap();
    }
}
