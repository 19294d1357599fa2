//! Changes that the host makes in volumes, as inotify(7) tells them in a pod.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tests::{Aci, Rkt, Running, host, hostile, wait};

const PROGRAMS: [(&str, &str); 2] =
    [("bin/told", env!("CARGO_BIN_EXE_told")), ("bin/marked", env!("CARGO_BIN_EXE_marked"))];
const LIMIT: Duration = Duration::from_secs(300);
/// How long the next line may take: an emulated host does its best.
const PATIENCE: Duration = Duration::from_secs(60);

/// A directory of the host, and a pod that watches there.
struct Watched {
    directory: tempfile::TempDir,
    pod: Running,
    seen: usize,
    _rkt: Rkt,
}

impl Watched {
    /// Prepares directories with a script, starts a pod with volumes (`NAME` for `/NAME`, `NAME:ro`), whose app runs another.
    fn start(prepare: &str, volumes: &[&str], script: &str) -> Self {
        let mut watched = Self::with_apps(prepare, volumes, &[], &[script]);
        watched.expect("true", &["ready"]);
        watched
    }

    /// The same with an app for each script, whose lines come in any order, and what is said of each app.
    fn with_apps(prepare: &str, volumes: &[&str], of_apps: &[&str], scripts: &[&str]) -> Self {
        let rkt = Rkt::new().limit(LIMIT);
        let directory = tempfile::tempdir_in(host::data_dir()).expect("a directory");
        sh(directory.path(), prepare);
        let image = Aci::with_busybox("example.com/watch", &["/bin/sh"]);
        let image =
            PROGRAMS.iter().fold(image, |image, (path, program)| image.program(path, Path::new(program)));
        let image = image.write(&directory.path().join("watch.aci")).display().to_string();
        // Caches can only be dropped where /proc/sys can be written.
        let mut words = ["--insecure-options=image,paths", "run", "--net=none"].map(str::to_owned).to_vec();
        for volume in volumes {
            let (name, options) = match volume.strip_suffix(":ro") {
                Some(name) => (name, ",readOnly=true"),
                None => (*volume, ""),
            };
            let source = directory.path().join(name);
            words.push(format!("--volume={name},kind=host,source={}{options}", source.display()));
            words.push(format!("--mount=volume={name},target=/{name}"));
        }
        for (number, script) in scripts.iter().enumerate() {
            words.extend([image.clone(), format!("--name=app{number}")]);
            words.extend(of_apps.iter().map(|word| (*word).to_owned()));
            words.extend(["--exec", "/bin/sh", "--", "-c", script, "---"].map(str::to_owned));
        }
        let pod = rkt.start(words);
        Self { directory, pod, seen: 0, _rkt: rkt }
    }

    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.pod.stdout_so_far()).into_owned();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().skip(self.seen).map(str::to_owned).collect()
    }

    /// Runs a script on the host, and checks what the pod is told of it.
    #[track_caller]
    fn expect(&mut self, script: &str, expected: &[&str]) {
        sh(self.directory.path(), script);
        let until = std::time::Instant::now() + PATIENCE;
        while self.lines().len() < expected.len() && std::time::Instant::now() < until {
            std::thread::sleep(wait::STEP);
        }
        let lines = self.lines();
        let errors = String::from_utf8_lossy(&self.pod.stderr_so_far()).into_owned();
        assert!(
            lines == expected,
            "{script} brought\n  {}\ninstead of\n  {}\n{errors}",
            lines.join("\n  "),
            expected.join("\n  ")
        );
        self.seen += lines.len();
    }

    /// The same where no order is to be expected.
    #[track_caller]
    fn expect_in_any_order(&mut self, script: &str, expected: &[&str]) {
        sh(self.directory.path(), script);
        wait::until("as many lines", PATIENCE, || self.lines().len() >= expected.len());
        let (mut lines, mut expected) = (self.lines(), expected.to_vec());
        self.seen += lines.len();
        lines.sort();
        expected.sort_unstable();
        assert_eq!(lines, expected, "{script}");
    }

    /// How many files the VMM watches.
    fn marks(&self) -> usize {
        let processes = fs::read_dir("/proc").expect("processes").flatten();
        let name = self.directory.path().display().to_string();
        let is_ours = |process: &PathBuf| {
            let mounts = fs::read_to_string(process.join("mountinfo")).unwrap_or_default();
            let called = fs::read_to_string(process.join("comm")).unwrap_or_default();
            called.trim() == "vmm" && (mounts.contains("volumes") || mounts.contains(&name))
        };
        let vmms = processes.map(|entry| entry.path()).filter(is_ours);
        let descriptors =
            vmms.flat_map(|process| fs::read_dir(process.join("fdinfo")).into_iter().flatten().flatten());
        let texts = descriptors.map(|entry| fs::read_to_string(entry.path()).unwrap_or_default());
        texts.map(|text| text.lines().filter(|line| line.starts_with("fanotify ino:")).count()).sum()
    }
}

