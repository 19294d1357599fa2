//! The guest's clock follows the host's.

use std::process::Command;

use tests::{Rkt, host};

const HOUR: u64 = 3600;

fn set_clock(by: &str) {
    let status = Command::new("date").args(["--set", by]).status().expect("date");
    assert!(status.success(), "the host's clock cannot be set");
}

#[test]
fn the_hosts_clock_is_followed_when_it_jumps() {
    // Nobody wants a real machine to lose its time.
    if host::kind() == host::Kind::Direct {
        return;
    }
    let script = "a=$(date +%s); echo started
        until b=$(date +%s); [ $((b - a)) -gt 1800 ]; do sleep 0.2; done; echo $((b - a))";
    let rkt = Rkt::new();
    let image = tests::aci::busybox();
    let words =
        ["run", "--net=none", image.to_str().expect("UTF-8"), "--exec", "/bin/sh", "--", "-c", script];
    let mut pod = rkt.start(words);
    pod.wait_for_stdout("started");
    set_clock("+1 hour");
    let finished = pod.finish();
    set_clock("-1 hour");
    let text = finished.expect_success().stdout_text();
    let jump: u64 = text.lines().last().and_then(|line| line.parse().ok()).expect("a number of seconds");
    assert!((HOUR..HOUR + 100).contains(&jump), "{jump} s");
}
