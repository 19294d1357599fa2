//! A host that was started anew while pods ran: no mount is left, no lock is held, and process ids are others'.

use std::process::{Command, Stdio};

use crate::bed::{Bed, eventually, finish};

/// What a reboot does to a data directory. The processes have been killed.
fn reboot(bed: &Bed) {
    stage0::pod::mounts::unmount_below(&bed.data()).unwrap();
    assert!(bed.mounts().is_empty());
}

fn uuid_of(bed: &Bed, file: &str) -> String {
    std::fs::read_to_string(bed.path(file)).unwrap()
}

/// Starts a pod and kills it when it does what `until` finds in the file `pid` or in its directory.
fn cut_off(bed: &Bed, save: &str, script: &str) {
    let words = [&format!("--uuid-file-save={save}"), "a.aci"];
    let mut command = bed.pod_command("run", &words);
    command.env(
        "FAKE_RUN",
        format!("{script}; ln -s ready stage1/rootfs/rkt/supervisor-status; exec sleep 1000"),
    );
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    let file = bed.path(save);
    eventually("the pod's directory", || file.metadata().is_ok_and(|file| file.len() > 0));
    assert_eq!(bed.rkt(&["status", "--wait-ready=30s", &uuid_of(bed, save)]).status, 0);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn pods_are_what_they_were_when_the_power_went() {
    let bed = Bed::new();
    let rootfs = "stage1/rootfs/opt/stage2/a/rootfs";
    let script = format!("echo 3 >stage1/rootfs/rkt/status/a; echo kept >{rootfs}/name; exit 3");
    assert_eq!(bed.run_doing(&script, &["--uuid-file-save=ended", "a.aci"]).status, 3);
    cut_off(&bed, "running", &format!("echo half >{rootfs}/name"));
    let prepared = bed.prepare(&["a.aci"]);
    bed.image("x.aci", r#"{"acKind":"ImageManifest","acVersion":"0.8.11","name":"x"}"#, &[]);
    assert_eq!(bed.run(&["x.aci", "--exec=/x"]).status, 254);
    reboot(&bed);
    // The number of the pod's process is another's by now.
    let (ended, running) = (uuid_of(&bed, "ended"), uuid_of(&bed, "running"));
    let mut other = Command::new("sleep").arg("1000").spawn().unwrap();
    let pid = bed.data().join("pods/run").join(&running).join("pid");
    std::fs::write(&pid, format!("{}\n", other.id())).unwrap();

    let list = bed.rkt(&["list", "--no-legend", "--full"]);
    assert_eq!((list.status, list.stderr.as_str()), (0, ""));
    let state = |uuid: &str| list.stdout.lines().find(|line| line.starts_with(uuid)).unwrap().to_owned();
    assert!(
        state(&ended).contains("\texited\t") && state(&running).contains("\texited\t"),
        "{}",
        list.stdout
    );
    assert!(state(&prepared).contains("\tprepared\t"), "{}", list.stdout);
    assert!(list.stdout.contains("\taborted prepare\t"), "{}", list.stdout);

    let status = bed.rkt(&["status", &ended]).stdout;
    assert!(status.starts_with("state=exited\n") && status.contains("\nexited=true\napp-a=3\n"), "{status}");
    let status = bed.rkt(&["status", &running]).stdout;
    assert!(status.starts_with("state=exited\n") && !status.contains("app-a="), "{status}");
    assert_eq!(bed.rkt(&["status", "--wait=5s", &running]).status, 0);

    // Nobody else is taken for the pod.
    let stopped = bed.rkt(&["stop", "--force", &running]);
    assert_eq!(stopped.status, 0, "{}", stopped.stderr);
    assert!(stopped.stderr.contains("is already stopped"), "{}", stopped.stderr);
    let entered = bed.rkt(&["enter", &running, "/bin/true"]);
    assert_eq!(entered.status, 254);
    assert!(entered.stderr.contains("isn't currently running"), "{}", entered.stderr);
    assert_eq!(other.try_wait().unwrap(), None);
    other.kill().unwrap();
    other.wait().unwrap();

    for (uuid, text) in [(&ended, "kept\n"), (&running, "half\n")] {
        assert_eq!(bed.rkt(&["export", "--overwrite", uuid, "out.aci"]).status, 0);
        let extracted =
            Command::new("tar").arg("-xOf").arg(bed.path("out.aci")).arg("rootfs/name").output().unwrap();
        assert_eq!(String::from_utf8_lossy(&extracted.stdout), text);
    }
    assert!(bed.mounts().is_empty(), "{:?}", bed.mounts());

    let prepared_runs = finish(bed.command(&["run-prepared", &prepared]).env("FAKE_RUN", "echo up"));
    assert_eq!(
        (prepared_runs.status, prepared_runs.stdout.as_str()),
        (0, "up\n"),
        "{}",
        prepared_runs.stderr
    );

    let done = bed.rkt(&["gc", "--grace-period=0"]);
    assert_eq!(done.status, 0, "{}", done.stderr);
    assert!(!done.stderr.contains("problem"), "{}", done.stderr);
    // Each that has run is cleaned up after by its stage1, whose overlay is mounted anew for that.
    assert_eq!(bed.log().lines().filter(|line| line.starts_with("gc ")).count(), 3);
    for place in ["embryo", "prepare", "prepared", "run", "exited-garbage", "garbage"] {
        assert_eq!(bed.pods(place), Vec::<std::path::PathBuf>::new(), "{place}");
    }
    assert!(bed.mounts().is_empty(), "{:?}", bed.mounts());
}
