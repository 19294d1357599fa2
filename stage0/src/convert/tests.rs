use super::*;
use crate::registry::manifest::{Execution, parse};

fn execution(json: &str) -> Execution {
    parse("config", json.as_bytes()).unwrap()
}

fn converted(config: &str) -> ImageManifest {
    let sha = format!("sha256:{}", "a".repeat(64));
    let descriptor = format!(r#"{{"mediaType":"m","digest":"{sha}","size":1}}"#);
    let manifest: Manifest =
        parse("manifest", format!(r#"{{"config":{descriptor},"layers":[]}}"#).as_bytes()).unwrap();
    let config = Config::parse(config.as_bytes(), &manifest).unwrap();
    let reference = "localhost:5000/My_App:1.0".to_lowercase().parse().unwrap();
    let origin = Origin::registry(&reference, sha.parse().unwrap());
    image_manifest(&origin, &manifest, &config).unwrap()
}

#[test]
fn fields_are_mapped() {
    let out = converted(
        r#"{"architecture":"arm64","os":"linux","author":"me","created":"2020-01-02T03:04:05.5Z","rootfs":{},
            "config":{"Entrypoint":["/bin/a"],"Cmd":["b","c"],"User":"u:g","WorkingDir":"work",
            "Env":["PATH=/bin","A=1=2","A=3","bad name=x","EMPTY"],
            "ExposedPorts":{"80/tcp":{},"53/udp":{},"8000-8002":{},"x":{},"0/tcp":{}},
            "Volumes":{"/var/lib":{},"/var-lib":{},"/":{}},"StopSignal":"SIGQUIT",
            "Shell":["/bin/bash","-euc"],
            "Healthcheck":{"Test":["CMD-SHELL","curl -f localhost"],"Interval":5000000000}}}"#,
    );
    assert_eq!(out.name.as_str(), "localhost-5000/my_app");
    let labels = ["version", "os", "arch"].map(|l| out.labels.get(l).unwrap());
    assert_eq!(labels, ["1.0", "linux", "aarch64"]);
    let app = out.app.as_ref().unwrap();
    assert_eq!(app.exec, ["/bin/a", "b", "c"]);
    assert_eq!((app.user.as_str(), app.group.as_str(), app.working_directory.as_str()), ("u", "g", "/work"));
    assert_eq!(
        (app.environment.get("A"), app.environment.get("EMPTY"), app.environment.0.len()),
        (Some("3"), Some(""), 3)
    );
    let ports: Vec<_> =
        app.ports.iter().map(|p| (p.name.as_str(), p.protocol.as_str(), p.port, p.count)).collect();
    assert_eq!(
        ports,
        [("53-udp", "udp", 53, 1), ("80-tcp", "tcp", 80, 1), ("8000-8002-tcp", "tcp", 8000, 3)]
    );
    let points: Vec<_> = app.mount_points.iter().map(|p| (p.name.as_str(), p.path.as_str())).collect();
    assert_eq!(points, [("volume", "/"), ("volume-var-lib", "/var-lib"), ("volume-var-lib-1", "/var/lib")]);
    assert_eq!(out.annotations.get("appc.io/docker/entrypoint"), Some("[\"/bin/a\"]"));
    assert_eq!(out.annotations.get("appc.io/docker/stopsignal"), Some("SIGQUIT"));
    let check = r#"{"Interval":5000000000,"Test":["CMD-SHELL","curl -f localhost"]}"#;
    assert_eq!(out.annotations.get("appc.io/docker/healthcheck"), Some(check));
    assert_eq!(out.annotations.get("appc.io/docker/shell"), Some("[\"/bin/bash\",\"-euc\"]"));
    assert_eq!(out.annotations.get("appc.io/docker/repository"), Some("my_app"));
    assert_eq!(out.annotations.get("created"), Some("2020-01-02T03:04:05.5Z"));
}

#[test]
fn bare_images_run_as_root() {
    let out =
        converted(r#"{"rootfs":{},"created":"yesterday","architecture":"riscv64","config":{"User":"7"}}"#);
    let app = out.app.unwrap();
    assert_eq!((app.user.as_str(), app.group.as_str(), app.exec.len()), ("7", "7", 0));
    assert_eq!((out.annotations.get("created"), out.labels.get("arch")), (None, None));
    let shell = |config: &str| {
        let config = format!(r#"{{"rootfs":{{}},"config":{config}}}"#);
        converted(&config).annotations.get("appc.io/docker/shell").map(str::to_owned)
    };
    assert_eq!(["{}", r#"{"Shell":[]}"#, r#"{"Shell":null}"#].map(shell), [None, None, None]);
    assert_eq!(converted(r#"{"rootfs":{}}"#).app.unwrap().user, "0");
}

#[test]
fn the_same_image_makes_the_same_archive() {
    let manifest = converted(r#"{"rootfs":{}}"#);
    assert_eq!(archive(&manifest).unwrap(), archive(&manifest).unwrap());
    assert_eq!(execution("{}"), Execution::default());
}
