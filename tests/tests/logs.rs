//! What apps wrote, kept.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use tests::{Rkt, Running, aci, host, process, wait};

const LIMIT: Duration = Duration::from_secs(400);

/// Starts a pod of these apps' shell scripts.
fn start(rkt: &Rkt, apps: &[(&str, &str)]) -> Running {
    let image = aci::busybox().into_os_string().into_string().expect("a UTF-8 path");
    let save = format!("--uuid-file-save={}", rkt.dir().join("uuid").display());
    let mut words = vec!["run".to_owned(), "--net=none".into(), save];
    for (name, script) in apps {
        words.extend([image.clone(), format!("--name={name}")]);
        words.extend(["--exec", "/bin/sh", "--", "-c", script, "---"].map(str::to_owned));
    }
    rkt.start(words)
}

fn uuid(rkt: &Rkt) -> String {
    fs::read_to_string(rkt.dir().join("uuid")).expect("the pod's UUID")
}

#[test]
fn logs_outlive_the_pod() {
    let rkt = Rkt::new();
    // Two streams, two connections: only time tells their order.
    let script = "echo one; echo two >&2; sleep 0.5; printf three; printf ' and a half\\nrest'";
    start(&rkt, &[("web", script)]).finish().expect_success();
    let uuid = uuid(&rkt);
    let shown = rkt.run(["logs", &uuid]).expect_success();
    assert_eq!(
        (shown.stdout_text(), shown.stderr_text()),
        ("one\nthree and a half\nrest".into(), "two\n".into())
    );
    assert_eq!(rkt.run(["logs", "--tail=1", &uuid]).expect_success().stdout_text(), "rest");
    assert_eq!(rkt.run(["logs", "--since=1ms", &uuid]).expect_success().stdout_text(), "");
    let timed = rkt.run(["logs", "--timestamps", "--app=web", &uuid]).expect_success().stdout_text();
    let first = timed.lines().next().expect("a line");
    assert!(first.len() == "2026-01-31T12:00:00.000000000Z one".len() && first.ends_with("Z one"), "{first}");
    rkt.run(["logs", "--app=db", &uuid]).expect_status(254);
    // Other programs read them, too.
    let file = rkt.dir().join("pods/run").join(&uuid).join("logs/web.log");
    let text = fs::read_to_string(file).expect("a log in Kubernetes' format");
    assert!(text.lines().any(|line| line.ends_with("Z stderr F two")), "{text}");
    assert!(text.lines().any(|line| line.ends_with("Z stdout P rest")), "{text}");
}

#[test]
fn a_running_pod_is_followed_to_its_end() {
    let rkt = Rkt::new();
    let mut pod =
        start(&rkt, &[("web", "echo early; while ! [ -e /tmp/go ]; do sleep 0.1; done; echo late")]);
    pod.wait_for_stdout("early");
    let uuid = uuid(&rkt);
    let mut follower = rkt.start(["logs", "-f", &uuid]);
    follower.wait_for_stdout("early\n");
    rkt.run(["enter", &uuid, "touch", "/tmp/go"]).expect_success();
    pod.finish().expect_success();
    assert_eq!(follower.finish().expect_success().stdout_text(), "early\nlate\n");
}

#[test]
fn apps_are_told_apart() {
    let rkt = Rkt::new();
    start(&rkt, &[("web", "echo from web"), ("db", "sleep 1; echo from db")]).finish().expect_success();
    let uuid = uuid(&rkt);
    let shown = rkt.run(["logs", &uuid]).expect_success().stdout_text();
    assert_eq!(shown, "[web] from web\n[db] from db\n");
    assert_eq!(rkt.run(["logs", "--app=db", &uuid]).expect_success().stdout_text(), "from db\n");
}

