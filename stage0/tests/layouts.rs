//! Images in local layouts and archives, written by umoci and skopeo.

#![allow(clippy::unwrap_used)] // A test that cannot go on says where.

mod loopback;

use loopback::layout::Layout;
use loopback::registry::Registry;
use loopback::{Rkt, tool};

#[test]
fn layouts_and_archives_hold_the_same_image() {
    let rkt = Rkt::new();
    let layout = Layout::new(rkt.dir.path());
    let image = layout
        .image("one")
        .layer("/etc", &[("a", "1"), ("b", "1")])
        .without("/etc/b")
        .layer("/opt", &[("c", "1")]);
    layout.image("two");
    let path = |name: &str| rkt.dir.path().join(name).display().to_string();
    let copy = |to: &str| {
        tool("skopeo", "skopeo", &["--insecure-policy", "copy", &format!("oci:{}", image.name()), to])
    };
    copy(&format!("oci-archive:{}:one", path("oci.tar")));
    copy(&format!("docker-archive:{}:example.com/team/app:2", path("docker.tar")));
    tool("gzip", "gzip", &["-k", &path("oci.tar")]);
    for form in [
        format!("oci:{}", image.name()),
        format!("oci-archive:{}", path("oci.tar")),
        format!("oci-archive:{}", path("oci.tar.gz")),
        format!("docker-archive:{}", path("docker.tar")),
        format!("docker-archive:{}:example.com/team/app:2", path("docker.tar")),
    ] {
        let key = rkt.fetch(&form);
        assert_eq!(rkt.show(&key), ["etc", "etc/a=1", "opt", "opt/c=1"], "{form}");
    }
    assert_eq!(rkt.show("example.com/team/app:2").len(), 4);
    let layers = rkt.stored().into_iter().filter(|p| p.to_string_lossy().contains("cas/layer/")).count();
    assert_eq!(layers, 3);
    let error = rkt.run(&["fetch", &format!("oci:{}", layout.path.display())]).failed();
    assert!(
        error.contains("name one of them with :TAG: one, two") || error.contains(": two, one"),
        "{error}"
    );
    let error = rkt.run(&["fetch", "oci:/no/such"]).failed();
    assert!(error.contains("/no/such"), "{error}");
    let error = Rkt::with_options("none").run(&["fetch", &format!("oci:{}", image.name())]).failed();
    assert!(error.contains("--insecure-options=image"), "{error}");
}

#[test]
fn images_of_buildah_are_understood_in_every_form() {
    let rkt = Rkt::new();
    let registry = Registry::start();
    let path = |name: &str| rkt.dir.path().join(name).display().to_string();
    std::fs::create_dir(path("source")).unwrap();
    std::fs::write(path("source/f"), "1").unwrap();
    let (root, run) = (path("root"), path("run"));
    let storage = ["--storage-driver", "vfs", "--root", &root, "--runroot", &run];
    let buildah = |words: &[&str]| tool("buildah", "buildah", &[&storage, words].concat()).trim().to_owned();
    let container = buildah(&["from", "scratch"]);
    buildah(&["copy", &container, &path("source"), "/opt"]);
    let settings = ["--env=A=b", "--port=80/tcp", "--user=7:8", "--workingdir=/opt", "--volume=/data"];
    buildah(
        &[&["config", "--entrypoint", "[\"/opt/f\"]", "--cmd", "-v"], &settings[..], &[&container]].concat(),
    );
    let forms = [
        format!("oci:{}:one", path("layout")),
        format!("oci-archive:{}", path("oci.tar")),
        format!("docker-archive:{}:example.com/b:1", path("docker.tar")),
        registry.image("team/b:1"),
    ];
    for form in &forms {
        buildah(&["commit", "--quiet", "--tls-verify=false", "--squash=false", &container, form]);
        let key = rkt.fetch(form);
        assert_eq!(rkt.show(&key), ["opt", "opt/f=1"], "{form}");
        let manifest = rkt.run(&["image", "cat-manifest", &key]).ok();
        let app = &serde_json::from_str::<serde_json::Value>(&manifest).unwrap()["app"];
        assert_eq!(app["exec"], serde_json::json!(["/opt/f", "-v"]), "{form}");
        assert_eq!((&app["user"], &app["group"]), (&"7".into(), &"8".into()), "{form}");
        assert_eq!(
            (&app["workingDirectory"], &app["ports"][0]["port"]),
            (&"/opt".into(), &80.into()),
            "{form}"
        );
        assert_eq!(app["mountPoints"][0]["path"], "/data", "{form}");
        assert!(
            app["environment"].as_array().unwrap().contains(&serde_json::json!({"name": "A", "value": "b"}))
        );
    }
    buildah(&["rm", "--all"]);
}

