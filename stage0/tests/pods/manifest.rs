//! The manifests of pods, as flags make them.

use appc::PodManifest;

use crate::bed::{Bed, finish};

/// The manifest of a pod prepared with these words.
fn prepared(bed: &Bed, words: &[&str]) -> PodManifest {
    let uuid = bed.prepare(words);
    let done = bed.rkt(&["cat-manifest", &uuid]);
    assert_eq!(done.status, 0, "{}", done.stderr);
    PodManifest::from_slice(done.stdout.as_bytes()).unwrap()
}

#[test]
fn flags_reach_the_manifest() {
    let bed = Bed::new();
    bed.app("b");
    let file = bed.write("env", "# variables\nFILE=f\nBOTH=f\n");
    let manifest = prepared(
        &bed,
        &[
            "--volume=data,kind=host,source=/srv,readOnly=true",
            "--mount=volume=data,target=/data",
            &format!("--set-env-file={file}"),
            "--set-env=BOTH=s",
            "a.aci",
            "--exec=/bin/sh",
            "--memory=192M",
            "--cpu=2",
            "--user=1000",
            "--group=1000",
            "--supplementary-gids=1,2",
            "--working-dir=/tmp",
            "--environment=A=1",
            "--readonly-rootfs",
            "--caps-retain=CAP_KILL,CAP_CHOWN",
            "--seccomp=mode=retain,@docker/default-whitelist",
            "--oom-score-adj=-10",
            "--cpu-shares=100",
            "--annotation=example.com/x=y",
            "--user-label=l=v",
            "--",
            "-c",
            "exit 3",
            "---",
            "b.aci",
            "--name=other",
        ],
    );
    let (a, b) = (manifest.app("a").unwrap(), manifest.app("other").unwrap());
    let section = a.app.as_ref().unwrap();
    assert_eq!(section.exec, ["/bin/sh", "-c", "exit 3"]);
    assert_eq!(
        (section.user.as_str(), section.group.as_str(), section.working_directory.as_str()),
        ("1000", "1000", "/tmp")
    );
    assert_eq!(section.supplementary_gids, [1, 2]);
    let environment = |name| section.environment.get(name);
    assert_eq!(
        (environment("A"), environment("FILE"), environment("BOTH")),
        (Some("1"), Some("f"), Some("s"))
    );
    assert_eq!(section.isolators.memory_limit().unwrap().value(), 192_000_000);
    assert_eq!(section.isolators.cpu_limit().unwrap().milli_value(), 2000);
    assert_eq!(section.isolators.0.len(), 6);
    assert!(a.read_only_root_fs && !b.read_only_root_fs);
    assert_eq!((a.mounts.len(), b.mounts.len()), (1, 1));
    assert_eq!(b.app.as_ref().unwrap().exec, ["/bin/hello"]);
    assert_eq!(a.image.name.as_ref().unwrap().as_str(), "example.com/a");
    assert_eq!(a.annotations.get("example.com/x"), Some("y"));
}

#[test]
fn the_environment_of_rkt_is_inherited_if_wanted() {
    let bed = Bed::new();
    let mut command = bed.pod_command("prepare", &["--inherit-env", "a.aci"]);
    let uuid = finish(command.env("FROM_THE_HOST", "x")).stdout;
    let manifest = bed.rkt(&["cat-manifest", "--pretty-print=false", uuid.trim()]).stdout;
    assert!(manifest.contains(r#"{"name":"FROM_THE_HOST","value":"x"}"#), "{manifest}");
}

#[test]
fn wishes_that_cannot_be_met_are_named() {
    let bed = Bed::new();
    bed.app_with("empty", r#""exec":[],"user":"0","group":"0""#);
    for (words, message) in [
        (&["a.aci", "a.aci"][..], "error: multiple apps with name a"),
        (&["a.aci", "--mount=volume=v,target=/p"], "dangling mount point \"/p\": volume \"v\" not found"),
        (&["a.aci", "--memory=1000"], "memory limit of 1000 bytes too low"),
        (&["a.aci", "--caps-retain=A", "--caps-remove=B"], "cannot use both --caps-retain and --caps-remove"),
        (&["--volume=v,kind=empty", "--volume=v,kind=empty", "a.aci"], "duplicate volume name"),
        (&["--set-env=A=1", "--set-env=A=2", "a.aci"], "key \"A\" already set"),
        (&["--port=http:80", "a.aci"], "port name \"http\" could not be found in any apps"),
        (&["empty.aci"], "empty exec"),
        (&["--interactive", "a.aci", "--name=x", "a.aci"], "interactive option only supports one image"),
        (&["missing.aci"], "missing.aci"),
    ] {
        let done = bed.run(words);
        assert_eq!(done.status, 254, "{words:?}");
        assert!(done.stderr.contains(message), "{words:?}: {}", done.stderr);
        assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
    }
}

#[test]
fn a_given_manifest_is_run() {
    let bed = Bed::new();
    let first = prepared(&bed, &["a.aci"]);
    let id = first.apps[0].image.id.clone();
    let json = format!(
        r#"{{"acKind":"PodManifest","acVersion":"0.8.11","apps":[{{"name":"given","image":{{"id":"{id}"}}}}]}}"#
    );
    let file = bed.write("pod.json", &json);
    let manifest = prepared(&bed, &[&format!("--pod-manifest={file}")]);
    assert_eq!(manifest.app("given").unwrap().app, first.apps[0].app);
    let missing = json.replace(id.as_str(), "sha512-0123456789");
    let file = bed.write("missing.json", &missing);
    let done = bed.run(&[&format!("--pod-manifest={file}")]);
    assert!(done.stderr.contains("is not in the store, fetch it first"), "{}", done.stderr);
    let file = bed.write("bad.json", "{}");
    assert_eq!(bed.run(&[&format!("--pod-manifest={file}")]).status, 254);
}