#[test]
fn a_hundred_mebibytes_are_rotated_and_the_app_loses_nothing() {
    let rkt = Rkt::new();
    let noise = rkt.dir().join("noise");
    let mut random = File::open("/dev/urandom").expect("random bytes").take(100 << 20);
    std::io::copy(&mut random, &mut File::create(&noise).expect("a file")).expect("random bytes");
    let mut command = rkt.command(["run", "--net=none", "--interactive"]);
    let save = format!("--uuid-file-save={}", rkt.dir().join("uuid").display());
    command.arg(save).arg(aci::busybox()).args(["--name=web", "--exec", "/bin/cat"]);
    command.stdin(File::open(&noise).expect("the file"));
    let pod = Running::start(command, LIMIT).finish().expect_success();
    let sent = fs::read(&noise).expect("the file");
    assert!(pod.stdout == sent, "the bytes have changed on the way");
    let logs = rkt.dir().join("pods/run").join(uuid(&rkt)).join("logs");
    let files = || fs::read_dir(&logs).expect("logs").map(|file| file.expect("a file"));
    let total: u64 = files().map(|file| file.metadata().expect("its size").len()).sum();
    assert_eq!(files().count(), 5);
    assert!((40 << 20..50 << 20).contains(&total), "{total}");
    // What is there is the end of what was written, to the byte.
    let shown = process::run(rkt.command(["logs", &uuid(&rkt)]), LIMIT).expect_success();
    assert!(shown.stdout.len() > 35 << 20 && sent.ends_with(&shown.stdout), "{}", shown.stdout.len());
}

#[test]
fn a_full_disk_costs_the_log_and_nothing_else() {
    let rkt = Rkt::new();
    let dir = rkt.dir().display();
    let run = |line: String| process::run(shell(&line), LIMIT);
    run(format!("mount -t tmpfs -o size=256m tmpfs {dir}")).expect_success();
    let mut pod =
        start(&rkt, &[("web", "echo ready; while ! [ -e /dev/shm/go ]; do sleep 0.1; done; seq 100000")]);
    pod.wait_for_stdout("ready");
    run(format!("cat /dev/zero >{dir}/full")).expect_status(1);
    rkt.run(["enter", &uuid(&rkt), "touch", "/dev/shm/go"]).expect_success();
    let finished = pod.finish();
    let kept = rkt.run(["logs", &uuid(&rkt)]).stdout_text();
    rkt.run(["gc", "--grace-period=0s"]);
    run(format!("umount -l {dir}")).expect_success();
    assert!(finished.stdout_text().ends_with("\n99999\n100000\n"), "{}", finished.stderr_text());
    let told = finished.stderr_text();
    assert_eq!(told.matches("Cannot write the log of app web").count(), 1, "{told}");
    assert!(kept.starts_with("ready\n") && !kept.contains("100000"));
}

fn shell(line: &str) -> std::process::Command {
    let mut command = std::process::Command::new("sh");
    command.args(["-c", line]);
    command
}

#[test]
fn journald_gets_every_line() {
    let socket = Path::new("/run/systemd/journal/socket");
    fs::create_dir_all(socket.parent().expect("a directory")).expect("make journald's directory");
    assert!(host::kind() == host::Kind::Emulated || !socket.exists(), "this host has a journald of its own");
    let journald = UnixDatagram::bind(socket).expect("stand in for journald");
    let rkt = Rkt::new();
    start(&rkt, &[("web", "echo one; echo two >&2")]).finish().expect_success();
    journald.set_nonblocking(true).expect("look without waiting");
    let mut datagrams = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(length) = journald.recv(&mut buffer) {
        datagrams.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
    }
    fs::remove_file(socket).expect("remove the socket");
    let of_pod = format!("\nRKT_POD={}\n", uuid(&rkt));
    let mut lines: Vec<_> = datagrams.iter().filter(|datagram| datagram.contains(&of_pod)).collect();
    lines.sort();
    assert_eq!(lines.len(), 2, "{datagrams:?}");
    assert!(
        lines[0].starts_with("PRIORITY=3\nSYSLOG_IDENTIFIER=web\n") && lines[0].ends_with("\nMESSAGE=two\n")
    );
    assert!(lines[1].starts_with("PRIORITY=6\n") && lines[1].ends_with("RKT_STREAM=stdout\nMESSAGE=one\n"));
    wait::until("the log", LIMIT, || rkt.run(["logs", &uuid(&rkt)]).stdout_text() == "one\n");
}
