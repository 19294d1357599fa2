//! Images from a real registry, made by real tools.

#![allow(clippy::unwrap_used)] // A test that cannot go on says where.

mod loopback;

use loopback::Rkt;
use loopback::layout::Layout;
use loopback::registry::Registry;
use serde_json::json;
use std::os::unix::fs::MetadataExt;

#[test]
fn every_format_gives_the_same_files() {
    let rkt = Rkt::new();
    let registry = Registry::start();
    let layout = Layout::new(rkt.dir.path());
    let image = layout
        .image("a")
        .layer("/etc", &[("one", "1"), ("two", "1"), ("three", "1")])
        .layer("/opt", &[("old", "1")])
        .layer("/etc", &[("two", "2")])
        .without("/etc/three")
        .opaque_layer("/opt", &[("new", "2")])
        .config(&[
            "--config.entrypoint=/bin/app",
            "--config.cmd=arg",
            "--config.user=7:8",
            "--config.env=A=B",
        ]);
    let expected = ["etc", "etc/one=1", "etc/two=2", "opt", "opt/new=2"];
    let formats: [(&str, &[&str]); 3] = [
        ("oci-gzip:1", &[]),
        ("schema2:1", &["--format=v2s2"]),
        ("oci-zstd:1", &["--dest-compress-format=zstd"]),
    ];
    for (name, flags) in formats {
        registry.push(&image, name, flags);
        let key = rkt.fetch(&registry.image(name));
        assert_eq!(rkt.show(&key), expected, "{name}");
        let stored = format!("127.0.0.1-{}/{name}", registry.port);
        let manifest: serde_json::Value =
            serde_json::from_str(&rkt.run(&["image", "cat-manifest", &stored]).ok()).unwrap();
        assert_eq!(manifest["app"]["exec"], json!(["/bin/app", "arg"]));
        assert_eq!((&manifest["app"]["user"], &manifest["app"]["group"]), (&json!("7"), &json!("8")));
    }
    let blobs = rkt.stored().into_iter().filter(|p| p.to_string_lossy().contains("cas/layer/")).count();
    assert_eq!(blobs, 5, "each layer is kept once, however it was compressed");
    let list = rkt.run(&["image", "list", "--fields=name", "--no-legend", "--sort=name"]).ok();
    assert_eq!(list.lines().count(), 3);
}

#[test]
fn keys_are_printed_as_scripts_expect() {
    let rkt = Rkt::new();
    let registry = Registry::start();
    let layout = Layout::new(rkt.dir.path());
    registry.push(&layout.image("a").layer("/etc", &[("f", "1")]), "a:1", &[]);
    let short = rkt.run(&["fetch", &registry.image("a:1")]);
    let full = rkt.fetch(&registry.image("a:1"));
    assert_eq!((full.len(), short.ok().trim()), (7 + 64, &full[..7 + 32]));
    assert_eq!(rkt.run(&["fetch", "--full", &full[..20]]).ok().trim(), full);
    let links = rkt.data().join("rendered");
    rkt.run(&["image", "render", &full, links.to_str().unwrap()]).ok();
    assert_eq!(std::fs::read_link(links.join("rootfs/dev/fd")).unwrap().to_str(), Some("/proc/self/fd"));
}

#[test]
fn images_share_their_layers() {
    let rkt = Rkt::new();
    let registry = Registry::start();
    let layout = Layout::new(rkt.dir.path());
    let big = "x".repeat(3 << 20);
    let base = layout.image("base").layer("/usr", &[("big", &big)]);
    registry.push(&base, "base:1", &[]);
    let other = layout.copy(&base, "other").layer("/etc", &[("f", "1")]);
    registry.push(&other, "other:1", &[]);
    rkt.fetch(&registry.image("base:1"));
    let before: u64 = rkt.stored().iter().map(|p| std::fs::metadata(p).unwrap().blocks() * 512).sum();
    let key = rkt.fetch(&registry.image("other:1"));
    let after: u64 = rkt.stored().iter().map(|p| std::fs::metadata(p).unwrap().blocks() * 512).sum();
    assert!(after - before < 100_000, "{before} -> {after}");
    assert_eq!(rkt.show(&key).len(), 4);
    rkt.run(&["image", "rm", &key]).ok();
    assert_eq!(rkt.show(&format!("127.0.0.1-{}/base:1", registry.port)).len(), 2, "the base keeps its layer");
}

