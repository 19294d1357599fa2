//! What each vCPU says about itself.

use kvm_bindings::{CpuId, KVM_CPUID_FLAG_SIGNIFCANT_INDEX, KVM_MAX_CPUID_ENTRIES, kvm_cpuid_entry2};
use kvm_ioctls::Kvm;
use vmm_sys_util::errno;

/// Highest basic leaf; vendor.
const LEAF_VENDOR: u32 = 0;
/// Features, and the numbers of the APIC and of the CPUs in the package.
const LEAF_FEATURES: u32 = 1;
/// Caches, as Intel says it.
const LEAF_CACHES: u32 = 4;
/// Power management.
const LEAF_POWER: u32 = 6;
/// Performance counters.
const LEAF_COUNTERS: u32 = 0xa;
/// Topology.
const LEAF_TOPOLOGY: u32 = 0xb;
/// Topology with more levels; Linux falls back to 0xb.
const LEAF_TOPOLOGY_V2: u32 = 0x1f;
/// AMD's features.
const LEAF_AMD_FEATURES: u32 = 0x8000_0001;
/// Address widths, and AMD's number of cores.
const LEAF_AMD_CORES: u32 = 0x8000_0008;
/// Caches, as AMD says it.
const LEAF_AMD_CACHES: u32 = 0x8000_001d;
/// AMD's topology.
const LEAF_AMD_TOPOLOGY: u32 = 0x8000_001e;
/// AMD's performance counters.
const LEAF_AMD_COUNTERS: u32 = 0x8000_0022;

/// Leaf 1 ECX: the local APIC's timer takes a time stamp.
const TSC_DEADLINE: u32 = 1 << 24;
/// Leaf 1 ECX: there is a hypervisor.
const HYPERVISOR: u32 = 1 << 31;
/// Leaf 1 EDX: the package has more than one logical CPU.
const MULTIPLE: u32 = 1 << 28;
/// Leaf 6 EAX: the APIC timer runs always.
const ALWAYS_RUNNING_TIMER: u32 = 1 << 2;
/// Leaf 0x8000_0001 ECX: performance counters of cores, of the north bridge, of the L2 cache.
const AMD_COUNTERS: u32 = 1 << 23 | 1 << 24 | 1 << 28;

/// One package, one thread per core.
#[derive(Debug, Clone, Copy)]
pub struct CpuTopology {
    /// Number of vCPUs.
    pub cpus: u32,
    /// The APIC's timer takes a time stamp.
    pub tsc_deadline_timer: bool,
}

impl CpuTopology {
    /// What `cpu` answers: what KVM supports on this host, with the topology filled in, without performance counters
    /// (nobody in a pod uses them, and every vCPU would pay for setting them up).
    pub fn cpuid(&self, supported: &CpuId, cpu: u32) -> Result<CpuId, errno::Error> {
        let mut entries: Vec<_> = supported.as_slice().to_vec();
        entries.retain(|entry| ![LEAF_TOPOLOGY, LEAF_TOPOLOGY_V2].contains(&entry.function));
        for entry in &mut entries {
            self.adapt(entry, cpu);
        }
        entries.extend(self.topology_leaf(cpu));
        CpuId::from_entries(&entries).map_err(|_| errno::Error::new(libc::E2BIG))
    }

    fn adapt(&self, entry: &mut kvm_cpuid_entry2, cpu: u32) {
        match entry.function {
            LEAF_VENDOR => entry.eax = entry.eax.max(LEAF_TOPOLOGY),
            LEAF_FEATURES => {
                entry.ebx = entry.ebx & 0xffff | self.cpus.min(255) << 16 | cpu << 24;
                entry.ecx |= HYPERVISOR;
                set(&mut entry.ecx, TSC_DEADLINE, self.tsc_deadline_timer);
                set(&mut entry.edx, MULTIPLE, self.cpus > 1);
            }
            LEAF_CACHES if entry.eax != 0 => {
                entry.eax = self.shared_cache(entry.eax) & 0x03ff_ffff | (self.slots() - 1).min(63) << 26;
            }
            LEAF_POWER => {
                entry.eax &= ALWAYS_RUNNING_TIMER;
                (entry.ebx, entry.ecx, entry.edx) = (0, 0, 0);
            }
            LEAF_COUNTERS | LEAF_AMD_COUNTERS => (entry.eax, entry.ebx, entry.ecx, entry.edx) = (0, 0, 0, 0),
            LEAF_AMD_FEATURES => entry.ecx &= !AMD_COUNTERS,
            LEAF_AMD_CORES => {
                entry.ecx = entry.ecx & !0xf0ff | self.id_bits() << 12 | (self.cpus - 1).min(255)
            }
            LEAF_AMD_CACHES if entry.eax != 0 => entry.eax = self.shared_cache(entry.eax),
            // One thread per core, one node.
            LEAF_AMD_TOPOLOGY => (entry.eax, entry.ebx, entry.ecx) = (cpu, cpu, 0),
            _ => {}
        }
    }

    /// Caches of the third level belong to all, others to one CPU each (bits 25 to 14: sharers less one).
    fn shared_cache(&self, eax: u32) -> u32 {
        let level = eax >> 5 & 7;
        let sharers = if level >= 3 { self.slots() } else { 1 };
        eax & !0x03ff_c000 | (sharers - 1) << 14
    }

    fn topology_leaf(&self, cpu: u32) -> [kvm_cpuid_entry2; 3] {
        let level = |index, level_type: u32, shift, count| kvm_cpuid_entry2 {
            function: LEAF_TOPOLOGY,
            index,
            flags: KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
            eax: shift,
            ebx: count,
            ecx: level_type << 8 | index,
            edx: cpu,
            ..Default::default()
        };
        // Level types: 1 is threads of a core, 2 cores of the package.
        [level(0, 1, 0, 1), level(1, 2, self.id_bits(), self.cpus), level(2, 0, 0, 0)]
    }

    /// Bits of an APIC number that tell the package's CPUs apart.
    fn id_bits(&self) -> u32 {
        self.slots().trailing_zeros()
    }

    /// APIC numbers the package takes.
    fn slots(&self) -> u32 {
        self.cpus.next_power_of_two()
    }
}

/// What KVM and this host's CPU support.
pub fn supported(kvm: &Kvm) -> Result<CpuId, errno::Error> {
    kvm.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES)
}

fn set(register: &mut u32, bit: u32, on: bool) {
    *register = if on { *register | bit } else { *register & !bit };
}
