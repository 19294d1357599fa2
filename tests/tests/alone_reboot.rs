//! A machine that loses its power while it has pods of every kind, and is started anew: with the same disk, without anything
//! that was in its memory.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use tests::machine::{Disk, Machine};
use tests::network::{self, NetD};
use tests::{Aci, Rkt, Running, aci, host, wait};

const LIMIT: Duration = Duration::from_secs(120);
const GC: [&str; 3] = ["gc", "--grace-period=0s", "--expire-prepared=0s"];
/// The only address of the network.
const ADDRESS: &str = "10.73.0.2";
const NAME: &str = "example.com/cut:1.0.0";
/// An image that takes its time to be copied.
const LARGE: &str = "example.com/large:1.0.0";
/// An image without ports.
const OTHER: &str = "example.com/busybox:1.0.0";

/// Pods as the power finds them, by UUID.
struct Pods {
    marked: String,
    ended: String,
    running: String,
    prepared: String,
}

fn saved(machine: &Machine<'_>, name: &str) -> String {
    fs::read_to_string(machine.root().join("tmp").join(name)).expect("the pod's UUID")
}

/// The words of a pod whose shell runs a script, with a name under which its UUID is saved.
fn words<'a>(save: &'a str, flags: &[&'a str], script: &'a str) -> Vec<&'a str> {
    let app = ["--memory=64M", "--cpu=1", "--exec=/bin/sh", "--", "-c", script];
    ["run", save, "--pull-policy=never"]
        .into_iter()
        .chain(flags.iter().copied())
        .chain([NAME])
        .chain(app)
        .collect()
}

/// Makes a pod of every kind. The processes are those that still run.
fn make(machine: &Machine<'_>, image: &str, volume: &str) -> (Pods, Vec<Running>) {
    machine.rkt(&["fetch", image, &aci::busybox().display().to_string()]).expect_success();
    machine.rkt(&words("--uuid-file-save=/tmp/marked", &["--net=none"], "exit 4")).expect_status(4);
    machine.rkt(&["gc"]).expect_success();
    let script = "echo told; echo kept >/kept; exit 3";
    machine.rkt(&words("--uuid-file-save=/tmp/ended", &["--net=none"], script)).expect_status(3);
    let script = "echo half >/half; echo said; sync; echo ready; exec sleep 1000";
    let flags = ["--net=cut", "--port=http:8073", volume];
    let mut both = words("--uuid-file-save=/tmp/running", &flags, script);
    both.insert(both.len() - 5, "--name=web");
    let script = "echo word >/shared/word; sync; echo wrote; exec sleep 1000";
    both.extend([
        "---",
        OTHER,
        "--name=other",
        "--mount=volume=shared,target=/shared",
        "--exec=/bin/sh",
        "--",
        "-c",
        script,
    ]);
    let mut running = machine.start(&both);
    running.wait_for_stdout("ready");
    running.wait_for_stdout("wrote");
    let mount = "--mount=volume=shared,target=/shared";
    let script = "cat /shared/word; exit 7";
    let prepare =
        ["prepare", volume, "--pull-policy=never", NAME, mount, "--exec=/bin/sh", "--", "-c", script];
    let prepared = machine.rkt(&prepare).expect_success().stdout_text();
    let [marked, ended, ran] = ["marked", "ended", "running"].map(|name| saved(machine, name));
    (Pods { marked, ended, running: ran, prepared: prepared.trim().to_owned() }, vec![running])
}

/// Has a pod started, and another prepared, so far that both have a directory.
fn begin(machine: &Machine<'_>, large: &str) -> Vec<Running> {
    machine.rkt(&["fetch", large]).expect_success();
    let count =
        |place: &str| fs::read_dir(machine.data().join("pods").join(place)).map_or(0, Iterator::count);
    let start = machine.start(&words("--uuid-file-save=/tmp/starting", &["--net=none"], "exit 1"));
    wait::until("the beginning of a pod", LIMIT, || count("run") > 2);
    let prepare = machine.start(&["prepare", "--no-overlay", "--pull-policy=never", LARGE]);
    wait::until("the beginning of a preparation", LIMIT, || count("prepare") > 0);
    vec![start, prepare]
}