#[test]
fn an_index_gives_the_image_for_this_host() {
    let rkt = Rkt::new();
    let registry = Registry::start();
    let layout = Layout::new(rkt.dir.path());
    registry.push(&layout.image("a").layer("/etc", &[("f", "mine")]), "a:1", &[]);
    let (_, digest) = registry.manifest("a", "1");
    let size = std::fs::metadata(registry.blob(&digest)).unwrap().len();
    let entry = |arch: &str| {
        json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": size,
               "platform": {"os": "linux", "architecture": arch}})
    };
    let index = |arches: &[&str]| {
        json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
               "manifests": arches.iter().map(|a| entry(a)).collect::<Vec<_>>()})
    };
    registry.put(
        "a",
        "many",
        "application/vnd.oci.image.index.v1+json",
        &index(&["mips64", "amd64", "arm64"]),
    );
    registry.put("a", "other", "application/vnd.oci.image.index.v1+json", &index(&["mips64"]));
    assert_eq!(rkt.show(&rkt.fetch(&registry.image("a:many"))), ["etc", "etc/f=mine"]);
    let error = rkt.run(&["fetch", &registry.image("a:other")]).failed();
    assert!(error.contains("only for linux/mips64"), "{error}");
    let pinned = rkt.fetch(&registry.image(&format!("a@{digest}")));
    assert_eq!(rkt.show(&pinned), ["etc", "etc/f=mine"]);
}

#[test]
fn wrong_content_does_not_get_in() {
    let rkt = Rkt::new();
    let registry = Registry::start();
    let layout = Layout::new(rkt.dir.path());
    registry.push(&layout.image("a").layer("/etc", &[("f", "1")]), "a:1", &[]);
    let (manifest, _) = registry.manifest("a", "1");
    let layer = registry.blob(manifest["layers"][0]["digest"].as_str().unwrap());
    let good = std::fs::read(&layer).unwrap();
    let mut bad = good.clone();
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    let longer = [&good[..], b"more"].concat();
    for wrong in [&bad[..], &longer, &good[..middle], b""] {
        std::fs::write(&layer, wrong).unwrap();
        let error = rkt.run(&["fetch", &registry.image("a:1")]).failed();
        assert!(error.contains("expected sha256:") || error.contains("Cannot download"), "{error}");
        assert!(rkt.run(&["image", "list", "--no-legend"]).ok().is_empty());
        assert!(!rkt.stored().iter().any(|p| p.to_string_lossy().contains("/cas/blob/")));
    }
    std::fs::write(&layer, &good).unwrap();
    assert_eq!(rkt.show(&rkt.fetch(&registry.image("a:1"))), ["etc", "etc/f=1"]);
}

#[test]
fn policies_decide_when_to_ask() {
    let rkt = Rkt::new();
    let registry = Registry::start();
    let layout = Layout::new(rkt.dir.path());
    let name = registry.image("a:1");
    let error = rkt.run(&["fetch", "--pull-policy=never", &name]).failed();
    assert!(error.contains("unable to fetch"), "{error}");
    let image = layout.image("a").layer("/etc", &[("f", "1")]);
    registry.push(&image, "a:1", &[]);
    let old = rkt.fetch(&name);
    registry.push(&image.layer("/etc", &[("f", "2")]), "a:1", &[]);
    assert_eq!(rkt.run(&["fetch", "--full", "--pull-policy=new", &name]).ok().trim(), old);
    assert_eq!(rkt.run(&["fetch", "--full", "--pull-policy=never", &name]).ok().trim(), old);
    let new = rkt.fetch(&name);
    assert_ne!(new, old);
    assert_eq!(rkt.fetch(&name), new);
    let debug = rkt.run(&["--debug", "fetch", "--pull-policy=new", &name]);
    assert!(debug.err.contains("image: using image from local store for url docker://"), "{debug:?}");
}

#[test]
fn protections_are_given_up_by_name_only() {
    let registry = Registry::start();
    let name = registry.image("a:1");
    let error = Rkt::with_options("http").run(&["fetch", &name]).failed();
    assert!(error.contains("signature verification for docker images is not supported"), "{error}");
    let error = Rkt::with_options("image").run(&["fetch", &name]).failed();
    assert!(error.contains("Cannot reach https://127.0.0.1"), "{error}");
    let error = Rkt::new().run(&["fetch", &name]).failed();
    assert!(error.contains("bad HTTP status code: 404"), "{error}");
}

