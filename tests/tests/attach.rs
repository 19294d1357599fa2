//! Clients attached to the streams of running apps.

use std::fs;
use std::time::Duration;

use tests::terminal::Terminal;
use tests::{Rkt, Running, aci, wait};

const LIMIT: Duration = Duration::from_secs(120);

/// Starts a pod with a shell script whose standard input is of this kind, and waits until it says `ready`.
fn start(rkt: &Rkt, stdin: &str, script: &str) -> (Running, String) {
    let saved = rkt.dir().join("uuid");
    let save = format!("--uuid-file-save={}", saved.display());
    let stdin = format!("--stdin={stdin}");
    let image = aci::busybox();
    let image = image.to_str().expect("a UTF-8 path");
    let app = [image, "--name=web", &stdin, "--exec", "/bin/sh", "--", "-c", script];
    let mut running = rkt.start([&["run", "--net=none", &save], &app[..]].concat());
    running.wait_for_stdout("ready");
    (running, fs::read_to_string(saved).expect("the pod's UUID"))
}

#[test]
fn several_hear_the_same_and_one_may_type() {
    let rkt = Rkt::new();
    let script = "echo ready; while read line; do echo got $line; echo err >&2; done";
    let (mut pod, uuid) = start(&rkt, "stream", script);
    let listed = rkt.run(["attach", "--mode=list", &uuid]).expect_success();
    assert_eq!(listed.stdout_text(), "stdin\nstdout\nstderr\n");
    let mut all = rkt.start(["attach", &uuid]);
    let mut output = rkt.start(["attach", "--mode=stdout", &uuid]);
    // Nothing tells when they are attached but that they hear.
    let heard = |running: &Running| String::from_utf8_lossy(&running.stdout_so_far()).contains("got ping");
    wait::until("both to be attached", LIMIT, || {
        let mut typist = rkt.start(["attach", "--mode=stdin", &uuid]);
        typist.feed(b"ping\n");
        typist.finish().expect_success();
        heard(&all) && heard(&output)
    });
    let mut stdin = all.stdin().expect("piped");
    std::io::Write::write_all(&mut stdin, b"last\n").expect("type");
    for running in [&mut pod, &mut all, &mut output] {
        running.wait_for_stdout("got last");
    }
    assert!(String::from_utf8_lossy(&all.stderr_so_far()).contains("err\n"));
    assert_eq!(output.stderr_so_far(), b"");
    // Ctrl-C leaves, and the app goes on.
    output.signal(2);
    output.finish().expect_status(130);
    rkt.run(["enter", &uuid, "true"]).expect_success();
    // The app's end is theirs.
    rkt.run(["stop", &uuid]).expect_success();
    all.finish().expect_success();
    pod.finish().expect_success();
}

#[test]
fn a_terminal_of_nobodys_becomes_ones_own() {
    let rkt = Rkt::new();
    let script = "tty; echo ready; while read line; do stty size; echo got $line; done";
    let (mut pod, uuid) = start(&rkt, "tty", script);
    pod.wait_for_stdout("/dev/pts/0");
    let mut terminal = Terminal::start(&rkt.command(["attach", &uuid]), (33, 101), LIMIT);
    wait::until("raw mode", LIMIT, || {
        !terminal.modes().local_modes.contains(rustix::termios::LocalModes::ECHO)
    });
    // Sizes and keys go different ways: the first keys may be there before the size.
    wait::until("the terminal's size", LIMIT, || {
        terminal.type_keys("hello\r");
        std::thread::sleep(Duration::from_millis(500));
        terminal.screen().contains("33 101\r\ngot hello\r\n")
    });
    terminal.type_keys("\x1d\x1d\x1d");
    assert_eq!(terminal.finish(), 0);
    assert!(terminal.modes().local_modes.contains(rustix::termios::LocalModes::ECHO));
    rkt.run(["attach", "--mode=stdout", &uuid]).expect_status(254);
    rkt.run(["stop", &uuid]).expect_success();
    pod.finish();
}

#[test]
fn one_who_does_not_read_costs_the_app_a_second_and_no_more() {
    let rkt = Rkt::new();
    let script = "echo ready; while ! [ -e /tmp/go ]; do sleep 0.1; done; seq 1000000; echo done; sleep 1000";
    let (mut pod, uuid) = start(&rkt, "null", script);
    let mut stuck = rkt.command(["attach", &uuid]);
    let mut stuck = stuck
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("start rkt");
    std::thread::sleep(Duration::from_secs(3));
    rkt.run(["enter", &uuid, "touch", "/tmp/go"]).expect_success();
    pod.wait_for_stdout("1000000\ndone\n");
    drop(stuck.stdout.take());
    stuck.kill().expect("end rkt attach");
    stuck.wait().expect("wait");
    rkt.run(["stop", &uuid]).expect_success();
    pod.finish().expect_success();
}
