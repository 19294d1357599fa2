use super::*;
use crate::volume::VolumeKind;

fn app(name: &str) -> RuntimeApp {
    RuntimeApp {
        name: name.parse().unwrap(),
        image: RuntimeImage { name: None, id: "sha512-ab".parse().unwrap(), labels: Labels::default() },
        app: None,
        read_only_root_fs: false,
        mounts: Vec::new(),
        annotations: Annotations::default(),
    }
}

fn volume(name: &str) -> Volume {
    Volume {
        name: name.parse().unwrap(),
        kind: VolumeKind::Host { source: "/srv".to_owned() },
        read_only: None,
        recursive: None,
    }
}

#[test]
fn empty_lists_are_null() {
    let json = String::from_utf8(PodManifest::default().to_vec().unwrap()).unwrap();
    assert_eq!(
        json,
        r#"{"acVersion":"0.8.11","acKind":"PodManifest","apps":[],"volumes":null,"isolators":null,"annotations":null,"ports":null}"#
    );
    assert_eq!(serde_json::from_str::<PodManifest>(&json).unwrap(), PodManifest::default());
}

#[test]
fn a_full_manifest_survives_a_round_trip() {
    let mut pod =
        PodManifest { apps: vec![app("a"), app("b")], volumes: vec![volume("v")], ..Default::default() };
    pod.apps[0].read_only_root_fs = true;
    pod.apps[0].app = Some(App {
        exec: vec!["/a".to_owned()],
        user: "0".to_owned(),
        group: "0".to_owned(),
        ..App::default()
    });
    pod.apps[0].mounts.push(Mount {
        volume: "v".parse().unwrap(),
        path: "/v".to_owned(),
        app_volume: Some(volume("private")),
    });
    pod.annotations.set("coreos.com/rkt/stage1/mutable".parse().unwrap(), "false");
    pod.ports.push(ExposedPort {
        name: "http".parse().unwrap(),
        host_port: 8080,
        host_ip: Some("127.0.0.1".parse().unwrap()),
        pod_port: None,
    });
    assert_eq!(PodManifest::from_slice(&pod.to_vec().unwrap()).unwrap(), pod);
    assert!(pod.app("b").is_some() && pod.app("c").is_none());
}

#[test]
fn names_are_unique() {
    let pod = PodManifest { apps: vec![app("a"), app("a")], ..Default::default() };
    assert_eq!(pod.validate().unwrap_err().to_string(), "duplicate apps of name \"a\"");
    let pod = PodManifest { volumes: vec![volume("a"), volume("a")], ..Default::default() };
    assert_eq!(pod.validate().unwrap_err().to_string(), "duplicate volume name \"a\"");
}

#[test]
fn parts_are_checked() {
    let mut pod = PodManifest { apps: vec![app("a")], ..Default::default() };
    pod.apps[0].app = Some(App::default());
    assert!(matches!(
        pod.validate(),
        Err(ManifestError::RuntimeApp { source: AppError::Missing("user"), .. })
    ));
    pod.apps[0].app = None;
    pod.apps[0].mounts.push(Mount { volume: "v".parse().unwrap(), path: "v".to_owned(), app_volume: None });
    assert!(matches!(
        pod.validate(),
        Err(ManifestError::RuntimeApp { source: AppError::RelativePath { .. }, .. })
    ));
    pod.apps.clear();
    for host_port in [0, 65536] {
        let name = "p".parse().unwrap();
        pod.ports = vec![ExposedPort { name, host_port, host_ip: None, pod_port: None }];
        assert!(matches!(pod.validate(), Err(ManifestError::HostPort { .. })));
    }
}