#[test]
fn an_interrupted_download_is_resumed() {
    let rkt = Rkt::new();
    let registry = Registry::start();
    let layout = Layout::new(rkt.dir.path());
    let noise: String = (0..200_000u32)
        .map(|n| char::from(b'a' + (n.wrapping_mul(2_654_435_761) >> 27) as u8 % 26))
        .collect();
    registry.push(&layout.image("a").layer("/etc", &[("f", &noise)]), "a:1", &[]);
    let name = registry.image("a:1");
    let key = rkt.fetch(&name);
    let layer = rkt.stored().into_iter().find(|p| p.to_string_lossy().contains("/cas/layer/")).unwrap();
    let (diff_id, content) =
        (layer.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(&layer).unwrap());
    let (manifest, _) = registry.manifest("a", "1");
    let digest = &manifest["layers"][0]["digest"].as_str().unwrap()["sha256:".len()..];
    for (left, resumed) in [(&content[..content.len() / 2], true), (&vec![0; content.len() / 2], false)] {
        rkt.run(&["image", "rm", &key]).ok();
        rkt.run(&["image", "gc"]).ok();
        let partial = rkt.data().join("cas/tmp").join(format!("layer-{diff_id}-{}", &digest[..16]));
        std::fs::write(&partial, left).unwrap();
        let done = rkt.run(&["fetch", "--full", &name]);
        assert!(done.err.contains(", resumed at "), "{done:?}");
        if resumed {
            assert_eq!(done.ok().trim(), key);
        } else {
            // What was left is not the beginning of the layer: noticed, dropped, and right the next time.
            assert!(done.failed().contains("expected sha256:"));
            assert_eq!(rkt.fetch(&name), key);
        }
        assert!(!partial.exists());
    }
}

#[test]
fn many_fetch_at_once() {
    let rkt = Rkt::new();
    let registry = Registry::start();
    let layout = Layout::new(rkt.dir.path());
    let base = layout.image("a").layer("/etc", &[("f", "1")]).layer("/usr", &[("g", "1")]);
    registry.push(&base, "a:1", &[]);
    registry.push(&layout.copy(&base, "b").layer("/opt", &[("h", "1")]), "b:1", &[]);
    let fetches: Vec<_> = (0..8)
        .map(|n| {
            let image = registry.image(if n % 2 == 0 { "a:1" } else { "b:1" });
            let mut command = rkt.command(&["fetch", "--full", &image]);
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let keys: std::collections::BTreeSet<_> =
        fetches.into_iter().map(|c| loopback::Done::of(c.wait_with_output().unwrap()).ok()).collect();
    assert_eq!(keys.len(), 2);
    for key in keys {
        assert!(rkt.run(&["image", "verify", key.trim()]).ok().contains("successfully verified"));
    }
}

#[test]
fn credentials_open_guarded_registries() {
    use loopback::registry::{PASSWORD, USER};
    let rkt = Rkt::new();
    let registry = Registry::guarded();
    let layout = Layout::new(rkt.dir.path());
    registry.push(&layout.image("a").layer("/etc", &[("f", "1")]), "a:1", &[]);
    let (name, host) = (registry.image("a:1"), format!("127.0.0.1:{}", registry.port));
    let error = rkt.run(&["fetch", &name]).failed();
    assert!(error.contains(&format!("Registry {host} wants credentials")), "{error}");
    let auth = |password: &str| {
        json!({"rktKind": "dockerAuth", "rktVersion": "v1", "registries": [host],
               "credentials": {"user": USER, "password": password}})
        .to_string()
    };
    let file = rkt.config().join("auth.d/registry.json");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, auth("wrong")).unwrap();
    assert!(rkt.run(&["fetch", &name]).failed().contains("wants credentials"));
    std::fs::write(&file, auth(PASSWORD)).unwrap();
    let key = rkt.fetch(&name);
    std::fs::remove_file(&file).unwrap();
    let docker = rkt.dir.path().join(".docker/config.json");
    std::fs::create_dir(docker.parent().unwrap()).unwrap();
    let login = json!({"auths": {&host: {"username": USER, "password": PASSWORD}}});
    std::fs::write(&docker, login.to_string()).unwrap();
    assert_eq!(rkt.fetch(&name), key);
    std::fs::write(&file, "{}").unwrap();
    assert!(rkt.run(&["fetch", &name]).failed().contains("Cannot parse configuration file"));
}
