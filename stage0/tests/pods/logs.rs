//! What stage1 keeps of the apps' output, shown.

use std::process::Stdio;

use crate::bed::{Bed, eventually};

const START: &str = "2026-01-31T12:00:0";

#[test]
fn logs_are_shown_as_they_were_written() {
    let bed = Bed::new();
    let done = bed.run_doing(
        &format!(
            "mkdir logs; echo '{START}1Z stdout F one' >logs/a.log.1; echo '{START}2Z stderr F two' >logs/a.log
             echo '{START}3Z stdout P thr' >>logs/a.log; echo '{START}4Z stdout F ee' >>logs/a.log"
        ),
        &["--uuid-file-save=uuid", "a.aci"],
    );
    assert_eq!(done.status, 0, "{}", done.stderr);
    let logs = |flags: &[&str]| bed.rkt(&[&["logs", "--uuid-file=uuid"], flags].concat());
    let all = logs(&[]);
    assert_eq!((all.status, all.stdout.as_str(), all.stderr.as_str()), (0, "one\nthree\n", "two\n"));
    assert_eq!(logs(&["--tail=1"]).stdout, "three\n");
    assert_eq!(logs(&["--since", &format!("{START}3Z")]).stdout, "three\n");
    assert_eq!(logs(&["--since=1h"]).stdout, "");
    assert_eq!(
        logs(&["-t", "--tail=3", "--app=a"]).stdout,
        format!("{START}1.000000000Z one\n{START}3.000000000Z three\n")
    );
    let none = logs(&["--app=b"]);
    assert_eq!(none.status, 254);
    assert!(none.stderr.contains("has no app \"b\""), "{}", none.stderr);
    // As long as the pod is there, and no longer.
    assert_eq!(bed.rkt(&["gc", "--mark-only"]).status, 0);
    assert_eq!(logs(&[]).stdout, "one\nthree\n");
    let prepared = bed.prepare(&["a.aci"]);
    assert!(bed.rkt(&["logs", &prepared]).stderr.contains("has not run yet"));
}

#[test]
fn lines_of_several_apps_carry_their_names() {
    let bed = Bed::new();
    let script = format!(
        "mkdir logs; echo '{START}2Z stdout F two' >logs/two.log; echo '{START}1Z stdout F one' >logs/one.log
         echo '{START}3Z stdout P begun' >>logs/one.log; echo '{START}4Z stdout F four' >>logs/two.log"
    );
    let apps = ["--uuid-file-save=uuid", "a.aci", "--name=one", "a.aci", "--name=two"];
    assert_eq!(bed.run_doing(&script, &apps).status, 0);
    let shown = bed.rkt(&["logs", "--uuid-file=uuid"]).stdout;
    assert_eq!(shown, "[one] one\n[two] two\n[one] begun\n[two] four\n");
    assert_eq!(bed.rkt(&["logs", "--uuid-file=uuid", "-n", "1"]).stdout, "[one] begun\n[two] four\n");
}

#[test]
fn a_running_pod_is_followed_to_its_end() {
    let bed = Bed::new();
    let script = format!(
        "mkdir logs; echo '{START}1Z stdout F one' >logs/a.log; until [ -e go ]; do sleep 0.05; done
         mv logs/a.log logs/a.log.1; echo '{START}2Z stdout F two' >logs/a.log"
    );
    let mut pod =
        bed.pod_command("run", &["--uuid-file-save=uuid", "a.aci"]).env("FAKE_RUN", script).spawn().unwrap();
    eventually("the log", || bed.pods("run").iter().any(|pod| pod.join("logs/a.log").exists()));
    let follower = bed.command(&["logs", "-f", "--uuid-file=uuid"]).stdout(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    std::fs::write(bed.pod("run").join("go"), "").unwrap();
    assert!(pod.wait().unwrap().success());
    let output = follower.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "one\ntwo\n");
}
