//! How large a pod's machine is.

use appc::{Isolator, Isolators, PodManifest, RuntimeApp};

use super::host_share::HostShare;

const MIB: u64 = 1 << 20;
/// What the guest's kernel, the agent and the page cache of shared files need beside the apps, in bytes.
const OVERHEAD: u64 = 128 * MIB;
/// What an app without a memory limit counts, in bytes.
const UNLIMITED_APP: u64 = 128 * MIB;
/// The least memory of a pod in which some app has no limit, in bytes.
const LEAST_UNLIMITED: u64 = 512 * MIB;
/// What this process needs beside the guest's RAM where its own memory is limited, in bytes.
const OWN: u64 = 32 * MIB;
/// The least memory a guest starts with, in bytes.
const LEAST: u64 = 96 * MIB;
/// More than any guest kernel here can drive.
const MOST_CPUS: u32 = 254;
/// How many of a machine's CPUs may take turns on one of the host's: what was asked for is given within reason, and images ask, too.
const TURNS: u32 = 4;

/// The size of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Number of vCPUs.
    pub cpus: u32,
    /// Guest RAM in bytes.
    pub memory: u64,
}

/// The size a pod's apps ask for, given what this process may use of the host.
pub fn size(manifest: &PodManifest, host: HostShare) -> Size {
    Size { cpus: cpus(manifest, host.cpus), memory: memory(manifest, host.memory) }
}

/// The pod's limit, or the sum of the apps', each in whole CPUs; as many as the host has where nothing is said.
fn cpus(manifest: &PodManifest, host_cpus: u32) -> u32 {
    let most = host_cpus.saturating_mul(TURNS).clamp(1, MOST_CPUS);
    let of_pod = cpu_limit(&manifest.isolators);
    let of_apps = || manifest.apps.iter().filter_map(|app| cpu_limit(isolators(app)?)).collect();
    let limits: Vec<_> = of_pod.map_or_else(of_apps, |limit| vec![limit]);
    match limits.as_slice() {
        [] => host_cpus.clamp(1, MOST_CPUS),
        limits => limits.iter().fold(0, |sum: u32, limit| sum.saturating_add(*limit)).clamp(1, most),
    }
}

/// What the pod or its apps are promised; where that is not said, no more than the host would give before it kills this
/// process.
fn memory(manifest: &PodManifest, most: Option<u64>) -> u64 {
    if let Some(limit) = memory_limit(&manifest.isolators) {
        return limit.saturating_add(OVERHEAD);
    }
    let apps = &manifest.apps;
    let limits = apps.iter().map(|app| memory_limit(isolators(app)?));
    let unlimited = apps.iter().any(|app| isolators(app).and_then(memory_limit).is_none());
    let apps_need = limits.fold(0, |sum: u64, limit| sum.saturating_add(limit.unwrap_or(UNLIMITED_APP)));
    let need = apps_need.saturating_add(OVERHEAD);
    match apps.is_empty() || unlimited {
        true => {
            need.max(LEAST_UNLIMITED).min(most.map_or(u64::MAX, |most| most.saturating_sub(OWN).max(LEAST)))
        }
        false => need,
    }
}

/// A CPU limit in whole CPUs. The last isolator of a kind wins: flags append theirs.
fn cpu_limit(isolators: &Isolators) -> Option<u32> {
    let limit = isolators.0.iter().rev().find_map(|isolator| match isolator {
        Isolator::Cpu(resource) => resource.limit,
        _ => None,
    })?;
    Some(u32::try_from(limit.value().max(0)).unwrap_or(u32::MAX))
}

/// A memory limit in bytes.
fn memory_limit(isolators: &Isolators) -> Option<u64> {
    let limit = isolators.0.iter().rev().find_map(|isolator| match isolator {
        Isolator::Memory(resource) => resource.limit,
        _ => None,
    })?;
    u64::try_from(limit.value()).ok()
}