fn sh(directory: &Path, script: &str) {
    let status = Command::new("sh").args(["-ec", script]).current_dir(directory).status().expect("sh");
    assert!(status.success(), "{script}");
}

#[test]
fn what_the_host_changes_is_told_in_directories_and_of_files() {
    let mut pod = Watched::start(
        "mkdir -p data/one/two/three frozen; echo > data/one/two/file; echo > single; echo > frozen/file",
        &["data", "single", "frozen:ro"],
        "/bin/told -r /data /data/one /data/one/two /data/one/two/three /single /frozen",
    );
    pod.expect(": > data/new", &["/data new CREATE", "/data new CLOSE_WRITE"]);
    pod.expect("echo text >> data/new", &["/data new MODIFY", "/data new CLOSE_WRITE"]);
    pod.expect("chmod 600 data/new", &["/data new ATTRIB"]);
    pod.expect("rm data/new", &["/data new DELETE"]);
    pod.expect(
        "mkdir data/one/two/three/four",
        &["/data/one/two/three four CREATE,ISDIR", "watching /data/one/two/three/four"],
    );
    pod.expect(
        "echo > data/one/two/three/four/file",
        &[
            "/data/one/two/three/four file CREATE",
            "/data/one/two/three/four file MODIFY",
            "/data/one/two/three/four file CLOSE_WRITE",
        ],
    );
    pod.expect(
        "mv data/one/two/file data/one/two/other",
        &["/data/one/two file MOVED_FROM 1", "/data/one/two other MOVED_TO 1"],
    );
    pod.expect(
        "mv data/one/two/other data/file",
        &["/data/one/two other MOVED_FROM 2", "/data file MOVED_TO 2"],
    );
    pod.expect("mv data/file .", &["/data file MOVED_FROM 3"]);
    pod.expect("mv file data/back", &["/data back MOVED_TO 4"]);
    pod.expect(
        "echo x >> data/back; mv data/back data/one/back",
        &[
            "/data back MODIFY",
            "/data back CLOSE_WRITE",
            "/data back MOVED_FROM 5",
            "/data/one back MOVED_TO 5",
        ],
    );
    pod.expect("echo more >> single", &["/single . MODIFY", "/single . CLOSE_WRITE"]);
    pod.expect("chmod 640 single", &["/single . ATTRIB"]);
    pod.expect(": > frozen/new", &["/frozen new CREATE", "/frozen new CLOSE_WRITE"]);
    pod.expect("rm frozen/new", &["/frozen new DELETE"]);
    pod.expect("ln -s nowhere data/link; mkfifo data/fifo", &["/data link CREATE", "/data fifo CREATE"]);
    pod.expect("rm data/link data/fifo", &["/data link DELETE", "/data fifo DELETE"]);
}

#[test]
fn the_pods_own_changes_are_told_once_and_to_all_its_apps() {
    // The same changes in a volume and where nobody else is; the host then does what it waits for.
    let script = "mkdir /tmp/own
        /bin/told /data > /tmp/data.log & /bin/told /tmp/own > /tmp/own.log & /bin/told /data > /tmp/other.log &
        for log in data own other; do until grep -q ready /tmp/$log.log; do sleep 0.1; done; done
        for place in /data /tmp/own; do
            cd $place; echo 1 > a; echo 2 >> a; mv a b; chmod 600 b; ln b c; mkdir d; ln -s x l; mv d e; : > b
            rm b c l; rmdir e; mknod n p; rm n; echo > again; echo > again; rm again
        done
        echo ready
        until [ -e /data/end ]; do sleep 0.1; done
        until grep -q 'end CLOSE_WRITE' /tmp/data.log && grep -q 'end CLOSE_WRITE' /tmp/other.log; do sleep 0.1; done
        cmp /tmp/data.log /tmp/other.log && echo alike
        grep -v ' end ' /tmp/data.log | sed 's,^/data,,' > /tmp/data.told; sed 's,^/tmp/own,,' /tmp/own.log > /tmp/own.told
        diff /tmp/data.told /tmp/own.told && wc -l < /tmp/own.told
        kill %1 %2 %3";
    let mut pod = Watched::start("mkdir data", &["data"], script);
    pod.expect("sleep 3; : > data/end", &["alike", "29"]);
}

