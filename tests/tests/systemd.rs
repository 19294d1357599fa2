//! Pods as services of a real systemd.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use tests::systemd::Systemd;
use tests::{Aci, Rkt, aci, host, inside, process, wait};

const LIMIT: Duration = Duration::from_secs(120);
const IMAGE: &str = "example.com/busybox:1.0.0";
const RESOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../resources/systemd");

/// A service whose only app is a shell script.
fn service(settings: &str, run: &str, script: &str) -> String {
    let quoted = script.replace('\\', "\\\\").replace('\n', "; ").replace('"', "\\\"").replace('$', "$$");
    format!(
        "[Service]\nType=notify\n{settings}\nExecStart=rkt run --net=none {run} {IMAGE} --exec /bin/sh -- -c \"{quoted}\"\n"
    )
}

fn rkt() -> Rkt {
    let rkt = Rkt::new();
    // What a first pod brings into the store is not a service's work.
    rkt.run([Path::new("fetch"), &aci::busybox()]).expect_success();
    rkt.run_script("true").expect_success();
    rkt
}

#[test]
fn a_service_is_up_when_its_pod_is_has_its_limits_and_ends_clean() {
    let rkt = rkt();
    let systemd = Systemd::boot(&rkt);
    let looks =
        inside::script("in", &[("cpus", "nproc"), ("memory", "free -m | awk '/^Mem/ { print ($2 < 268) }'")]);
    let script = format!("{looks}\necho ready\nexec sleep 1000");
    let settings = "MemoryMax=300M\nCPUQuota=100%\nTasksMax=200";
    systemd.unit("pod.service", &service(settings, "--uuid-file-save=/var/lib/rkt/uuid", &script));
    let started = systemd.run(["systemctl", "start", "pod"]);
    assert_eq!(started.status, 0, "{}", systemd.journal("pod"));
    // Nothing has to be waited for any more.
    systemd.run(["rkt", "status", "--wait-ready=1ms", "--uuid-file=/var/lib/rkt/uuid"]).expect_success();
    wait::until("the app's lines in the journal", LIMIT, || systemd.journal("pod").contains("ready"));
    let said = systemd.journal("pod");
    assert!(said.contains("in cpus: 1\n") && said.contains("in memory: 1\n"), "{said}");
    // The unit's cgroup is the pod's: keeper and VMM are in it, and nothing is made below.
    let cgroup = systemd.cgroup("pod");
    let processes = process::in_cgroup(&cgroup);
    assert_eq!(processes.len(), 2, "{processes:?}");
    let below = fs::read_dir(&cgroup).expect("the unit's cgroup").flatten();
    assert!(!below.into_iter().any(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())));
    systemd.run(["systemctl", "stop", "pod"]).expect_success();
    assert_eq!(systemd.property("pod", "ActiveState"), "inactive");
    assert_eq!(systemd.property("pod", "Result"), "success");
    let status =
        systemd.run(["rkt", "status", "--uuid-file=/var/lib/rkt/uuid"]).expect_success().stdout_text();
    assert!(status.starts_with("state=exited\n"), "{status}");

    // Without a unit file: systemd forgets such a unit when it ended well, and keeps one that failed.
    let pod = |unit: &str, script: &str| {
        let service = format!("systemd-run --unit={unit} --property=Type=notify");
        let run = format!("{service} rkt run --net=none {IMAGE} --exec /bin/sh -- -c '{script}'");
        systemd.run(["sh", "-c", &run]).expect_success();
    };
    pod("short", "echo hello");
    systemd.wait_for("short", "LoadState", "not-found");
    assert!(systemd.journal("short").contains("hello"));
    pod("long", "exec sleep 1000");
    systemd.run(["systemctl", "stop", "long"]).expect_success();
    assert_eq!(systemd.property("long", "LoadState"), "not-found");
}

#[test]
fn a_service_that_fails_is_started_again() {
    let rkt = rkt();
    let systemd = Systemd::boot(&rkt);
    let (volume, main) = (rkt.dir().join("volume"), |systemd: &Systemd| systemd.property("again", "MainPID"));
    fs::create_dir(&volume).expect("a volume");
    let script = "if [ -e /v/again ]\nthen exec sleep 1000\nfi\ntouch /v/again\nexit 7";
    let run = "--volume=v,kind=host,source=/var/lib/rkt/volume --mount=volume=v,target=/v";
    systemd.unit("again.service", &service("Restart=on-failure\nRestartSec=100ms", run, script));
    systemd.run(["systemctl", "start", "--no-block", "again"]).expect_success();
    systemd.wait_for("again", "NRestarts", "1");
    systemd.wait_for("again", "ActiveState", "active");
    let journal = systemd.run(["journalctl", "--no-pager", "--output=cat"]).stdout_text();
    assert!(journal.contains("status=7"), "{journal}");
    // What kills the VMM kills the pod.
    let first = main(&systemd);
    systemd.run(["kill", "-9", &first]).expect_success();
    systemd.wait_for("again", "NRestarts", "2");
    systemd.wait_for("again", "ActiveState", "active");
    assert_ne!(main(&systemd), first);
    systemd.run(["systemctl", "stop", "again"]).expect_success();
    assert_eq!(systemd.property("again", "Result"), "success");
}

