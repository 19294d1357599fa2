//! Many pods, at once and in a row. Each of these tests has the host for itself.

use std::fs;
use std::time::Duration;

use tests::remains::Remains;
use tests::{Rkt, aci};

const LIMIT: Duration = Duration::from_secs(500);

#[test]
fn ten_at_once() {
    let rkt = Rkt::new().limit(LIMIT);
    let image = aci::busybox();
    let image = image.to_str().expect("a UTF-8 path");
    rkt.run(["fetch", image]).expect_success();
    let start = |number: i32| {
        let script = format!("echo pod {number}; exit {number}");
        let run = ["run", "--net=none", image, "--memory=64M", "--cpu=1", "--exec", "/bin/sh", "--", "-c"];
        rkt.start(run.into_iter().chain([script.as_str()]))
    };
    let pods: Vec<_> = (1..=10).map(|number| (number, start(number))).collect();
    for (number, pod) in pods {
        let finished = pod.finish().expect_status(number);
        assert_eq!(finished.stdout_text(), format!("pod {number}\n"));
    }
    assert_eq!(rkt.run(["list", "--no-legend"]).stdout_text().lines().count(), 10);
}

/// How many files the whole host has open.
fn open_files() -> i64 {
    let text = fs::read_to_string("/proc/sys/fs/file-nr").expect("file-nr");
    text.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
}

#[test]
fn fifty_in_a_row_leave_nothing() {
    let rkt = Rkt::new();
    // The first also fills the store.
    rkt.run_script("true").expect_success();
    rkt.run(["gc", "--grace-period=0s"]).expect_success();
    let (before, files_before) = (Remains::look(), open_files());
    for number in 0..50 {
        let status = number % 3;
        rkt.run_script(&format!("exit {status}")).expect_status(status);
    }
    rkt.run(["gc", "--grace-period=0s"]).expect_success();
    assert_eq!(Remains::look(), before);
    assert!(open_files() < files_before + 256, "{files_before} open files became {}", open_files());
    assert_eq!(rkt.run(["list", "--no-legend"]).expect_success().stdout_text(), "");
}
