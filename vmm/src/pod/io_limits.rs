//! The limits of apps' I/O, from their manifests to the file server.

use std::{collections::BTreeMap, num::NonZeroU64};

use agent::protocol::{AppSpec, ROOTFS_TAG, VOLUMES_TAG, VolumeMount};
use appc::{PodManifest, Quantity, RuntimeApp};

use crate::virtio::fs::{IoLimits, Rates};

/// Limits the apps that a pod starts with. `mounts` are theirs, in their order.
pub fn limits(manifest: &PodManifest, mounts: &[Vec<VolumeMount>]) -> IoLimits {
    let limits = IoLimits::default();
    let mut users: BTreeMap<&str, usize> = BTreeMap::new();
    for mounts in mounts {
        let mut sources: Vec<_> = on_host(mounts).collect();
        sources.sort_unstable();
        sources.dedup();
        sources.into_iter().for_each(|source| *users.entry(source).or_default() += 1);
    }
    for (app, mounts) in manifest.apps.iter().zip(mounts) {
        // What several apps use is none's own.
        let own = on_host(mounts).filter(|source| users.get(source) == Some(&1));
        limits.limit(app.name.as_str(), rates(app), directories(app.name.as_str(), own));
    }
    limits
}

/// Limits an app that is added to a running pod.
pub fn limit_added(limits: &IoLimits, app: &RuntimeApp, spec: &AppSpec) {
    let root = spec.rootfs.split('/').next().unwrap_or_default();
    // Volumes with another name are the pod's, which other apps may use.
    let own = on_host(&spec.mounts).filter(|source| source.contains('@'));
    limits.limit(&spec.name, rates(app), directories(root, own));
}

fn directories<'a>(rootfs: &str, volumes: impl Iterator<Item = &'a str>) -> Vec<(&'static str, String)> {
    let volumes = volumes.map(|name| (VOLUMES_TAG, name.to_owned()));
    volumes.chain([(ROOTFS_TAG, rootfs.to_owned())]).collect()
}

fn on_host(mounts: &[VolumeMount]) -> impl Iterator<Item = &str> {
    mounts.iter().filter(|mount| mount.memory.is_none()).map(|mount| mount.source.as_str())
}

/// What its isolators say; less than one in a second is one.
fn rates(app: &RuntimeApp) -> Rates {
    let Some(isolators) = app.app.as_ref().map(|app| &app.isolators) else { return Rates::default() };
    let rate = |limit: Option<Quantity>| {
        limit.map(|limit| {
            u64::try_from(limit.value()).ok().and_then(NonZeroU64::new).unwrap_or(NonZeroU64::MIN)
        })
    };
    Rates { bytes: rate(isolators.block_bandwidth_limit()), operations: rate(isolators.block_iops_limit()) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn app(name: &str, isolators: serde_json::Value) -> serde_json::Value {
        json!({
            "name": name,
            "image": {"id": format!("sha512-{}", "0".repeat(128))},
            "app": {"exec": ["/x"], "user": "0", "group": "0", "isolators": isolators},
        })
    }

    fn mount(source: &str) -> VolumeMount {
        VolumeMount { source: source.into(), path: "/x".into(), read_only: false, memory: None }
    }

    fn pod() -> PodManifest {
        let limit =
            |name: &str, limit: &str| json!({"name": name, "value": {"default": true, "limit": limit}});
        let slow = json!([limit("resource/block-bandwidth", "2M"), limit("resource/block-iops", "500")]);
        let apps = json!([
            app("slow", slow),
            app("free", json!([])),
            app("least", json!([limit("resource/block-iops", "-3")])),
        ]);
        let manifest = json!({"acVersion": "0.8.11", "acKind": "PodManifest", "apps": apps});
        PodManifest::from_slice(manifest.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn isolators_become_rates() {
        let rate = NonZeroU64::new;
        let found: Vec<_> = pod().apps.iter().map(rates).collect();
        let expected = [
            Rates { bytes: rate(2_000_000), operations: rate(500) },
            Rates::default(),
            Rates { bytes: None, operations: rate(1) },
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn an_app_is_limited_where_no_other_goes() {
        let mounts = [vec![mount("0"), mount("1"), mount("1")], vec![mount("0")], vec![]];
        let limits = limits(&pod(), &mounts);
        let limited = |limits: &IoLimits, places: &[(&str, &str)]| -> Vec<bool> {
            places.iter().map(|(tag, name)| limits.is_limited(tag, name)).collect()
        };
        let places = [("rootfs", "slow"), ("rootfs", "free"), ("volumes", "0"), ("volumes", "1")];
        assert_eq!(limited(&limits, &places), [true, false, false, true]);
        let runtime = &pod().apps[0];
        let mut spec = crate::pod::spec::app_spec("slow", agent::protocol::Stdio::Output);
        spec.rootfs = "slow@7".into();
        spec.mounts = vec![mount("shared"), mount("slow.0.data@8")];
        limit_added(&limits, runtime, &spec);
        let places =
            [("rootfs", "slow"), ("rootfs", "slow@7"), ("volumes", "shared"), ("volumes", "slow.0.data@8")];
        assert_eq!(limited(&limits, &places), [false, true, false, true]);
    }
}
