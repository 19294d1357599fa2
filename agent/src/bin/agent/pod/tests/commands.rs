//! Commands in running apps.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use agent::protocol::{CommandSpec, GuestMessage, HostMessage, Stdio, StreamKind, WindowSize};
use serde_json::json;

use super::host::{Outcome, PodUnderTest};
use super::script;

const UP: &str = "echo up; exec sleep 1000";

fn command(exec: &[&str]) -> CommandSpec {
    CommandSpec {
        app: "web".into(),
        exec: exec.iter().map(|word| (*word).to_owned()).collect(),
        user: None,
        environment: Vec::new(),
        working_directory: None,
        stdio: Stdio::Output,
    }
}

fn shell(text: &str) -> CommandSpec {
    command(&["/bin/sh", "-c", text])
}

/// Everything that comes over a stream, to its end.
fn read(streams: &HashMap<StreamKind, UnixStream>, kind: StreamKind) -> String {
    let mut text = String::new();
    (&streams[&kind]).read_to_string(&mut text).unwrap();
    text
}

fn ends(outcome: &Outcome) -> Vec<(u32, i32, Option<&str>)> {
    let end = |message| match message {
        &GuestMessage::CommandEnded { command, status, ref line } => Some((command, status, line.as_deref())),
        _ => None,
    };
    outcome.messages.iter().filter_map(end).collect()
}

#[test]
fn a_command_ends_though_it_leaves_something_silent_behind() {
    let outcome = script(UP).run_with(|hands| {
        hands.wait_for("up");
        let streams = hands.enter(1, shell("sleep 1000 & echo done; exit 3"));
        assert_eq!(
            (read(&streams, StreamKind::Stdout), read(&streams, StreamKind::Stderr)),
            ("done\n".into(), String::new())
        );
        hands.send(&HostMessage::Stop { grace_ms: 60_000 });
    });
    assert_eq!(ends(&outcome), [(1, 3, None)]);
}

#[test]
fn a_command_runs_in_its_app_and_the_app_goes_on() {
    let app = json!({
        "exec": ["/bin/sh", "-c", "trap 'exit 7' USR1; touch /tmp/of-the-app; echo up; while :; do sleep 0.01; done"],
        "user": "nobody", "group": "nogroup", "workingDirectory": "/usr",
        "environment": [{"name": "COLOUR", "value": "red"}, {"name": "SHAPE", "value": "round"}],
    });
    let outcome = PodUnderTest::new().app_with("web", app).run_with(|hands| {
        hands.wait_for("up");
        let mut spec = shell(
            "ls /tmp/of-the-app; pwd; id -u; echo $COLOUR $SHAPE $HOME; grep CapBnd /proc/self/status; \
             grep ^0: /proc/self/cgroup; echo err >&2; exit 42",
        );
        spec.environment = vec![("SHAPE".into(), "square".into())];
        let streams = hands.enter(1, spec);
        let expected = "/tmp/of-the-app\n/usr\n0\nred square /root\nCapBnd:\t00000000a80425fb\n0::/\n";
        assert_eq!(read(&streams, StreamKind::Stdout), expected);
        assert_eq!(read(&streams, StreamKind::Stderr), "err\n");
        hands.send(&HostMessage::Signal { app: "web".into(), signal: 10 });
    });
    assert_eq!((outcome.status, ends(&outcome)), (7, vec![(1, 42, None)]));
}

#[test]
fn users_and_directories_can_be_chosen() {
    script(UP).run_with(|hands| {
        hands.wait_for("up");
        let mut spec = shell("id -u; id -g; pwd; echo $HOME");
        spec.user = Some("nobody".into());
        spec.working_directory = Some("/usr/bin".into());
        assert_eq!(read(&hands.enter(1, spec), StreamKind::Stdout), "65534\n65534\n/usr/bin\n/nonexistent\n");
        let mut spec = shell("id -u; id -g");
        spec.user = Some("12:34".into());
        assert_eq!(read(&hands.enter(2, spec), StreamKind::Stdout), "12\n34\n");
        hands.send(&HostMessage::Stop { grace_ms: 0 });
    });
}

#[test]
fn what_cannot_be_run_is_told_at_once() {
    let outcome = script(UP).run_with(|hands| {
        hands.wait_for("up");
        let mut elsewhere = shell("true");
        elsewhere.working_directory = Some("/absent".into());
        let specs = [command(&["foo-not-there"]), command(&["/etc/passwd"]), elsewhere];
        for (number, spec) in (1..).zip(specs) {
            read(&hands.enter(number, spec), StreamKind::Stdout);
        }
        let mut spec = shell("true");
        spec.app = "other".into();
        hands.send(&HostMessage::Enter { command: 4, spec: Box::new(spec) });
        let streams = hands.enter(5, shell("exit 0"));
        read(&streams, StreamKind::Stdout);
        hands.send(&HostMessage::Stop { grace_ms: 0 });
    });
    let mut found = ends(&outcome);
    found.sort_unstable();
    let absent =
        "Error: Unable to enter working directory \"/absent\": No such file or directory (os error 2)";
    let expected = [
        (1, 127, Some("Error: Unable to open \"foo-not-there\": No such file or directory")),
        (2, 126, Some("Error: Unable to open \"/etc/passwd\": Permission denied")),
        (3, 126, Some(absent)),
        (4, 254, Some("Error: App \"other\" is not running")),
        (5, 0, None),
    ];
    assert_eq!(found, expected);
}

