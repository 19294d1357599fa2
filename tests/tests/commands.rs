//! Commands as people know them: as members of a group, by their old spellings, and as the README shows them.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tests::machine::{Disk, Machine};
use tests::network::sh;
use tests::{Rkt, Running, aci, host, process, wait};

const LIMIT: Duration = Duration::from_secs(120);
/// The group `rkt`, where it is made.
const GROUP: &str = "4711";

/// A command of `rkt` by somebody who is not root: its status and all it said.
fn as_user(machine: &Machine<'_>, rkt: &Rkt, groups: &str, words: &str) -> (i32, String) {
    let (binary, data) = (rkt.binary().display(), rkt.dir().display());
    let user = format!("setpriv --reuid=65534 --regid=65534 {groups} {binary} --dir={data} {words}");
    let said = machine.sh(&format!("cd /; status=0; {user} 2>&1 </dev/null || status=$?; echo $status"));
    let (said, status) = said.trim_end().rsplit_once('\n').unwrap_or(("", said.trim_end()));
    (status.parse().expect("a status"), said.to_owned())
}

#[test]
fn members_of_the_group_look_at_a_pod_that_was_run_by_old_spellings() {
    let rkt = Rkt::new();
    let disk = Disk::new(512);
    let machine = Machine::boot(&rkt, &disk);
    // What the installed tmpfiles.d does for /var/lib/rkt.
    machine.sh(&format!(
        "(cat /etc/group; echo rkt:x:{GROUP}:) >/tmp/group; mount --bind /tmp/group /etc/group; mkdir /tmp/host
         chgrp {GROUP} {data}; chmod 2750 {data}",
        data = rkt.dir().display()
    ));
    let (image, stage1) = (aci::busybox(), host::path("RKT_STAGE1"));
    let script = "echo made >/data/file; echo ready; exec sleep 1000";
    let pod = machine.start(&[
        "-insecure-skip-verify",
        "run",
        "-stage1-image",
        stage1.to_str().expect("UTF-8"),
        "--private-net=none",
        "-uuid-file-save=/tmp/uuid",
        "--volume",
        "/tmp/host:/data",
        image.to_str().expect("UTF-8"),
        "-exec=/bin/sh",
        "--",
        "-c",
        script,
    ]);
    let uuid_file = machine.root().join("tmp/uuid");
    wait::until("the pod", LIMIT, || uuid_file.metadata().is_ok_and(|file| file.len() > 0));
    machine.rkt(&["status", "--wait-ready=100s", "--uuid-file=/tmp/uuid"]).expect_success();
    let uuid = fs::read_to_string(uuid_file).expect("a UUID");
    wait::until("the app", LIMIT, || machine.root().join("tmp/host/file").exists());
    for old in
        ["-insecure-skip-verify", "-stage1-image", "--private-net", "-uuid-file-save", "--volume", "-exec"]
    {
        let hints = String::from_utf8(pod.stderr_so_far()).expect("UTF-8");
        let hint = format!("run: hint: {old} ");
        assert_eq!(hints.lines().filter(|line| line.starts_with(&hint)).count(), 1, "{old}: {hints}");
    }
    let listed = machine.rkt(&["list", "pods", "--no-legend"]).expect_success();
    assert_eq!(listed.stderr_text(), "rkt: hint: list pods is an old spelling of list\n");

    let members = format!("--groups={GROUP}");
    for (words, shown) in [
        ("list --no-legend", "\trunning\t"),
        (&*format!("status {uuid}"), "state=running\n"),
        (&*format!("logs {uuid}"), "ready"),
        ("image list --no-legend", "example.com/busybox:1.0.0"),
    ] {
        let (status, said) = as_user(&machine, &rkt, &members, words);
        assert!(status == 0 && said.contains(shown), "{words}: {status}, {said}");
        let (status, said) = as_user(&machine, &rkt, "--clear-groups", words);
        assert!(
            status == 254 && said.lines().count() == 1 && said.contains("group \"rkt\""),
            "{words}: {said}"
        );
    }
    for words in ["enter", "stop", "rm", "export", "top", "attach"] {
        let words = format!("{words} {uuid}{}", if words == "export" { " /tmp/out.aci" } else { "" });
        let (status, said) = as_user(&machine, &rkt, &members, &words);
        assert!(status == 254 && said.lines().count() == 1, "{words}: {status}, {said}");
        assert!(said.ends_with("cannot run as unprivileged user"), "{words}: {said}");
    }
    machine.rkt(&["stop", &uuid]).expect_success();
    pod.finish().expect_success();
}

