//! How apps are started and ended, as flags, their image and Docker's configuration say, looked at from inside.

use std::fs;
use std::io::Read as _;
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use tests::{Aci, Rkt, inside, inside::Look, wait};

const LOOKS: &[Look<'_>] = &[("where", "pwd"), ("own", "echo $OWN"), ("write", "touch /tmp/x && echo ok")];

/// An image with handlers, an environment and a directory of its own, whose app makes [`LOOKS`].
fn image(directory: &Path) -> String {
    let handler = |name: &str, when: &str| {
        let script = format!("echo $(id -u) $(pwd) $OWN >/seen/{when}-$AC_APP_NAME");
        json!({"name": name, "exec": ["/bin/sh", "-c", script]})
    };
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
        .app("environment", json!([{"name": "OWN", "value": "image"}]))
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
    let changed = ["--name=changed", "--working-dir=/tmp", "--environment=OWN=flag", "--readonly-rootfs"];
    let looks = inside::script("changed", LOOKS);
    let path = ["--name=path", "--environment=PATH=/none:/opt/bin:/bin", "--exec=looked-up", "---"];
    let relative = ["--name=relative", "--working-dir=/opt", "--exec=bin/looked-up"];
    let words = ["run", "--net=none", &volume, &image, "--name=plain", "---", &image]
        .into_iter()
        .chain(changed)
        .chain(["--exec=/bin/sh", "--", "-c", &looks, "---", &image])
        .chain(path)
        .chain([image.as_str()])
        .chain(relative);
    let finished = rkt.run(words).expect_success();
    inside::expect(&finished, "plain", &["where: /var", "own: image", "write: ok"]);
    let refused = "write: touch: /tmp/x: Read-only file system";
    inside::expect(&finished, "changed", &["where: /tmp", "own: flag", refused]);
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

/// What Docker's configuration says, made by umoci.
const DOCKER: &[&str] = &[
    "--config.entrypoint=/bin/sh",
    "--config.entrypoint=/run.sh",
    "--config.cmd=one",
    "--config.cmd=two words",
    "--config.user=app",
    "--config.env=OWN=docker",
    "--config.workingdir=/srv",
    "--config.exposedports=8080/tcp",
    "--config.volume=/data",
    "--config.stopsignal=SIGUSR1",
];
const DOCKER_LOOKS: &[Look<'_>] = &[
    ("user", "id -u; id -g; echo $HOME $USER"),
    ("capabilities", "grep -E 'Cap(Bnd|Eff)' /proc/self/status | cut -f 2"),
    ("environment", "echo $OWN"),
    ("where", "pwd"),
    ("arguments", "echo $# \"$1\" \"$2\""),
    ("volume", "stat -c '%a %u' /data; grep -c ' /data ' /proc/self/mountinfo"),
];

/// An image of these looks, which then serves a line at its port until it is asked to end.
fn docker_image(directory: &Path) -> String {
    let files = directory.join("files");
    fs::create_dir_all(files.join("bin")).expect("directories");
    fs::create_dir_all(files.join("etc")).expect("directories");
    fs::copy("/bin/busybox", files.join("bin/busybox")).expect("busybox-static is installed");
    for applet in ["sh", "id", "grep", "cut", "stat", "nc", "sleep"] {
        symlink("busybox", files.join("bin").join(applet)).expect("a link");
    }
    fs::write(files.join("etc/passwd"), "app:x:70:71::/home/app:/bin/sh\n").expect("a file");
    fs::write(files.join("etc/group"), "app:x:71:\n").expect("a file");
    let serve = "trap 'echo asked; exit 0' USR1
        while :; do echo served | nc -l -p 8080; done & echo ready; while :; do sleep 0.2; done";
    let script = format!("{}\n{serve}\n", inside::script("docker", DOCKER_LOOKS));
    fs::write(files.join("run.sh"), script).expect("a file");
    let layout = directory.join("oci").display().to_string();
    let image = format!("{layout}:test");
    let umoci = |words: &[&str]| {
        let output = Command::new("umoci").args(words).output().expect("umoci is installed");
        assert!(output.status.success(), "umoci {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    umoci(&["init", "--layout", &layout]);
    umoci(&["new", "--image", &image]);
    umoci(&["insert", "--image", &image, files.to_str().expect("UTF-8"), "/"]);
    umoci(&[&["config", "--image", &image], DOCKER].concat());
    format!("oci:{image}")
}

#[test]
fn a_docker_images_configuration_is_followed() {
    let rkt = Rkt::new();
    let image = docker_image(rkt.dir());
    let saved = rkt.dir().join("uuid");
    let save = format!("--uuid-file-save={}", saved.display());
    let mut pod = rkt.start(["run", &save, "--port=8080-tcp:18090", &image]);
    pod.wait_for_stdout("ready");
    let mut said = String::new();
    wait::until("the port answers", Duration::from_secs(60), || {
        let connected = TcpStream::connect("127.0.0.1:18090");
        connected.is_ok_and(|mut socket| socket.read_to_string(&mut said).is_ok() && !said.is_empty())
    });
    assert_eq!(said, "served\n");
    let uuid = fs::read_to_string(saved).expect("the pod's UUID");
    rkt.run(["stop", &uuid]).expect_success();
    let finished = pod.finish().expect_success();
    assert!(finished.stdout_text().ends_with("ready\nasked\n"), "{finished:?}");
    inside::expect(
        &finished,
        "docker",
        &[
            "user: 70 71 /home/app app",
            "capabilities: 0000000000000000 00000000a80425fb",
            "environment: docker",
            "where: /srv",
            "arguments: 2 one two words",
            "volume: 755 0 1",
        ],
    );
}
