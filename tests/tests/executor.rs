//! How apps are started and ended, as flags and their image say, looked at from inside.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tests::{Aci, Rkt, inside, inside::Look, process};

const LOOKS: &[Look<'_>] = &[
    ("where", "pwd"),
    ("own", "echo $OWN"),
    ("write", "touch /tmp/x && echo ok"),
    ("layers", "echo $LAYER_0 $LAYER_1 $LAYER_2 $LAYER_3 $LAYER_4"),
];

/// The variables that a layer of the environment sets: each layer all but those of the ones below it.
fn layer(number: usize, layer: &str) -> impl Iterator<Item = (String, &str)> {
    (number..5).map(move |number| (format!("LAYER_{number}"), layer))
}

/// An image with handlers, an environment and a directory of its own, whose app makes [`LOOKS`].
fn image(directory: &Path) -> String {
    let handler = |name: &str, when: &str| {
        let script = format!("echo $(id -u) $(pwd) $OWN >/seen/{when}-$AC_APP_NAME");
        json!({"name": name, "exec": ["/bin/sh", "-c", script]})
    };
    let own = [("OWN".to_owned(), "image")].into_iter().chain(layer(1, "image"));
    let environment: Vec<_> = own.map(|(name, value)| json!({"name": name, "value": value})).collect();
    let looked_up = "#!/bin/sh\necho \"$AC_APP_NAME was found as $0\"\n";
    Aci::with_busybox("example.com/executed", &["/bin/sh", "-c", &inside::script("plain", LOOKS)])
        .directory("opt", 0o755)
        .directory("opt/bin", 0o755)
        .file("opt/bin/looked-up", looked_up, 0o755)
        .file("opt/bin/uninterpreted", "#!/bin/absent\n", 0o755)
        .file("opt/bin/unlinked", fs::read("/usr/bin/env").expect("a dynamic program"), 0o755)
        .app("user", json!("nobody"))
        .app("group", json!("nogroup"))
        .app("workingDirectory", json!("/var"))
        .app("environment", json!(environment))
        .app("mountPoints", json!([{"name": "seen", "path": "/seen"}]))
        .app("eventHandlers", json!([handler("pre-start", "before"), handler("post-stop", "after")]))
        .write(&directory.join("executed.aci"))
        .display()
        .to_string()
}

#[test]
fn flags_and_the_image_say_how_an_app_starts() {
    let rkt = Rkt::new();
    let (image, seen) = (image(rkt.dir()), rkt.dir().join("seen"));
    fs::create_dir(&seen).expect("a directory");
    let volume = format!("--volume=seen,kind=host,source={}", seen.display());
    let file = rkt.dir().join("environment");
    let lines = layer(3, "file").map(|(name, value)| format!("{name}={value}\n"));
    fs::write(&file, lines.collect::<String>()).expect("a file");
    let file = format!("--set-env-file={}", file.display());
    let pod = ["run", "--net=none", &volume, "--inherit-env", &file, "--set-env=LAYER_4=set"];
    let changed = ["--name=changed", "--working-dir=/tmp", "--environment=OWN=flag", "--readonly-rootfs"];
    let of_flags: Vec<_> =
        layer(2, "flag").map(|(name, value)| format!("--environment={name}={value}")).collect();
    let looks = inside::script("changed", LOOKS);
    let path = ["--name=path", "--environment=PATH=/none:/opt/bin:/bin", "--exec=looked-up", "---"];
    let relative = ["--name=relative", "--working-dir=/opt", "--exec=bin/looked-up"];
    let words = pod
        .into_iter()
        .chain([&image, "--name=plain", "---", &image])
        .chain(changed)
        .chain(of_flags.iter().map(String::as_str))
        .chain(["--exec=/bin/sh", "--", "-c", &looks, "---", &image])
        .chain(path)
        .chain([image.as_str()])
        .chain(relative);
    let mut command = rkt.command(words);
    command.envs(layer(0, "host"));
    let finished = process::run(command, Duration::from_secs(120)).expect_success();
    let layers = "layers: host image image file set";
    inside::expect(&finished, "plain", &["where: /var", "own: image", "write: ok", layers]);
    let refused = "write: touch: /tmp/x: Read-only file system";
    let layers = "layers: host image flag file set";
    inside::expect(&finished, "changed", &["where: /tmp", "own: flag", refused, layers]);
    inside::expect(&finished, "path", &["was found as /opt/bin/looked-up"]);
    inside::expect(&finished, "relative", &["was found as bin/looked-up"]);
    for (app, how) in [
        ("plain", "0 /var image"),
        ("changed", "0 /tmp flag"),
        ("path", "0 /var image"),
        ("relative", "0 /opt image"),
    ] {
        for when in ["before", "after"] {
            let said = fs::read_to_string(seen.join(format!("{when}-{app}"))).expect("a handler ran");
            assert_eq!(said, format!("{how}\n"), "{when} {app}");
        }
    }
}

#[test]
fn what_cannot_be_started_is_named() {
    let rkt = Rkt::new();
    let (image, nothing) = (image(rkt.dir()), rkt.dir().join("nothing"));
    fs::create_dir(&nothing).expect("a directory");
    let missing = |name: &str| format!("Error: Unable to open \"{name}\": No such file or directory\n");
    let writable = format!("--volume=seen,kind=host,source={}", nothing.display());
    for (program, named) in [
        ("/opt/bin/uninterpreted", "/bin/absent"),
        ("/opt/bin/unlinked", "/lib64/ld-linux-x86-64.so.2"),
        ("nowhere", "nowhere"),
    ] {
        let exec = format!("--exec={program}");
        let finished = rkt.run(["run", "--net=none", &writable, &image, &exec]).expect_status(203);
        assert_eq!(finished.stderr_text(), missing(named));
    }
    // A handler that fails keeps its app from starting.
    let frozen = format!("{writable},readOnly=true");
    let finished = rkt.run(["run", "--net=none", &frozen, &image]).expect_status(1);
    let said = finished.stderr_text();
    assert!(said.contains("can't create /seen/before-executed: Read-only file system\n"), "{said}");
    assert!(said.ends_with("Error: pre-start handler failed with status 1\n"), "{said}");
    assert_eq!(finished.stdout_text(), "");
}
