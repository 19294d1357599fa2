use vm_memory::{Address, Bytes, GuestAddress, GuestMemory, GuestMemoryRegion};

use super::*;

fn ranges(bytes: u64) -> Vec<(u64, u64)> {
    allocate(bytes).unwrap().iter().map(|region| (region.start_addr().raw_value(), region.len())).collect()
}

#[test]
fn small_memory_is_one_region() {
    assert_eq!(ranges(128 << 20), [(0, 128 << 20)]);
    assert_eq!(ranges((128 << 20) + 1), [(0, 130 << 20)]);
    assert_eq!(ranges(layout::DEVICES), [(0, layout::DEVICES)]);
}

#[test]
fn large_memory_leaves_the_devices_gap() {
    assert_eq!(ranges(4 << 30), [(0, 0xd000_0000), (1 << 32, 0x3000_0000)]);
    assert_eq!(ranges(layout::DEVICES + 1), [(0, layout::DEVICES), (1 << 32, HUGE_PAGE)]);
}

#[test]
fn sizes_outside_the_limits_are_refused() {
    for bytes in [0, SMALLEST - 1, LARGEST + 1, u64::MAX] {
        let error = allocate(bytes).unwrap_err();
        assert!(error.to_string().contains("outside the limits of 16 MiB"), "{error}");
    }
}

#[test]
fn memory_is_aligned_for_huge_pages() {
    let memory = allocate(5 << 30).unwrap();
    for region in memory.iter() {
        assert_eq!(region.as_ptr() as u64 % HUGE_PAGE, 0);
    }
}

#[test]
fn untouched_memory_costs_nothing() {
    let resident =
        || std::fs::read_to_string("/proc/self/statm").unwrap().split(' ').nth(1).unwrap().parse::<u64>();
    let before = resident().unwrap();
    let memory = allocate(4 << 30).unwrap();
    memory.write_obj(1u8, GuestAddress(1 << 32)).unwrap();
    assert!(resident().unwrap() - before < 2048, "Pages were given to memory nobody touched");
}
