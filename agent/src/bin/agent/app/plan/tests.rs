use agent::protocol::{Disabled, Dns, MemoryVolume, VolumeMount};
use appc::PodManifest;
use serde_json::json;

use super::*;

fn pod(app: serde_json::Value) -> PodSpec {
    let id = format!("sha512-{}", "a".repeat(128));
    let manifest = json!({
        "acVersion": "0.8.11", "acKind": "PodManifest",
        "apps": [{"name": "web", "image": {"id": id}, "app": app}],
    });
    PodSpec {
        uuid: String::new(),
        hostname: "rkt-1".into(),
        manifest: PodManifest::from_slice(manifest.to_string().as_bytes()).unwrap(),
        apps: vec![AppSpec {
            name: "web".into(),
            rootfs: "web/rootfs".into(),
            stdio: Stdio::Output,
            notify: false,
            stop_signal: None,
            health: None,
            make_directory: false,
            sockets: Vec::new(),
            mounts: vec![],
        }],
        clock_ns: 0,
        entropy: String::new(),
        interfaces: vec![],
        dns: Dns::default(),
        disabled: Disabled::default(),
        mutable: false,
        debug: false,
    }
}

fn plan(pod: &PodSpec) -> Result<AppPlan, PlanError> {
    AppPlan::new(&pod.apps[0], pod)
}

#[test]
fn a_manifest_becomes_a_plan() {
    let pod = pod(json!({
        "exec": ["/bin/web", "-v"], "user": "www", "group": "33", "supplementaryGIDs": [4],
        "environment": [{"name": "A", "value": "b"}],
        "eventHandlers": [{"name": "post-stop", "exec": ["/bin/after"]}],
        "isolators": [
            {"name": "os/linux/no-new-privileges", "value": true},
            {"name": "os/linux/oom-score-adj", "value": -5},
            {"name": "os/linux/capabilities-retain-set", "value": {"set": ["CAP_SYS_ADMIN"]}},
            {"name": "resource/memory", "value": {"limit": "1Mi"}},
        ],
    }));
    let plan = plan(&pod).unwrap();
    assert_eq!(plan.rootfs, Path::new("/pod/web/rootfs"));
    assert_eq!((plan.process.user.as_str(), plan.process.working_directory.as_str()), ("www", "/"));
    assert_eq!(plan.limits, [Setting { file: "memory.max", value: "1048576".into() }]);
    assert!(plan.process.privileges.no_new_privileges);
    assert!(plan.process.privileges.seccomp.is_some());
    assert_eq!(plan.process.privileges.oom_score_adj, Some(-5));
    assert!(plan.root.administrator && plan.root.protect && !plan.root.hosts);
    assert_eq!((plan.pre_start, plan.post_stop), (None, Some(vec!["/bin/after".to_owned()])));
}

#[test]
fn lifted_protections_are_lifted() {
    let mut pod = pod(json!({"exec": ["/a"], "user": "0", "group": "0"}));
    pod.disabled = Disabled { capabilities: true, paths: true, seccomp: true };
    let plan = plan(&pod).unwrap();
    assert_eq!(plan.process.privileges.bounding, Capabilities::ALL);
    assert_eq!(plan.process.privileges.seccomp, None);
    assert!(!plan.root.protect);
}

#[test]
fn volumes_are_in_their_share() {
    let mut spec = pod(json!({"exec": ["/a"], "user": "0", "group": "0"}));
    let mount = |source: &str, memory| VolumeMount {
        source: source.into(),
        path: "/data".into(),
        read_only: true,
        memory,
    };
    let memory = MemoryVolume { mode: 0o755, uid: 0, gid: 0, size: None, own: true };
    spec.apps[0].mounts = vec![mount("data", None), mount("web.0.tmpfs", Some(memory))];
    let volume = |source: &str, memory| Volume {
        source: source.into(),
        path: "/data".into(),
        read_only: true,
        memory,
    };
    let expected = [volume("/volumes/data", None), volume("/run/memory/web.0.tmpfs", Some(memory))];
    assert_eq!(plan(&spec).unwrap().root.volumes, expected);
    for memory in [None, Some(memory)] {
        spec.apps[0].mounts = vec![mount("../data", memory)];
        assert!(matches!(plan(&spec), Err(PlanError::Share(_))));
    }
}

#[test]
fn what_cannot_run_is_told_apart() {
    let mut spec = pod(json!({"exec": [], "user": "0", "group": "0"}));
    assert!(matches!(plan(&spec), Err(PlanError::NoExec(_))));
    spec.apps[0].name = "db".into();
    assert!(matches!(plan(&spec), Err(PlanError::NoApp(_))));
    let mut spec = pod(json!({"exec": ["/a"], "user": "0", "group": "0"}));
    for hostile in ["", "/etc", "../up", "web/../.."] {
        spec.apps[0].rootfs = hostile.into();
        assert!(matches!(plan(&spec), Err(PlanError::Share(_))), "{hostile}");
    }
}
