//! Interactive pods in a real terminal.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{LocalModes, Termios};
use tests::terminal::Terminal;
use tests::{Rkt, aci};

const LIMIT: Duration = Duration::from_secs(150);

/// An interactive shell script in a pod, in a terminal of 33 rows and 101 columns.
fn start(rkt: &Rkt, script: &str) -> Terminal {
    let mut command = rkt.command(["run", "--net=none", "--interactive"]);
    command.arg(aci::busybox()).args(["--exec", "/bin/sh", "--", "-c", script]);
    Terminal::start(&command, (33, 101), LIMIT)
}

/// What of the modes a user notices.
fn visible(modes: &Termios) -> LocalModes {
    modes.local_modes & (LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
}

#[test]
fn it_is_a_terminal_of_the_right_size_and_follows_changes() {
    let rkt = Rkt::new();
    let script = "[ -t 0 ] && [ -t 1 ] && [ -t 2 ] && tty; while sleep 0.3; do stty size; done";
    let mut terminal = start(&rkt, script);
    terminal.wait_for("/dev/");
    terminal.wait_for("33 101");
    terminal.resize(44, 122);
    terminal.wait_for("44 122");
    terminal.type_keys("\x1d\x1d\x1d");
    terminal.finish();
}

#[test]
fn keys_are_echoed_once_and_ctrl_c_reaches_the_app() {
    let rkt = Rkt::new();
    let script = "trap 'echo interrupted; exit 9' INT; echo ready; read line; echo got $line; read more";
    let mut terminal = start(&rkt, script);
    let before = visible(&terminal.modes());
    terminal.wait_for("ready");
    assert!(visible(&terminal.modes()).is_empty(), "the host's terminal is in raw mode");
    terminal.type_keys("typed\r");
    terminal.wait_for("got typed");
    terminal.type_keys("\x03");
    assert_eq!(terminal.finish(), 9);
    assert_eq!(terminal.screen(), "ready\r\ntyped\r\ngot typed\r\n^Cinterrupted\r\n");
    assert_eq!(visible(&terminal.modes()), before);
}

#[test]
fn ctrl_close_bracket_three_times_kills_the_pod() {
    let rkt = Rkt::new();
    let mut terminal =
        start(&rkt, "stty raw -echo; trap '' INT TERM HUP QUIT; echo ready; while :; do sleep 1000; done");
    let before = visible(&terminal.modes());
    terminal.wait_for("ready");
    // None of these is three times within a second.
    terminal.type_keys("\x03\x1d\x1d");
    std::thread::sleep(Duration::from_secs(2));
    terminal.type_keys("\x1d");
    std::thread::sleep(Duration::from_secs(2));
    terminal.type_keys("\x1d\x1d\x1d");
    assert_eq!(terminal.finish(), 137);
    assert!(terminal.screen().contains("Pod killed"), "{}", terminal.screen());
    assert_eq!(visible(&terminal.modes()), before);
}

#[test]
fn the_terminal_is_restored_when_rkt_is_terminated() {
    let rkt = Rkt::new();
    let mut terminal = start(&rkt, "echo ready; exec sleep 1000");
    let before = visible(&terminal.modes());
    terminal.wait_for("ready");
    let pid = Pid::from_raw(terminal.pid() as i32).expect("a process");
    kill_process(pid, Signal::TERM).expect("send a signal");
    assert_eq!(terminal.finish(), 143);
    assert_eq!(visible(&terminal.modes()), before);
}