fn states(machine: &Machine<'_>) -> BTreeMap<String, String> {
    let listed = machine.rkt(&["list", "--format=json"]).expect_success();
    assert_eq!(listed.stderr_text(), "");
    let pods: Option<Vec<Value>> = serde_json::from_slice(&listed.stdout).expect("JSON");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    pods.unwrap_or_default().iter().map(|pod| (text(&pod["name"]), text(&pod["state"]))).collect()
}

/// A command that says why it does nothing with a pod that does not run.
#[track_caller]
fn refused(machine: &Machine<'_>, words: &[&str], why: &str) {
    let refused = machine.rkt(words).expect_status(254).stderr_text();
    assert!(refused.lines().count() == 1 && refused.contains(why), "{words:?}: {refused}");
}

/// What is known of the pods that are old enough, and of none more than that.
fn looked_at(machine: &Machine<'_>, pods: &Pods) {
    let mut found = states(machine);
    for (uuid, state) in [
        (&pods.marked, "exited garbage"),
        (&pods.ended, "exited"),
        (&pods.running, "exited"),
        (&pods.prepared, "prepared"),
    ] {
        assert_eq!(found.remove(uuid).as_deref(), Some(state), "{uuid}");
    }
    // Those that had just begun may have got that far, or not.
    for (uuid, state) in found {
        assert!(
            ["embryo", "aborted prepare", "prepared", "exited"].contains(&state.as_str()),
            "{uuid} is {state}"
        );
    }
    let status = |uuid: &str| machine.rkt(&["status", uuid]).expect_success().stdout_text();
    let shown = status(&pods.marked);
    assert!(shown.starts_with("state=exited garbage\n") && shown.contains("\napp-cut=4\n"), "{shown}");
    let shown = status(&pods.ended);
    assert!(shown.starts_with("state=exited\n") && shown.contains("\nexited=true\napp-cut=3\n"), "{shown}");
    let shown = status(&pods.running);
    assert!(shown.starts_with("state=exited\n") && shown.contains("\nexited=true\n"), "{shown}");
    assert!(!shown.contains("app-") && shown.contains(ADDRESS), "{shown}");
    assert!(status(&pods.prepared).starts_with("state=prepared\n"));
    machine.rkt(&["status", "--wait=5s", &pods.running]).expect_success();
    let manifest = machine.rkt(&["cat-manifest", &pods.running]).expect_success();
    let manifest: Value = serde_json::from_slice(&manifest.stdout).expect("JSON");
    assert_eq!(
        (&manifest["apps"][0]["name"], &manifest["apps"][1]["name"]),
        (&json!("web"), &json!("other"))
    );
    let logs = |words: &[&str]| machine.rkt(&[&["logs"], words].concat()).expect_success().stdout_text();
    assert_eq!(logs(&[&pods.ended]), "told\n");
    // Its last lines were on their way.
    assert!("said\nready\n".starts_with(&logs(&["--app=web", &pods.running])));
}

/// Nothing is done to the process whose number is that of a pod's by now.
fn nobody_else_is_taken_for_the_pod(machine: &Machine<'_>, pods: &Pods) {
    let pid =
        fs::read_to_string(machine.data().join("pods/run").join(&pods.running).join("pid")).expect("a pid");
    let before = pid.trim().parse::<u32>().expect("a number") - 1;
    let other = format!("echo {before} >/proc/sys/kernel/ns_last_pid; sleep 1000 >/dev/null 2>&1 & echo $!");
    assert_eq!(machine.sh(&other).trim(), pid.trim());
    let uuid = pods.running.as_str();
    let stopped = machine.rkt(&["stop", "--force", uuid]).expect_success().stderr_text();
    assert!(stopped.contains("is already stopped"), "{stopped}");
    refused(machine, &["enter", "--app=web", uuid, "/bin/true"], "isn't currently running");
    refused(machine, &["attach", "--app=web", uuid], "isn't currently running");
    refused(machine, &["top", uuid], "isn't currently running");
    refused(machine, &["run-prepared", uuid], "is not prepared");
    assert!(states(machine)[uuid] == "exited");
    assert_eq!(machine.sh(&format!("cat /proc/{}/comm", pid.trim())), "sleep\n");
}

