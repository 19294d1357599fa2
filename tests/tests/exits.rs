//! What a pod's end looks like from outside: exit status, streams, and the one line when a program is missing.

use tests::Rkt;

#[test]
fn streams_and_status_are_the_apps() {
    let finished = Rkt::new().run_script("echo out; echo err >&2; exit 42").expect_status(42);
    assert_eq!(finished.stdout_text(), "out\n");
    assert_eq!(finished.stderr_text(), "err\n");
}

#[test]
fn success_is_silent() {
    let finished = Rkt::new().run_script("true").expect_success();
    assert_eq!((finished.stdout_text().as_str(), finished.stderr_text().as_str()), ("", ""));
}

#[test]
fn death_by_signal_is_128_and_its_number() {
    Rkt::new().run_script("kill -9 $$").expect_status(137);
}

#[test]
fn a_missing_program_is_named() {
    let rkt = Rkt::new();
    let image = tests::aci::busybox();
    let image = image.to_str().expect("a UTF-8 path");
    let finished = rkt.run(["run", "--net=none", image, "--exec", "/foo-not-there"]).expect_status(203);
    let line = "Error: Unable to open \"/foo-not-there\": No such file or directory\n";
    assert_eq!(finished.stderr_text(), line);
}

#[test]
fn the_status_is_kept_for_rkt_status() {
    let rkt = Rkt::new();
    rkt.run_script("exit 42").expect_status(42);
    let list = rkt.run(["list", "--full", "--no-legend"]).expect_success().stdout_text();
    let uuid = list.split('\t').next().expect("a pod").to_owned();
    assert!(list.contains("exited"), "{list}");
    let status = rkt.run(["status", &uuid]).expect_success().stdout_text();
    assert!(status.contains("state=exited\n"), "{status}");
    assert!(status.lines().any(|line| line.starts_with("app-") && line.ends_with("=42")), "{status}");
}

#[test]
fn a_guest_that_ends_by_itself_is_one_line() {
    let image = tests::aci::busybox();
    let image = image.to_str().expect("a UTF-8 path");
    let privileged = ["--insecure-options=image,capabilities", "run", "--net=none", image];
    let reset = ["--exec", "/bin/reboot", "--", "-f"];
    let finished = Rkt::new().run(privileged.into_iter().chain(reset)).expect_status(254);
    let error = finished.stderr_text();
    assert!(error.starts_with("stage1: Guest"), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
}
