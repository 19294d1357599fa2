//! What books and posts show of rkt's earlier versions works, and says how it is written today.

use crate::bed::{Bed, lines};

#[test]
fn old_flags_run_a_pod() {
    let bed = Bed::new();
    let host = bed.path("host");
    std::fs::create_dir(&host).unwrap();
    let volume = format!("{}:/data", host.display());
    let done = bed.rkt(&[
        "-debug=false",
        "-insecure-skip-verify",
        "run",
        "-stage1-image",
        "stage1.aci",
        "--private-net=none",
        "--volume",
        &volume,
        "a.aci",
        "-exec=/bin/hello",
        "--",
        "-net",
    ]);
    assert_eq!(done.status, 0, "{}", done.stderr);
    let hints: Vec<_> = done.stderr.lines().filter(|line| line.starts_with("run: hint: ")).collect();
    let host = host.display();
    assert_eq!(
        hints,
        [
            "run: hint: -debug is an old spelling of --debug".to_owned(),
            "run: hint: -insecure-skip-verify is an old spelling of --insecure-skip-verify".to_owned(),
            "run: hint: --insecure-skip-verify is an old spelling of --insecure-options".to_owned(),
            "run: hint: -stage1-image is an old spelling of --stage1-image".to_owned(),
            "run: hint: --stage1-image is an old spelling of --stage1-path".to_owned(),
            "run: hint: --private-net is an old spelling of --net".to_owned(),
            format!(
                "run: hint: --volume {host}:/data is an old spelling of --volume volume-0,kind=host,source={host} \
                 --mount volume=volume-0,target=/data"
            ),
            "run: hint: -exec is an old spelling of --exec".to_owned(),
        ]
    );
    let pod = bed.pod("run");
    assert_eq!(lines(&pod.join("argv"))[0], "--net=none");
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(pod.join("pod")).unwrap()).unwrap();
    let app = &manifest["apps"][0];
    assert_eq!(app["app"]["exec"], serde_json::json!(["/bin/hello", "-net"]));
    assert_eq!(
        (&app["mounts"][0]["volume"], &app["mounts"][0]["path"]),
        (&"volume-0".into(), &"/data".into())
    );
    assert_eq!(manifest["volumes"][0]["source"], host.to_string());
}

#[test]
fn old_commands_do_what_they_did() {
    let bed = Bed::new();
    let done = bed.rkt(&["install"]);
    assert_eq!(done.status, 0, "{}", done.stderr);
    assert!(done.stderr.starts_with("install: hint: no longer needed"), "{}", done.stderr);
    assert!(bed.data().join("cas/db/index.sqlite").exists() && bed.data().join("pods/run").is_dir());
    let uuid = bed.prepare(&["a.aci"]);
    let done = bed.rkt(&["list", "pods", "--full", "--no-legend"]);
    assert!(done.stdout.starts_with(&uuid), "{}", done.stdout);
    assert_eq!(done.stderr, "rkt: hint: list pods is an old spelling of list\n");
    let done = bed.rkt(&["images", "--no-legend"]);
    assert_eq!((done.status, done.stdout.lines().count()), (0, 2), "{}", done.stderr);
    assert_eq!(done.stderr, "rkt: hint: images is an old spelling of image list\n");
    assert!(!bed.rkt(&["help"]).stdout.contains("install"));
}

#[test]
fn profiles_of_the_original_may_be_asked_for() {
    let bed = Bed::new();
    let done = bed.rkt(&["--cpuprofile=cpu", "--memprofile=mem", "list"]);
    assert_eq!((done.status, done.stderr.as_str()), (0, ""));
    assert!(!bed.path("cpu").exists() && !bed.path("mem").exists());
    assert!(!bed.rkt(&["list", "--help"]).stdout.contains("profile"));
}