/// Files of pods that have ended, by whatever end.
fn exported(machine: &Machine<'_>, pods: &Pods) {
    for (uuid, app, file, text) in [
        (&pods.marked, "cut", "bin/sh", ""),
        (&pods.ended, "cut", "kept", "kept\n"),
        (&pods.running, "web", "half", "half\n"),
    ] {
        let app = format!("--app={app}");
        machine.rkt(&["export", "--overwrite", &app, uuid, "/tmp/out.aci"]).expect_success();
        assert_eq!(machine.sh(&format!("tar -xOf /tmp/out.aci rootfs/{file}")), text);
    }
}

/// Nothing of any pod is left, on the disk or in the memory.
fn nothing_is_left(machine: &Machine<'_>, rkt: &Rkt) {
    assert_eq!(states(machine), BTreeMap::new());
    let left = format!(
        "find {data}/pods -mindepth 2; grep ' {data}/' /proc/self/mounts || true; ls /run/netns 2>/dev/null || true
         pgrep -l 'rkt|stage1|vmm' || true; iptables-save -t nat | grep -E 'CNI-DN|{ADDRESS}' || true
         find /var/lib/cni -name '10.*'; ls /sys/class/net",
        data = rkt.dir().display()
    );
    assert_eq!(machine.sh(&left), "cut0\nlo\n");
}

#[test]
fn pods_are_what_they_were_when_the_power_went() {
    let mut config = network::bridge("cut", "cut0", "10.73.0.0/24");
    config["ipam"]["rangeStart"] = json!(ADDRESS);
    config["ipam"]["rangeEnd"] = json!(ADDRESS);
    let networks = NetD::new().with("10-cut.conf", &config);
    let rkt = Rkt::new().local_config(networks.path());
    let disk = Disk::new(1024);
    let volume = format!("--volume=shared,kind=host,source={}", disk.path().join("shared").display());
    let image = Aci::with_busybox("example.com/cut", &["/bin/sh"])
        .app("ports", json!([{"name": "http", "protocol": "tcp", "port": 80}]))
        .write(&host::data_dir().join("cut.aci"));
    let large = Aci::with_busybox("example.com/large", &["/bin/true"])
        .file("large", vec![7; 24 << 20], 0o644)
        .write(&host::data_dir().join("large.aci"));

    let machine = Machine::boot(&rkt, &disk);
    machine.sh(&format!("mkdir {}", disk.path().join("shared").display()));
    let (pods, mut under_way) = make(&machine, image.to_str().expect("UTF-8"), &volume);
    under_way.extend(begin(&machine, large.to_str().expect("UTF-8")));
    machine.cut_power();
    for process in under_way {
        // Those that had just begun may have met the disk's end before their own.
        assert_ne!(process.finish().status, 0);
    }

    let machine = Machine::boot(&rkt, &disk);
    looked_at(&machine, &pods);
    nobody_else_is_taken_for_the_pod(&machine, &pods);
    exported(&machine, &pods);
    machine.rkt(&["image", "gc", "--grace-period=0s"]).expect_success();
    let ran = machine.rkt(&["run-prepared", "--net=none", &pods.prepared]).expect_status(7);
    assert_eq!((ran.stdout_text(), ran.stderr_text()), ("word\n".to_owned(), String::new()));
    machine.rkt(&["rm", &pods.marked]).expect_success();
    let connected =
        words("--uuid-file-save=/tmp/new", &["--net=cut", "--port=http:8073"], "ip -4 addr show dev eth0");
    machine.rkt(&["fetch", image.to_str().expect("UTF-8")]).expect_success();
    let taken = machine.rkt(&connected).expect_status(254).stderr_text();
    assert!(taken.contains(&pods.running) && taken.contains("rkt gc"), "{taken}");
    let said = machine.rkt(&GC).expect_success().stderr_text();
    assert!(!said.contains("problem") && !said.contains("rror"), "{said}");
    assert_eq!(states(&machine), BTreeMap::new());
    // Its port and its address are another's by now.
    let new = machine.rkt(&connected).expect_success();
    assert!(new.stdout_text().contains(ADDRESS), "{new:?}");
    machine.rkt(&GC).expect_success();
    let verified = machine.rkt(&["image", "verify", NAME]).expect_success().stdout_text();
    assert!(verified.contains("successfully verified"), "{verified}");
    nothing_is_left(&machine, &rkt);
}
