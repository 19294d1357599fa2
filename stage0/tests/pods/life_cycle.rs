//! From preparation to garbage collection.

use std::process::{Child, Stdio};

use crate::bed::{Bed, Done, eventually, finish, lines};

/// Starts a pod that runs until it is told to end.
fn running(bed: &Bed) -> Child {
    let mut command = bed.pod_command("run", &["--uuid-file-save=uuid", "a.aci"]);
    command.env("FAKE_RUN", "ln -s ready stage1/rootfs/rkt/supervisor-status; exec sleep 100");
    let child = command.stdout(Stdio::null()).spawn().unwrap();
    let ready =
        || bed.pods("run").iter().any(|pod| pod.join("stage1/rootfs/rkt/supervisor-status").is_symlink());
    eventually("the pod runs", ready);
    child
}

fn state(bed: &Bed, uuid: &str) -> String {
    let done = bed.rkt(&["status", uuid]);
    assert_eq!(done.status, 0, "{}", done.stderr);
    done.stdout.lines().next().unwrap().strip_prefix("state=").unwrap().to_owned()
}

fn assert_refused(done: &Done, message: &str) {
    assert_eq!(done.status, 254, "{}", done.stderr);
    assert!(done.stderr.contains(message), "{}", done.stderr);
}

#[test]
fn a_pod_lives_as_long_as_its_lock() {
    let bed = Bed::new();
    let mut pod = running(&bed);
    let uuid = std::fs::read_to_string(bed.path("uuid")).unwrap();
    assert_eq!(state(&bed, &uuid), "running");
    assert_eq!(state(&bed, &uuid.to_uppercase()[..8]), "running");
    let status = bed.rkt(&["status", "--wait-ready=1s", "--uuid-file=uuid"]);
    assert!(status.stdout.contains(&format!("\npid={}\nexited=false\n", pod.id())), "{}", status.stdout);
    assert_refused(&bed.rkt(&["rm", &uuid]), &format!("pod \"{uuid}\" is currently running"));
    assert_refused(&bed.rkt(&["status", "--wait=100ms", &uuid]), "context deadline exceeded");
    pod.kill().unwrap();
    pod.wait().unwrap();
    assert_eq!(state(&bed, &uuid), "exited");
    assert_eq!(bed.rkt(&["status", "--wait", &uuid]).status, 0);
}

#[test]
fn stop_calls_stage1() {
    let bed = Bed::new();
    let mut pod = running(&bed);
    let uuid = std::fs::read_to_string(bed.path("uuid")).unwrap();
    let done = bed.rkt(&["stop", "--force", &uuid]);
    assert_eq!((done.status, done.stdout), (0, format!("\"{uuid}\"\n")), "{}", done.stderr);
    assert_eq!(bed.log(), format!("stop --force {uuid}\n"));
    pod.wait().unwrap();
    let done = bed.rkt(&["stop", "--uuid-file=uuid"]);
    assert_eq!(done.status, 0);
    assert!(done.stderr.contains(&format!("pod \"{uuid}\" is already stopped")));
    let prepared = bed.prepare(&["a.aci"]);
    assert_refused(&bed.rkt(&["stop", &prepared, "ffffffff"]), "failed to stop 2 pod(s)");
    assert_eq!(bed.rkt(&["stop", "--uuid-file=missing"]).status, 1);
}

#[test]
fn enter_calls_stage1_from_the_tree_store() {
    let bed = Bed::new();
    let mut pod = running(&bed);
    let uuid = std::fs::read_to_string(bed.path("uuid")).unwrap();
    let done = bed.rkt(&["enter", &uuid, "ls", "--app=x", "-l"]);
    assert_eq!((done.status, done.stderr.as_str()), (42, ""));
    let pid = format!("--pid={}", pod.id());
    let said: Vec<_> = done.stdout.lines().collect();
    assert!(said[0].starts_with(bed.data().join("cas/tree").to_str().unwrap()), "{}", said[0]);
    assert_eq!(said[1], bed.pod("run").to_str().unwrap());
    assert_eq!(said[2..], [&pid, "--appname=a", "--", "ls", "--app=x", "-l"]);
    let done = bed.rkt(&["enter", "--uuid-file=uuid", "--app=a"]);
    assert_eq!(done.stderr, "enter: no command specified, assuming \"/bin/sh\"\n");
    assert!(done.stdout.ends_with("--appname=a\n--\n/bin/sh\n"), "{}", done.stdout);
    assert_refused(&bed.rkt(&["enter", "--app=b", &uuid, "ls"]), "has no app \"b\" (there are: a)");
    let done = bed.rkt(&["attach", "--mode=stdin,stdout", &uuid]);
    let said: Vec<_> = done.stdout.lines().collect();
    assert_eq!((done.status, said[0], said[6]), (0, "--action=custom-attach", "--app=a"), "{}", done.stderr);
    assert_eq!(said[3..6], ["--stdin=true", "--stdout=true", "--stderr=false"]);
    let too_new = "not supported by this pod's stage1";
    assert_refused(&bed.rkt(&["enter", "--user=1", &uuid, "ls"]), too_new);
    pod.kill().unwrap();
    pod.wait().unwrap();
    assert_refused(&bed.rkt(&["enter", &uuid, "ls"]), &format!("pod \"{uuid}\" isn't currently running"));
}

