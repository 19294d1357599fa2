use kvm_bindings::{CpuId, kvm_cpuid_entry2};

use crate::kvm::CpuTopology;

fn entry(function: u32, eax: u32, ebx: u32, ecx: u32, edx: u32) -> kvm_cpuid_entry2 {
    kvm_cpuid_entry2 { function, eax, ebx, ecx, edx, ..Default::default() }
}

/// What a host with everything would support.
fn supported() -> CpuId {
    let all = u32::MAX;
    let leaves = [
        entry(0, 0x7, 0, 0, 0),
        entry(1, 0x1234, 0x12_34_56_78, 0, 0),
        entry(4, 0x1c00_4121, 1, 2, 3),
        entry(4, 0x1c03_c163, 1, 2, 3),
        entry(4, 0, 0, 0, 0),
        entry(6, all, all, all, all),
        entry(0xa, all, all, all, all),
        entry(0xb, all, all, all, all),
        entry(0x1f, all, all, all, all),
        entry(0x8000_0001, all, all, all, all),
        entry(0x8000_0008, 0x3030, 0, all, 0),
        entry(0x8000_001e, all, all, all, 0),
    ];
    CpuId::from_entries(&leaves).unwrap()
}

fn of(cpus: u32, cpu: u32, leaf: u32) -> Vec<kvm_cpuid_entry2> {
    let cpuid = CpuTopology { cpus, tsc_deadline_timer: true }.cpuid(&supported(), cpu).unwrap();
    cpuid.as_slice().iter().filter(|entry| entry.function == leaf).copied().collect()
}

#[test]
fn every_cpu_has_its_own_number() {
    for cpu in [0, 1, 5] {
        assert_eq!(of(6, cpu, 1)[0].ebx, cpu << 24 | 6 << 16 | 0x5678);
        assert!(of(6, cpu, 0xb).iter().all(|entry| entry.edx == cpu));
        assert_eq!(of(6, cpu, 0x8000_001e)[0].eax, cpu);
    }
    assert_eq!(of(254, 253, 1)[0].ebx >> 16, 253 << 8 | 254);
}

#[test]
fn the_package_is_as_large_as_the_machine() {
    let levels = of(6, 0, 0xb);
    assert_eq!(levels.len(), 3);
    assert_eq!((levels[0].eax, levels[0].ebx, levels[0].ecx), (0, 1, 1 << 8));
    assert_eq!((levels[1].eax, levels[1].ebx, levels[1].ecx), (3, 6, 2 << 8 | 1));
    assert_eq!((levels[2].eax, levels[2].ebx, levels[2].ecx), (0, 0, 2));
    assert_eq!(of(6, 0, 0x8000_0008)[0].ecx & 0xf0ff, 3 << 12 | 5);
    assert_eq!(of(1, 0, 0x8000_0008)[0].ecx & 0xf0ff, 0);
    assert_eq!(of(6, 0, 0)[0].eax, 0xb, "The topology's leaf must be reachable");
    assert!(of(6, 0, 0x1f).is_empty());
}

#[test]
fn caches_are_shared_from_the_third_level_on() {
    let caches = of(6, 0, 4);
    assert_eq!(caches[0].eax >> 14 & 0xfff, 0);
    assert_eq!(caches[1].eax >> 14 & 0xfff, 7);
    assert!(caches[..2].iter().all(|cache| cache.eax >> 26 == 7));
    assert_eq!(caches[2].eax, 0, "The last entry says that there are no more");
}

#[test]
fn one_cpu_is_not_multithreaded() {
    assert_eq!(of(1, 0, 1)[0].edx >> 28 & 1, 0);
    assert_eq!(of(2, 0, 1)[0].edx >> 28 & 1, 1);
}

#[test]
fn there_are_no_performance_counters() {
    assert_eq!(of(2, 0, 0xa)[0], entry(0xa, 0, 0, 0, 0));
    assert_eq!(of(2, 0, 0x8000_0001)[0].ecx & (1 << 23 | 1 << 28), 0);
    assert_eq!(of(2, 0, 6)[0], entry(6, 4, 0, 0, 0));
}

#[test]
fn the_timer_is_offered_only_if_there() {
    for there in [false, true] {
        let cpuid = CpuTopology { cpus: 1, tsc_deadline_timer: there }.cpuid(&supported(), 0).unwrap();
        let features = cpuid.as_slice().iter().find(|entry| entry.function == 1).unwrap();
        assert_eq!(features.ecx >> 24 & 1 == 1, there);
        assert_eq!(features.ecx >> 31, 1, "A hypervisor is there");
    }
}