fn isolators(app: &RuntimeApp) -> Option<&Isolators> {
    app.app.as_ref().map(|app| &app.isolators)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(apps: &[(Option<&str>, Option<&str>)]) -> PodManifest {
        let app = |(index, (memory, cpu)): (usize, &(Option<&str>, Option<&str>))| {
            let limit = |name: &str, value: &Option<&str>| {
                value.map(|value| serde_json::json!({"name": name, "value": {"limit": value}}))
            };
            let isolators: Vec<_> = [limit("resource/memory", memory), limit("resource/cpu", cpu)]
                .into_iter()
                .flatten()
                .collect();
            serde_json::json!({
                "name": format!("app{index}"),
                "image": {"id": format!("sha512-{}", "0".repeat(128))},
                "app": {"exec": ["/x"], "user": "0", "group": "0", "isolators": isolators},
            })
        };
        let apps: Vec<_> = apps.iter().enumerate().map(app).collect();
        let manifest = serde_json::json!({"acVersion": "0.8.11", "acKind": "PodManifest", "apps": apps});
        PodManifest::from_slice(manifest.to_string().as_bytes()).unwrap()
    }

    fn cpus(cpus: u32) -> HostShare {
        HostShare { cpus, memory: None }
    }

    #[test]
    fn without_limits_the_host_and_half_a_gibibyte() {
        assert_eq!(size(&pod(&[(None, None)]), cpus(8)), Size { cpus: 8, memory: 512 * MIB });
        assert_eq!(size(&pod(&[(None, None); 5]), cpus(8)).memory, 6 * 128 * MIB);
        assert_eq!(size(&pod(&[]), cpus(1)), Size { cpus: 1, memory: 512 * MIB });
    }

    #[test]
    fn limits_add_up() {
        let limited = pod(&[(Some("192Mi"), Some("1500m")), (Some("64Mi"), Some("1"))]);
        assert_eq!(size(&limited, cpus(8)), Size { cpus: 3, memory: (192 + 64 + 128) * MIB });
        assert_eq!(size(&limited, cpus(1)).cpus, 3);
        let large = pod(&[(Some("192Mi"), Some("12"))]);
        assert_eq!((size(&large, cpus(8)).cpus, size(&large, cpus(2)).cpus), (12, 8));
        let mixed = pod(&[(Some("1Gi"), None), (None, Some("100m"))]);
        assert_eq!(size(&mixed, cpus(8)), Size { cpus: 1, memory: (1024 + 128 + 128) * MIB });
    }

    #[test]
    fn the_pods_own_limits_count_instead_of_the_apps() {
        let mut manifest = pod(&[(Some("64Mi"), Some("1"))]);
        let isolators = serde_json::json!([
            {"name": "resource/memory", "value": {"limit": "1Gi"}},
            {"name": "resource/cpu", "value": {"limit": "3"}},
        ]);
        manifest.isolators = serde_json::from_value(isolators).unwrap();
        assert_eq!(size(&manifest, cpus(8)), Size { cpus: 3, memory: (1024 + 128) * MIB });
    }

    #[test]
    fn absurd_limits_do_not_overflow() {
        let absurd = pod(&[(Some("8E"), Some("4E")), (Some("8E"), Some("4E")), (Some("8E"), None)]);
        let size = size(&absurd, cpus(1000));
        assert_eq!(size.cpus, MOST_CPUS);
        assert!(size.memory > 1 << 60);
        assert_eq!(super::size(&pod(&[(None, Some("0"))]), cpus(4)).cpus, 1);
        assert_eq!(super::size(&pod(&[(None, None)]), cpus(1000)).cpus, MOST_CPUS);
    }

    #[test]
    fn a_guest_without_limits_fits_what_the_host_gives() {
        let limited = |memory| HostShare { cpus: 8, memory: Some(memory) };
        let unlimited = pod(&[(None, None)]);
        assert_eq!(size(&unlimited, limited(300 * MIB)).memory, 268 * MIB);
        assert_eq!(size(&unlimited, limited(4096 * MIB)).memory, 512 * MIB);
        assert_eq!(size(&unlimited, limited(0)).memory, 96 * MIB);
        // What apps are promised they get, or nothing.
        assert_eq!(size(&pod(&[(Some("1Gi"), None)]), limited(300 * MIB)).memory, (1024 + 128) * MIB);
    }
}
