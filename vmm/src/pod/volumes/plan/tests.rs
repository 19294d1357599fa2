use serde_json::{Value, json};

use super::*;
use crate::pod::hints::DOCKER_REPOSITORY;

fn app(name: &str, mounts: Value, points: Value) -> Value {
    json!({
        "name": name,
        "image": {"id": format!("sha512-{}", "0".repeat(128))},
        "app": {"exec": ["/x"], "user": "0", "group": "0", "mountPoints": points},
        "mounts": mounts,
    })
}

fn plan_of(apps: Value, volumes: Value, docker: bool) -> Result<Plan, VolumeError> {
    let manifest = json!({"acVersion": "0.8.11", "acKind": "PodManifest", "apps": apps, "volumes": volumes});
    let manifest = PodManifest::from_slice(manifest.to_string().as_bytes()).unwrap();
    let annotations =
        if docker { json!([{"name": DOCKER_REPOSITORY, "value": "library/redis"}]) } else { json!([]) };
    let image = json!({
        "acKind": "ImageManifest", "acVersion": "0.8.11", "name": "x", "annotations": annotations,
    });
    let image = ImageManifest::from_slice(image.to_string().as_bytes()).unwrap();
    plan(&manifest, &vec![image; manifest.apps.len()])
}

fn host(name: &str) -> Value {
    json!({"name": name, "kind": "host", "source": format!("/srv/{name}")})
}

/// Source, path and whether it is read-only, of the first app's mounts.
fn mounts(plan: &Plan) -> Vec<(&str, &str, bool)> {
    plan.mounts[0].iter().map(|mount| (&*mount.source, &*mount.path, mount.read_only)).collect()
}

#[test]
fn a_pod_without_volumes_has_none() {
    let plan = plan_of(json!([app("a", json!([]), json!([]))]), json!([host("unused")]), false).unwrap();
    assert!(plan.volumes.is_empty() && plan.mounts[0].is_empty() && plan.warnings.is_empty());
}

#[test]
fn mounts_go_before_mount_points_and_parents_before_children() {
    let wanted = json!([{"volume": "deep", "path": "/a//b/."}, {"volume": "top", "path": "/a"}]);
    let points = json!([{"name": "data", "path": "/a/b"}, {"name": "data", "path": "/data"}]);
    let volumes = json!([host("top"), host("deep"), host("data")]);
    let plan = plan_of(json!([app("a", wanted, points)]), volumes, false).unwrap();
    assert_eq!(mounts(&plan), [("1", "/a", false), ("2", "/data", false), ("0", "/a//b/.", false)]);
    let names: Vec<_> = plan.volumes.iter().map(|volume| &*volume.name).collect();
    assert_eq!(names, ["deep", "top", "data"]);
}

#[test]
fn the_volume_says_read_only_before_the_mount_point_does() {
    for (volume, point, expected) in
        [(None, false, false), (None, true, true), (Some(true), false, true), (Some(false), true, false)]
    {
        let mut data = host("data");
        if let Some(read_only) = volume {
            data["readOnly"] = json!(read_only);
        }
        for wanted in [json!([]), json!([{"volume": "data", "path": "/elsewhere"}])] {
            let points = json!([{"name": "data", "path": "/elsewhere", "readOnly": point}]);
            let plan = plan_of(json!([app("a", wanted, points)]), json!([data]), false).unwrap();
            assert_eq!(mounts(&plan), [("0", "/elsewhere", expected)], "{volume:?} {point}");
            assert_eq!(plan.volumes[0].writable, !expected);
        }
    }
}

#[test]
fn a_volume_that_one_app_may_write_is_one_for_all() {
    let points = |read_only| json!([{"name": "data", "path": "/data", "readOnly": read_only}]);
    let apps = json!([app("reader", json!([]), points(true)), app("writer", json!([]), points(false))]);
    let plan = plan_of(apps, json!([host("data")]), false).unwrap();
    assert_eq!(plan.volumes.len(), 1);
    assert!(plan.volumes[0].writable);
    assert!(plan.mounts[0][0].read_only && !plan.mounts[1][0].read_only);
}

#[test]
fn mount_points_without_a_volume_get_one_of_their_own() {
    let apps = json!([app("a", json!([]), json!([{"name": "data", "path": "/data"}]))]);
    for docker in [false, true] {
        let plan = plan_of(apps.clone(), json!([]), docker).unwrap();
        let volume = &plan.volumes[0];
        assert_eq!(volume.name, "a-data");
        assert_eq!(volume.kind, VolumeKind::Empty { mode: 0o755, uid: 0, gid: 0 });
        assert_eq!(volume.fill.is_some(), docker);
        assert!(plan.warnings[0].starts_with("warning: no volume specified for mount point \"data\""));
    }
}

#[test]
fn a_private_volume_is_nobody_elses() {
    let private = json!({"name": "data", "kind": "empty", "mode": "1777"});
    let wanted = json!([
        {"volume": "data", "path": "/one", "appVolume": private},
        {"volume": "data", "path": "/two", "appVolume": private},
        {"volume": "data", "path": "/three"},
    ]);
    let plan = plan_of(json!([app("a", wanted, json!([]))]), json!([host("data")]), false).unwrap();
    let names: Vec<_> = plan.volumes.iter().map(|volume| &*volume.name).collect();
    assert_eq!(names, ["a.0.data", "a.1.data", "data"]);
}

#[test]
fn volumes_in_memory_are_the_guests_affair() {
    let memory = |name: &str| json!({"name": name, "kind": "empty", "medium": "memory", "size": "1Mi"});
    let wanted = json!([
        {"volume": "0", "path": "/shared"},
        {"volume": "tmpfs", "path": "/own", "appVolume": memory("tmpfs")},
    ]);
    let points = json!([{"name": "0", "path": "/point"}]);
    let plan = plan_of(json!([app("a", wanted, points)]), json!([memory("0")]), false).unwrap();
    assert!(plan.volumes.is_empty() && plan.warnings.is_empty());
    assert_eq!(
        mounts(&plan),
        [("0", "/shared", false), ("a.1.tmpfs", "/own", false), ("0", "/point", false)]
    );
    let of = |own| MemoryVolume { mode: 0o755, uid: 0, gid: 0, size: Some(1 << 20), own };
    let found: Vec<_> = plan.mounts[0].iter().filter_map(|mount| mount.memory).collect();
    assert_eq!(found, [of(false), of(true), of(false)]);
}

#[test]
fn a_mount_of_nothing_is_refused() {
    let wanted = json!([{"volume": "gone", "path": "/gone"}]);
    let error = plan_of(json!([app("a", wanted, json!([]))]), json!([]), false).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"Mount "/gone" of app a names volume "gone", which the pod does not have"#
    );
}