#[test]
fn watches_live_and_end_with_those_of_the_pod() {
    let script =
        "/bin/told /data/one/two /data/one/two/three /data/file > /tmp/log & tail -n +1 -f /tmp/log &
        /bin/told /data > /tmp/gone & until grep -q ready /tmp/gone; do sleep 0.1; done; kill $!
        until [ -e /data/drop ]; do sleep 0.1; done
        sleep 3; echo 2 > /proc/sys/vm/drop_caches; sleep 2; echo dropped
        until [ -e /data/end ]; do sleep 0.1; done
        kill %1; sleep 1; echo killed; sleep 600";
    let mut pod = Watched::start("mkdir -p data/one/two/three; echo > data/file", &["data"], script);
    pod.expect(
        "echo > data/one/two/three/file",
        &[
            "/data/one/two/three file CREATE",
            "/data/one/two/three file MODIFY",
            "/data/one/two/three file CLOSE_WRITE",
        ],
    );
    pod.expect(": > data/drop", &["dropped"]);
    pod.expect(
        "sleep 2; : > data/one/two/new",
        &["/data/one/two new CREATE", "/data/one/two new CLOSE_WRITE"],
    );
    pod.expect("chmod 600 data/one/two/three/file", &["/data/one/two/three file ATTRIB"]);
    pod.expect("chmod 600 data/file", &["/data/file . ATTRIB"]);
    pod.expect(
        "mv data/one data/moved; : > data/moved/two/later",
        &["/data/one/two later CREATE", "/data/one/two later CLOSE_WRITE"],
    );
    pod.expect("mv data/file data/renamed", &["/data/file . MOVE_SELF"]);
    pod.expect(
        "rm -r data/moved/two/three",
        &[
            "/data/one/two/three file DELETE",
            "/data/one/two/three . DELETE_SELF",
            "/data/one/two/three . IGNORED",
            "/data/one/two three DELETE,ISDIR",
        ],
    );
    wait::until("watches that have ended are dropped", Duration::from_secs(30), || pod.marks() == 2);
    pod.expect(": > data/end", &["killed"]);
    sh(pod.directory.path(), ": > data/moved/two/last");
    wait::until("all watches are dropped", Duration::from_secs(30), || pod.marks() == 0);
}

#[test]
fn many_changes_at_once() {
    let script = "/bin/told /data | grep -c -m 500 CREATE & echo ready; wait";
    let mut pod = Watched::start("mkdir data", &["data"], script);
    pod.expect("sleep 1; for number in $(seq 500); do : > data/file$number; done", &["500"]);
    let errors = String::from_utf8_lossy(&pod.pod.stderr_so_far()).into_owned();
    assert!(!errors.contains("faster"), "{errors}");
}

#[test]
fn fanotify_of_files_with_a_mark_each() {
    let rights = ["--caps-retain=CAP_SYS_ADMIN"];
    let mut pod = Watched::with_apps("mkdir data", &["data"], &rights, &["/bin/marked /data"]);
    pod.expect("true", &["ready"]);
    pod.expect("echo more > data/file", &["file CLOSE_WRITE"]);
    pod.expect(": > data/other", &["other CLOSE_WRITE"]);
}

#[test]
fn every_app_is_told() {
    let scripts = ["one", "two"]
        .map(|name| format!("/bin/told /data | while read -r line; do echo \"{name} $line\"; done"));
    let scripts = scripts.each_ref().map(String::as_str);
    let mut pod = Watched::with_apps("mkdir data", &["data"], &[], &scripts);
    pod.expect_in_any_order("true", &["one ready", "two ready"]);
    pod.expect_in_any_order("mkdir data/new", &["one /data new CREATE,ISDIR", "two /data new CREATE,ISDIR"]);
}

#[test]
fn what_is_lost_is_said_and_what_follows_is_told() {
    let limit = Path::new("/proc/sys/fs/fanotify/max_queued_events");
    let before = fs::read_to_string(limit).expect("a limit");
    // As many as wait otherwise take minutes to tell where machines are emulated.
    fs::write(limit, "500").expect("a lower limit");
    let script = "/bin/told /data | while read -r line; do
            case $line in ready | *after*) echo \"$line\" ;; esac
        done";
    let mut pod = Watched::start("mkdir data", &["data"], script);
    fs::write(limit, before).expect("the limit that was");
    let vmm = hostile::vmm(&pod.pod).expect("the VMM");
    let signal = |signal: &str| {
        let process = vmm.file_name().and_then(|name| name.to_str()).expect("a process");
        sh(pod.directory.path(), &format!("kill -{signal} {process}"));
    };
    signal("STOP");
    sh(pod.directory.path(), "cd data; seq 2000 | xargs touch");
    signal("CONT");
    wait::until("a line about it", PATIENCE, || {
        String::from_utf8_lossy(&pod.pod.stderr_so_far()).contains("some changes were not")
    });
    pod.expect(": > data/after", &["/data after CREATE", "/data after CLOSE_WRITE"]);
    pod.expect("rm data/after", &["/data after DELETE"]);
    let errors = String::from_utf8_lossy(&pod.pod.stderr_so_far()).into_owned();
    assert_eq!(errors.matches("some changes were not").count(), 1, "{errors}");
}