/// What the app answers to one line.
fn ask(port: u16, line: &str) -> String {
    let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("systemd listens");
    connection.set_read_timeout(Some(LIMIT)).expect("a limit");
    writeln!(connection, "{line}").expect("a connection");
    let mut answer = String::new();
    BufReader::new(connection).read_line(&mut answer).expect("an answer");
    answer
}

#[test]
fn a_connection_starts_the_pod_and_reaches_its_app() {
    let rkt = rkt();
    let image = Aci::with_busybox("example.com/activated", &["/bin/activated"])
        .program("bin/activated", Path::new(env!("CARGO_BIN_EXE_activated")))
        .app("user", json!("nobody"))
        .app("ports", json!([{"name": "line", "protocol": "tcp", "port": 7, "socketActivated": true}]))
        .write(&host::data_dir().join("activated.aci"));
    rkt.run([Path::new("fetch"), &image]).expect_success();
    let systemd = Systemd::boot(&rkt);
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|free| free.local_addr())
        .expect("a port")
        .port();
    let socket = format!("[Socket]\nListenStream=127.0.0.1:{port}\nFileDescriptorName=line\n");
    systemd.unit("line.socket", &socket);
    systemd.unit(
        "line.service",
        "[Service]\nType=notify\nExecStart=rkt run --net=none example.com/activated:1.0.0\n",
    );
    systemd.run(["systemctl", "start", "line.socket"]).expect_success();
    assert_eq!(systemd.property("line.service", "ActiveState"), "inactive");
    assert_eq!(ask(port, "hello"), "1: hello\n");
    assert_eq!(ask(port, "again"), "2: again\n");
    assert!(
        systemd.journal("line.service").contains("sockets: 1 line\n"),
        "{}",
        systemd.journal("line.service")
    );
    systemd.run(["systemctl", "stop", "line.service"]).expect_success();
    // The socket is systemd's: the next connection starts another pod.
    assert_eq!(ask(port, "anew"), "1: anew\n");

    // Sockets that cannot be carried are refused in one line.
    systemd.unit("datagrams.socket", "[Socket]\nListenDatagram=/run/datagrams\n");
    systemd
        .unit("datagrams.service", "[Service]\nExecStart=rkt run --net=none example.com/activated:1.0.0\n");
    systemd.run(["systemctl", "start", "datagrams.socket", "datagrams.service"]).expect_success();
    systemd.wait_for("datagrams.service", "ActiveState", "failed");
    assert_eq!(systemd.property("datagrams.service", "ExecMainStatus"), "254");
    let said = systemd.journal("datagrams.service");
    assert!(said.contains("\"datagrams.socket\" does not listen for streams"), "{said}");
}

#[test]
fn installed_units_are_valid_and_collect() {
    let rkt = rkt();
    let systemd = Systemd::boot(&rkt);
    for unit in ["rkt-gc.service", "rkt-gc.timer", "rkt-image-gc.service", "rkt-image-gc.timer"] {
        systemd.unit(unit, &fs::read_to_string(Path::new(RESOURCES).join(unit)).expect("a resource"));
        let verified = systemd.run(["systemd-analyze", "verify", "--man=no", unit]).expect_success();
        assert_eq!(verified.stderr_text(), "");
    }
    systemd.run(["systemctl", "start", "rkt-gc.timer", "rkt-image-gc.timer"]).expect_success();
    systemd.run(["systemctl", "start", "rkt-gc.service", "rkt-image-gc.service"]).expect_success();
    assert_eq!(systemd.property("rkt-gc.service", "Result"), "success");
    let said = systemd.journal("rkt-gc.service");
    assert!(said.contains("to garbage"), "{said}");
    for example in ["pod.service", "activated.service", "activated.socket"] {
        let text =
            fs::read_to_string(Path::new(RESOURCES).join("examples").join(example)).expect("a resource");
        systemd.unit(example, &text);
        let verified = systemd.run(["systemd-analyze", "verify", "--man=no", example]).expect_success();
        assert_eq!(verified.stderr_text(), "");
    }

    let root = tempfile::tempdir_in(host::data_dir()).expect("a directory");
    fs::create_dir(root.path().join("etc")).expect("a directory");
    for (program, file) in
        [("systemd-sysusers", "rkt.sysusers.conf"), ("systemd-tmpfiles", "rkt.tmpfiles.conf")]
    {
        let mut command = Command::new(program);
        command.arg(format!("--root={}", root.path().display()));
        command.args((program == "systemd-tmpfiles").then_some("--create"));
        process::run(
            {
                command.arg(Path::new(RESOURCES).join(file));
                command
            },
            LIMIT,
        )
        .expect_success();
    }
    let made = process::run(
        {
            let mut stat = Command::new("stat");
            stat.args(["-c", "%a %u"]).arg(root.path().join("var/lib/rkt"));
            stat
        },
        LIMIT,
    );
    assert_eq!(made.expect_success().stdout_text(), "2750 0\n");
    let groups = fs::read_to_string(root.path().join("etc/group")).expect("groups");
    assert!(groups.contains("rkt:"), "{groups}");
}