#[test]
fn input_reaches_a_command_and_ends() {
    script(UP).run_with(|hands| {
        hands.wait_for("up");
        let mut spec = command(&["sort"]);
        spec.stdio = Stdio::Pipes;
        let streams = hands.enter(1, spec);
        let mut stdin = &streams[&StreamKind::Stdin];
        stdin.write_all(b"b\na\n").unwrap();
        stdin.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read(&streams, StreamKind::Stdout), "a\nb\n");
        hands.send(&HostMessage::Stop { grace_ms: 0 });
    });
}

#[test]
fn a_terminal_is_one_of_the_apps() {
    let outcome = script(UP).run_with(|hands| {
        hands.wait_for("up");
        let text = "trap 'exit 9' INT; trap 'stty size' WINCH; tty; stty size; ls /dev/pts; while :; do sleep 0.01; done";
        let mut spec = shell(text);
        spec.stdio = Stdio::Terminal { size: WindowSize { rows: 25, columns: 81 } };
        let streams = hands.enter(1, spec);
        let mut tty = &streams[&StreamKind::Tty];
        let expect = |mut tty: &UnixStream, wanted: &str| {
            let mut found = vec![0; wanted.len()];
            tty.read_exact(&mut found).unwrap();
            assert_eq!(String::from_utf8(found).unwrap(), wanted);
        };
        expect(tty, "/dev/pts/0\r\n25 81\r\n0  ptmx\r\n");
        let size = WindowSize { rows: 40, columns: 100 };
        hands.send(&HostMessage::ResizeCommand { command: 1, size });
        expect(tty, "40 100\r\n");
        tty.write_all(b"\x03").unwrap();
        expect(tty, "^C");
        assert_eq!(read(&streams, StreamKind::Tty), "");
        hands.send(&HostMessage::Stop { grace_ms: 0 });
    });
    assert_eq!(ends(&outcome), [(1, 9, None)]);
}

#[test]
fn signals_reach_the_whole_group() {
    let outcome = script(UP).run_with(|hands| {
        hands.wait_for("up");
        let streams = hands.enter(1, shell("sleep 1000 & echo $!; wait; echo never"));
        let mut pid = [0; 1];
        (&streams[&StreamKind::Stdout]).read_exact(&mut pid).unwrap();
        hands.send(&HostMessage::SignalCommand { command: 1, signal: 15 });
        read(&streams, StreamKind::Stdout);
        // The group's other process must be gone, too.
        let left = hands.enter(2, shell("pgrep -c -x sleep"));
        assert_eq!(read(&left, StreamKind::Stdout), "1\n");
        hands.send(&HostMessage::Stop { grace_ms: 0 });
    });
    assert_eq!(ends(&outcome)[0], (1, 143, None));
}

#[test]
fn who_hangs_up_ends_streams_and_spares_what_ignores_it() {
    let outcome = script(UP).run_with(|hands| {
        hands.wait_for("up");
        let polite = hands.enter(1, shell("echo here; exec sleep 1000"));
        let deaf = hands.enter(2, shell("trap '' HUP; echo here; exec sleep 0.5"));
        for streams in [&polite, &deaf] {
            (&streams[&StreamKind::Stdout]).read_exact(&mut [0; 5]).unwrap();
        }
        hands.send(&HostMessage::HangUp { command: 1 });
        hands.send(&HostMessage::HangUp { command: 2 });
        assert_eq!(read(&polite, StreamKind::Stdout), "");
        assert_eq!(read(&deaf, StreamKind::Stdout), "");
        let after = hands.enter(3, shell("sleep 1"));
        read(&after, StreamKind::Stdout);
        hands.send(&HostMessage::Stop { grace_ms: 0 });
    });
    assert_eq!(ends(&outcome), [(1, 129, None), (2, 0, None), (3, 0, None)]);
}

#[test]
fn commands_end_with_their_app_and_never_keep_the_pod() {
    let outcome = script("trap 'exit 0' USR1; echo up; while :; do sleep 0.01; done").run_with(|hands| {
        hands.wait_for("up");
        let quiet = hands.enter(1, shell("echo here; exec sleep 1000"));
        // Nobody reads what this one writes.
        let flood = hands.enter(2, command(&["yes"]));
        (&quiet[&StreamKind::Stdout]).read_exact(&mut [0; 5]).unwrap();
        std::mem::forget(flood);
        hands.send(&HostMessage::Signal { app: "web".into(), signal: 10 });
    });
    let mut found = ends(&outcome);
    found.sort_unstable();
    assert_eq!((outcome.status, found), (0, vec![(1, 137, None), (2, 137, None)]));
}