#[test]
fn enter_asks_which_of_several_apps() {
    let bed = Bed::new();
    let mut command =
        bed.pod_command("run", &["--uuid-file-save=uuid", "a.aci", "--name=one", "a.aci", "--name=two"]);
    let mut pod = command.env("FAKE_RUN", "exec sleep 100").spawn().unwrap();
    eventually("the pod runs", || bed.pods("run").iter().any(|pod| pod.join("pid").exists()));
    let done = bed.rkt(&["enter", "--uuid-file=uuid", "ls"]);
    assert_refused(&done, "enter: pod contains multiple apps:\n\tone\n\ttwo\n");
    assert_refused(&done, "specify app using \"rkt enter --app= ...\"");
    assert_eq!(bed.rkt(&["enter", "--app=two", "--uuid-file=uuid", "ls"]).status, 42);
    pod.kill().unwrap();
    pod.wait().unwrap();
}

#[test]
fn prepared_pods_run_once() {
    let bed = Bed::new();
    let uuid = bed.prepare(&["a.aci"]);
    assert_eq!(state(&bed, &uuid), "prepared");
    assert!(bed.mounts().is_empty());
    let done = finish(bed.command(&["run-prepared", "--net=none", &uuid]).env("FAKE_RUN", "exit 7"));
    assert_eq!(done.status, 7, "{}", done.stderr);
    assert_eq!(lines(&bed.pod("run").join("argv"))[0], "--net=none");
    assert_eq!(state(&bed, &uuid), "exited");
    assert_refused(&bed.rkt(&["run-prepared", &uuid]), &format!("pod \"{uuid}\" is not prepared"));
    assert_refused(&bed.rkt(&["run-prepared", "x"]), "no matches found for \"x\"");
}

#[test]
fn status_shows_how_apps_ended() {
    let bed = Bed::new();
    bed.run_doing("echo 42 >stage1/rootfs/rkt/status/a; exit 42", &["--uuid-file-save=uuid", "a.aci"]);
    let status = bed.rkt(&["status", "--uuid-file=uuid"]).stdout;
    let keys: Vec<_> = status.lines().map(|line| line.split_once('=').unwrap().0).collect();
    assert_eq!(keys, ["state", "created", "started", "networks", "pid", "exited", "app-a"]);
    assert!(status.ends_with("exited=true\napp-a=42\n"), "{status}");
    let json: serde_json::Value =
        serde_json::from_str(&bed.rkt(&["status", "--format=json", "--uuid-file=uuid"]).stdout).unwrap();
    assert_eq!((&json["state"], &json["apps"][0]["exit_code"]), (&"exited".into(), &42.into()));
    // Status files are read from the upper layer: they outlive the mount.
    stage0::pod::mounts::unmount_below(&bed.data()).unwrap();
    assert!(bed.rkt(&["status", "--uuid-file=uuid"]).stdout.ends_with("app-a=42\n"));
    assert_eq!(bed.rkt(&["status", "--uuid-file=missing"]).status, 1);
}