/// What is another every time gets the same name: UUIDs, keys, times, numbers of processes, versions of kernels.
const SAME: &str = r"s/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/UUID/g; s/sha512-[0-9a-f]{32}/KEY/; s/[0-9]{2}(:[0-9]{2}){2}(\.[0-9]+)?/TIME/g
    s/[0-9]{4}-[0-9]{2}-[0-9]{2}/DATE/; s/^pid=[0-9]+/pid=N/; s/[0-9]+ (seconds?|minutes?) ago/AGO/g; s/Linux [0-9.]+/Linux/
    s/busybox:[0-9.]+/busybox:N/; s/^[0-9a-f]{8}\t/SHORT\t/";

/// Overlays of older kernels have no files without a name, and neither have NFS and FAT.
#[test]
fn images_are_written_to_an_overlay() {
    let rkt = Rkt::new();
    let image = aci::busybox().display().to_string();
    let id = rkt.run(["fetch", &image]).expect_success().stdout_text();
    let place = tempfile::tempdir_in(host::data_dir()).expect("a directory");
    let place = place.path().display();
    sh(&format!(
        "cd {place}; mkdir lower upper work on; mount -t overlay none -o lowerdir=lower,upperdir=upper,workdir=work on"
    ));
    let out = format!("{place}/on/out.aci");
    let export = |flags: &[&str]| rkt.run([&["image", "export"], flags, &[id.trim(), &out]].concat());
    export(&[]).expect_success();
    export(&[]).expect_status(254);
    export(&["--overwrite"]).expect_success();
    let listed =
        sh(&format!("ls -A {place}/on; stat -c %a {out}; tar -tf {out} manifest; umount {place}/on"));
    assert_eq!(listed, "out.aci\n644\nmanifest\n");
}

/// Lines as they can be compared, sorted: who of a pod and a command comes first is not said.
fn comparable(text: &str) -> Vec<String> {
    let same = sh(&format!("sed -E '{SAME}' <<'TEXT'\n{text}\nTEXT"));
    let mut lines: Vec<_> =
        same.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    lines.retain(|line| !line.is_empty());
    lines.sort();
    lines
}

/// The commands of the README's console about a pod's life, each with what it is said to print.
fn readme() -> Vec<(String, String)> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("README.md");
    let text = fs::read_to_string(readme).expect("the README");
    let (_, life) = text.split_once("## A pod's life in ten commands").expect("a heading");
    let (_, console) = life.split_once("```console\n# ").expect("a console");
    let (console, _) = console.split_once("\n```").expect("its end");
    let commands = console.split("\n# ").map(|command| {
        // A command goes on after a backslash.
        let lines = 1 + command.lines().take_while(|line| line.ends_with('\\')).count();
        let join = |lines: Vec<&str>| lines.join("\n");
        (join(command.lines().take(lines).collect()), join(command.lines().skip(lines).collect()))
    });
    commands.collect()
}

#[test]
fn the_readme_shows_what_its_commands_print() {
    let rkt = Rkt::empty();
    let directory = tempfile::tempdir_in(host::data_dir()).expect("a directory");
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("resources/demo/busybox-aci");
    sh(&format!("{} {}/busybox.aci", demo.display(), directory.path().display()));
    let bash = |script: &str| {
        let mut command = Command::new("bash");
        let rkt = format!("rkt() {{ {} --dir={} \"$@\"; }}", rkt.binary().display(), rkt.dir().display());
        command.current_dir(directory.path()).args(["-c", &format!("{rkt}\n{script}")]);
        command
    };
    let (mut uuid, mut shown_uuid) = (String::new(), String::new());
    let mut pod: Option<(Running, usize)> = None;
    let commands = readme();
    assert!(commands.len() >= 10, "{commands:?}");
    for (command, shown) in commands {
        let meant = if shown_uuid.is_empty() { command.clone() } else { command.replace(&shown_uuid, &uuid) };
        let mut said = match meant.strip_suffix('&') {
            Some(started) => {
                let mut running = Running::start(bash(started), LIMIT);
                running.wait_for_stdout("up since");
                pod = Some((running, 0));
                String::new()
            }
            None => {
                let finished = process::run(bash(&meant), LIMIT).expect_success();
                finished.stdout_text() + &finished.stderr_text()
            }
        };
        if command.contains(" prepare ") {
            (uuid, shown_uuid) = (said.trim()[..8].to_owned(), shown[..8].to_owned());
        }
        if command.contains(" stop ") {
            wait::until("the pod's end", LIMIT, || {
                rkt.run(["list", "--no-legend"]).stdout_text().contains("\texited\t")
            });
        }
        if let Some((running, read)) = &mut pod {
            let output = running.stdout_so_far();
            said += &String::from_utf8_lossy(&output[*read..]);
            *read = output.len();
        }
        assert_eq!(comparable(&said), comparable(&shown), "{command}");
    }
}