#[test]
fn converted_images_are_valid_acis() {
    let rkt = Rkt::new();
    let layout = Layout::new(rkt.dir.path());
    let image = layout.image("one").layer("/etc", &[("a", "1"), ("b", "1")]).without("/etc/b");
    let file = rkt.dir.path().join("out.aci").display().to_string();
    let from = format!("oci:{}", image.name());
    assert_eq!(rkt.run(&["image", "convert", &from, &file]).ok(), "oci\n");
    assert!(rkt.run(&["image", "convert", &from, &file]).failed().contains("try --overwrite"));
    assert!(rkt.run(&["image", "validate", &file]).ok().ends_with("valid app container image\n"));
    let key = rkt.fetch(&file);
    assert_eq!(rkt.show(&key), ["etc", "etc/a=1"]);
    let exported = rkt.dir.path().join("again.aci");
    rkt.run(&["image", "export", &key, exported.to_str().unwrap()]).ok();
    assert_eq!(std::fs::read(&exported).unwrap(), std::fs::read(&file).unwrap());
}

#[test]
fn invalid_files_are_named_with_their_fault() {
    let rkt = Rkt::new();
    let path = rkt.dir.path().join("manifest");
    let manifest = path.to_str().unwrap();
    let check = |text: &str| {
        std::fs::write(&path, text).unwrap();
        rkt.run(&["image", "validate", manifest])
    };
    assert!(
        check(r#"{"acKind":"ImageManifest","acVersion":"0.8.11","name":"a"}"#)
            .ok()
            .contains("valid image manifest")
    );
    assert!(
        check(r#"{"acKind":"ImageManifest","acVersion":"0.8.11","name":"A B"}"#).failed().contains("A B")
    );
    assert!(check("{\"acKind\":\"PodManifest\"}").failed().contains("acVersion"));
    assert!(check("not an image at all").failed().contains("is not valid"));
}

#[test]
fn images_are_built_of_files_and_other_images() {
    let rkt = Rkt::new();
    let path = |name: &str| rkt.dir.path().join(name).display().to_string();
    let source = rkt.dir.path().join("source");
    std::fs::create_dir_all(source.join("bin")).unwrap();
    std::fs::write(source.join("bin/app"), "program").unwrap();
    std::fs::hard_link(source.join("bin/app"), source.join("bin/same")).unwrap();
    std::fs::write(rkt.dir.path().join("conf"), "setting").unwrap();
    let (one, two, layout) = (path("one.aci"), path("two.aci"), path("layout"));
    let build = |args: &[&str]| rkt.run(&[&["image", "build"], args].concat());
    assert!(build(&[&one]).failed().contains("an image needs a name"));
    let root = format!("--copy={}:/", source.display());
    let words = [&root, "--name=example.com/one", "--label=version=1", "--exec=/bin/app", "--exec=-v"];
    let more =
        ["--environment=A=B", "--port=web:tcp:80", "--mount=data:/data:ro", "--user=7", "--group=8", &one];
    build(&[&words[..], &more].concat()).ok();
    assert!(build(&[&words[..], &[&one]].concat()).failed().contains("try --overwrite"));
    assert!(rkt.run(&["image", "validate", &one]).ok().contains("valid"));
    let conf = format!("--copy={}:/etc/conf", path("conf"));
    let base = format!("--base={one}");
    build(&[&base, &conf, "--label=version=2", "--environment=A=C", &two]).ok();
    build(&["--oci", &base, &conf, "--label=version=2", &layout]).ok();
    let expected = ["bin", "bin/app=program", "bin/same=program", "etc", "etc/conf=setting"];
    for image in [two, format!("oci:{layout}:2")] {
        let key = rkt.fetch(&image);
        let shown: Vec<_> = rkt.show(&key);
        assert_eq!(shown, expected, "{image}");
        let manifest: serde_json::Value =
            serde_json::from_str(&rkt.run(&["image", "cat-manifest", &key]).ok()).unwrap();
        assert_eq!(manifest["app"]["exec"], serde_json::json!(["/bin/app", "-v"]));
        assert_eq!((&manifest["app"]["user"], &manifest["app"]["group"]), (&"7".into(), &"8".into()));
        let labels = manifest["labels"].as_array().unwrap();
        assert!(labels.contains(&serde_json::json!({"name": "version", "value": "2"})), "{labels:?}");
    }
    // Other tools agree that it is a layout.
    tool(
        "skopeo",
        "skopeo",
        &["--insecure-policy", "copy", &format!("oci:{layout}:2"), &format!("dir:{}", path("copied"))],
    );
}