#[test]
fn gc_waits_for_the_grace_period() {
    let bed = Bed::new();
    assert_eq!(bed.run(&["--uuid-file-save=uuid", "a.aci"]).status, 0);
    let uuid = std::fs::read_to_string(bed.path("uuid")).unwrap();
    let done = bed.rkt(&["gc", "--mark-only"]);
    assert_eq!(done.stderr, format!("gc: moving pod \"{uuid}\" to garbage\n"));
    assert_eq!(state(&bed, &uuid), "exited garbage");
    let done = bed.rkt(&["gc"]);
    assert_eq!(done.stderr, format!("gc: pod \"{uuid}\" not removed: still within grace period (30m0s)\n"));
    let pod = bed.pod("exited-garbage");
    let done = bed.rkt(&["--local-config=/x", "gc", "--grace-period=0"]);
    assert_eq!((done.status, done.stderr), (0, format!("gc: Garbage collecting pod \"{uuid}\"\n")));
    assert_eq!(bed.log(), format!("gc --local-config /x {uuid} in {}\n", pod.display()));
    assert!(bed.pods("exited-garbage").is_empty() && bed.mounts().is_empty());
}

#[test]
fn gc_mounts_stage1_again() {
    let bed = Bed::new();
    assert_eq!(bed.run(&["a.aci"]).status, 0);
    stage0::pod::mounts::unmount_below(&bed.data()).unwrap();
    let done = bed.rkt(&["gc", "--grace-period=0"]);
    assert_eq!(done.status, 0, "{}", done.stderr);
    assert!(bed.log().starts_with("gc "), "{}", done.stderr);
    assert!(bed.pods("exited-garbage").is_empty() && bed.mounts().is_empty());
}

#[test]
fn a_stage1_that_fails_to_clean_up_does_not_keep_the_pod() {
    let bed = Bed::new();
    assert_eq!(bed.run(&["a.aci"]).status, 0);
    let done = finish(bed.command(&["gc", "--grace-period=0"]).env("FAKE_GC", "exit 1"));
    assert!(done.stderr.contains("problem performing stage1 GC on"), "{}", done.stderr);
    assert!(bed.pods("exited-garbage").is_empty());
}

#[test]
fn gc_leaves_running_pods_alone() {
    let bed = Bed::new();
    let mut pod = running(&bed);
    let prepared = bed.prepare(&["a.aci"]);
    assert_eq!(bed.rkt(&["gc", "--grace-period=0"]).stderr, "");
    assert_eq!(state(&bed, &prepared), "prepared");
    let done = bed.rkt(&["gc", "--expire-prepared=0"]);
    assert!(done.stderr.contains(&format!("moving expired prepared pod \"{prepared}\" to garbage")));
    assert_eq!((bed.pods("run").len(), bed.pods("garbage").len(), bed.pods("prepared").len()), (1, 0, 0));
    pod.kill().unwrap();
    pod.wait().unwrap();
}

#[test]
fn failed_preparations_are_garbage() {
    let bed = Bed::new();
    bed.image("x.aci", r#"{"acKind":"ImageManifest","acVersion":"0.8.11","name":"x"}"#, &[]);
    assert_eq!(bed.run(&["x.aci", "--exec=/x"]).status, 254);
    let uuid = bed.pod("prepare").file_name().unwrap().to_str().unwrap().to_owned();
    assert_eq!(state(&bed, &uuid), "aborted prepare");
    let done = bed.rkt(&["gc"]);
    assert_eq!(
        done.stderr,
        format!("gc: moving failed prepare \"{uuid}\" to garbage\ngc: Garbage collecting pod \"{uuid}\"\n")
    );
    assert_eq!(bed.log(), "");
}

#[test]
fn rm_removes_what_does_not_run() {
    let bed = Bed::new();
    let prepared = bed.prepare(&["a.aci"]);
    assert_eq!(bed.run(&["--uuid-file-save=uuid", "a.aci"]).status, 0);
    let exited = std::fs::read_to_string(bed.path("uuid")).unwrap();
    let done = bed.rkt(&["rm", &prepared, &exited]);
    assert_eq!((done.status, done.stdout), (0, format!("\"{prepared}\"\n\"{exited}\"\n")), "{}", done.stderr);
    assert_eq!(bed.log().lines().count(), 1);
    assert_eq!(bed.rkt(&["list", "--no-legend"]).stdout, "");
    assert_refused(&bed.rkt(&["rm", &exited]), "failed to remove one or more pods");
    assert!(bed.mounts().is_empty());
}

#[test]
fn gc_collects_embryos_whose_makers_died() {
    let bed = Bed::new();
    let embryo = bed.data().join("pods/embryo/00000000-0000-4000-8000-000000000000");
    std::fs::create_dir_all(&embryo).unwrap();
    assert_eq!(bed.rkt(&["gc"]).status, 0);
    assert!(!embryo.exists());
}
