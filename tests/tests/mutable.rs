//! Apps that come and go in a running pod.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::endurance;
use tests::process::Finished;
use tests::{Rkt, Running, aci, process, remains, wait};

const LIMIT: Duration = Duration::from_secs(120);

/// A pod without apps, with the store's busybox image.
struct Sandbox {
    rkt: Rkt,
    running: Running,
    uuid: String,
    image: String,
}

impl Sandbox {
    fn start(flags: &[&str]) -> Self {
        let rkt = Rkt::new();
        let busybox = aci::busybox().into_os_string().into_string().expect("a UTF-8 path");
        let image = rkt.run(["fetch", &busybox]).expect_success().stdout_text().trim().to_owned();
        let saved = rkt.dir().join("uuid");
        let save = format!("--uuid-file-save={}", saved.display());
        let net: &[&str] =
            if flags.iter().any(|flag| flag.starts_with("--net")) { &[] } else { &["--net=none"] };
        let running = rkt.start([&["app", "sandbox", &save], net, flags].concat());
        wait::until("the pod", LIMIT, || fs::read_to_string(&saved).is_ok_and(|uuid| uuid.len() == 36));
        let uuid = fs::read_to_string(saved).expect("the pod's UUID");
        let running_now = || rkt.run(["status", &uuid]).stdout_text().contains("\npid=");
        wait::until("the pod to run", LIMIT, running_now);
        Self { rkt, running, uuid, image }
    }

    /// `rkt app add` of a shell script.
    fn add(&self, name: &str, flags: &[&str], script: &str) -> Finished {
        self.rkt.run(self.adding(name, flags, script))
    }

    fn adding(&self, name: &str, flags: &[&str], script: &str) -> Vec<String> {
        let name = format!("--name={name}");
        let (app, pod): (Vec<&str>, Vec<&str>) = flags.iter().partition(|flag| flag.starts_with("--iops"));
        let image = [self.uuid.as_str(), &self.image, &name];
        let words = ["--exec=/bin/sh", "--", "-c", script];
        [&["app", "add"], &pod[..], &image, &app, &words].concat().into_iter().map(str::to_owned).collect()
    }

    /// `rkt app VERB --app=APP UUID`.
    fn app(&self, verb: &str, app: &str) -> Finished {
        self.rkt.run(self.one(verb, app))
    }

    fn one(&self, verb: &str, app: &str) -> Vec<String> {
        vec!["app".into(), verb.into(), format!("--app={app}"), self.uuid.clone()]
    }

    /// Kills a command after that part of the time it has just been measured to take.
    fn kill(&self, words: &[String], after: Duration) {
        let victim = self.rkt.start(words);
        std::thread::sleep(after);
        victim.signal(9);
        victim.finish();
    }

    fn exec(&self, app: &str, script: &str) -> Finished {
        let words = ["app", "exec", &format!("--app={app}"), &self.uuid, "sh", "-c", script];
        process::run(self.rkt.command(words), LIMIT)
    }

    /// Names and states.
    fn list(&self) -> String {
        self.rkt.run(["app", "list", "--no-legend", &self.uuid]).expect_success().stdout_text()
    }

    fn state(&self, app: &str) -> String {
        let status = self.app("status", app).expect_success().stdout_text();
        status.lines().find_map(|line| line.strip_prefix("state=")).expect("a state").to_owned()
    }

    fn directory(&self) -> std::path::PathBuf {
        self.rkt.dir().join("pods/run").join(&self.uuid)
    }

    /// Mount points below the pod's directory, relative to it.
    fn mounts(&self) -> Vec<String> {
        let table = fs::read_to_string("/proc/self/mountinfo").expect("the mounts of this process");
        let points = table.lines().filter_map(|line| line.split(' ').nth(4));
        let directory = self.directory().canonicalize().expect("the pod's directory");
        let below = points.filter_map(|point| Path::new(point).strip_prefix(&directory).ok());
        below.map(|point| point.display().to_string()).collect()
    }
}

const SERVE: &str = "trap 'echo asked; exit 9' TERM; echo $AC_APP_NAME up; while :; do sleep 0.1; done";

#[test]
fn apps_come_run_and_go_while_the_pod_goes_on() {
    let shared = tempfile::tempdir().expect("a directory");
    fs::write(shared.path().join("file"), "of the host\n").expect("a file");
    let mut pod = Sandbox::start(&["--memory=256M", "--user-label=tier=test"]);
    // The pod need not be up yet.
    assert_eq!(pod.add("web", &[], SERVE).expect_success().stdout_text(), "web\n");
    pod.rkt.run(["status", "--wait-ready=60s", &pod.uuid]).expect_success();
    assert_eq!(pod.list(), "web\tcreated\n");
    assert!(pod.exec("web", "true").expect_status(254).stderr_text().contains("has not been started"));
    assert_eq!(pod.app("stop", "web").expect_status(5).stderr_text(), "stop: app \"web\" is not running\n");
    pod.app("start", "web").expect_success();
    pod.running.wait_for_stdout("web up");
    assert!(pod.app("start", "web").expect_status(1).stderr_text().contains("is running already"));

    // A second one, with a volume and a limit, beside it.
    let volume = format!("--mnt-volume=name=data,kind=host,source={},target=/data", shared.path().display());
    let script = "cat /data/file; echo of the app >/data/answer; touch /mine
        from=$(cut -d' ' -f1 /proc/uptime); for i in $(seq 100); do : >/tmp/$i; done; to=$(cut -d' ' -f1 /proc/uptime)
        awk \"BEGIN { print ($to - $from > 1.5) }\" >/data/slow; exit 3";
    pod.add("job", &[&volume, "--iops=50"], script).expect_success();
    pod.app("start", "job").expect_success();
    wait::until("the end of job", LIMIT, || pod.state("job") == "exited");
    pod.running.wait_for_stdout("of the host");
    assert_eq!(fs::read_to_string(shared.path().join("answer")).expect("an answer"), "of the app\n");
    assert_eq!(fs::read_to_string(shared.path().join("slow")).expect("an answer"), "1\n");
    let status = pod.app("status", "job").expect_success().stdout_text();
    for part in
        ["name=job\n", "\nexit_code=3\n", "\nstarted_at=2", "\nfinished_at=2", ":/data:(read_only:false)\n"]
    {
        assert!(status.contains(part), "no {part:?} in {status}");
    }
    // Its failure is its own, and it can have another life in the same files.
    assert_eq!(pod.list(), "web\trunning\njob\texited\n");
    pod.app("start", "job").expect_success();
    wait::until("the second end of job", LIMIT, || pod.state("job") == "exited");
    let entered = pod.exec("web", "ls -d /mine /data; echo $AC_APP_NAME").expect_success();
    assert_eq!(entered.stdout_text(), "web\n", "another app's files are not there");

    // Looking in.
    let top = pod.rkt.run(["top", "--no-legend", "--app=web", &pod.uuid]).expect_success().stdout_text();
    let shell: Vec<&str> =
        top.lines().next().expect("a process").split('\t').filter(|cell| !cell.is_empty()).collect();
    assert_eq!((shell[0], shell[2]), ("web", "root"), "{top}");
    assert!(shell[6].starts_with("/bin/sh -c trap"), "{top}");
    let stats = pod.rkt.run(["stats", "--no-stream", "--interval=300ms", "--format=json", &pod.uuid]);
    let stats: Value = serde_json::from_slice(&stats.expect_success().stdout).expect("JSON");
    let of_pod = &stats[0];
    assert_eq!(of_pod["name"], pod.uuid.as_str());
    // The machine is as large as it was made, and costs what it uses.
    let machine = of_pod["machine_memory"].as_u64().expect("a number");
    assert!((300 << 20..384 << 20).contains(&machine), "{stats}");
    assert!((10 << 20..machine).contains(&of_pod["memory"].as_u64().expect("a number")), "{stats}");
    let web = of_pod["apps"].as_array().expect("apps").iter().find(|app| app["name"] == "web").expect("web");
    assert!(web["cpu_usec"].as_u64() > Some(0) && web["pids"].as_u64() >= Some(1), "{stats}");

    // What cannot be.
    assert!(
        pod.add("web", &[], "true").expect_status(1).stderr_text().contains("multiple apps with name web")
    );
    assert!(
        pod.rkt
            .run(["app", "add", &pod.uuid, "example.com/none"])
            .expect_status(1)
            .stderr_text()
            .contains("not in the store")
    );
    pod.add("bad", &["--mnt-volume=name=x,kind=host,source=/not/there,target=/x"], "true").expect_status(1);
    let words = ["app", "add", &pod.uuid, &pod.image, "--name=missing", "--exec=/not-there"];
    pod.rkt.run(words).expect_success();
    let missing = pod.app("start", "missing").expect_status(1).stderr_text();
    assert!(missing.contains("Unable to open \"/not-there\": No such file or directory"), "{missing}");
    pod.app("rm", "missing").expect_success();

    // Gone, and another of the same name has nothing of it.
    pod.app("rm", "job").expect_success();
    assert_eq!(pod.list(), "web\trunning\n");
    assert!(pod.mounts().iter().all(|point| !point.contains("job")), "{:?}", pod.mounts());
    for left in ["appsinfo/job", "stage1/rootfs/opt/stage2/job", "stage1/rootfs/rkt/status/job"] {
        assert!(!pod.directory().join(left).exists(), "{left}");
    }
    assert!(shared.path().join("answer").exists(), "what is the host's stays");
    pod.add("job", &[], "ls -d /mine /data; echo anew; sleep 1000").expect_success();
    pod.app("start", "job").expect_success();
    pod.running.wait_for_stdout("anew");
    assert_eq!(pod.exec("job", "touch /works && ls /works").expect_success().stdout_text(), "/works\n");

    // Stopped, an app is asked; removed, it is stopped first.
    pod.app("stop", "web").expect_success();
    assert!(pod.app("status", "web").stdout_text().contains("\nexit_code=9\n"));
    pod.app("rm", "job").expect_success();
    let listed = pod.rkt.run(["list", "--format=json"]).expect_success().stdout_text();
    assert!(
        listed.contains(r#""app_names":["web"]"#) && listed.contains(r#""user_labels":{"tier":"test"}"#),
        "{listed}"
    );
    pod.rkt.run(["stop", &pod.uuid]).expect_success();
    let finished = pod.running.finish().expect_success();
    let output = finished.stdout_text();
    assert_eq!(output.matches("of the host").count(), 2, "{output}");
    assert!(output.ends_with("asked\n") && !output.contains("/mine"), "{output}");
    let left = pod.rkt.run(["gc", "--grace-period=0s"]).expect_success();
    assert!(left.stderr_text().contains(&pod.uuid));
    assert!(!fs::read_to_string("/proc/self/mountinfo").expect("mounts").contains(&pod.uuid));
}

#[test]
fn copies_work_too_and_other_pods_do_not_change() {
    let mut pod = Sandbox::start(&["--no-overlay"]);
    pod.add("web", &[], SERVE).expect_success();
    pod.app("start", "web").expect_success();
    pod.running.wait_for_stdout("web up");
    // An immutable pod, meanwhile.
    let saved = pod.rkt.dir().join("other");
    let save = format!("--uuid-file-save={}", saved.display());
    let words =
        ["run", "--net=none", &save, &pod.image, "--exec=/bin/sh", "--", "-c", "echo ready; sleep 1000"];
    let mut other = pod.rkt.start(words);
    other.wait_for_stdout("ready");
    let uuid = fs::read_to_string(saved).expect("the pod's UUID");
    let refused = pod.rkt.run(["app", "add", &uuid, &pod.image, "--name=late"]).expect_status(1);
    assert!(refused.stderr_text().contains("is immutable"), "{}", refused.stderr_text());
    assert_eq!(
        pod.rkt.run(["app", "list", "--no-legend", &uuid]).stdout_text().matches("running").count(),
        1
    );
    // SIGTERM ends such a pod as any other.
    pod.running.signal(15);
    let finished = pod.running.finish().expect_success();
    assert!(finished.stdout_text().ends_with("asked\n"), "{}", finished.stdout_text());
    let late = pod.rkt.run(["app", "start", "--app=web", &pod.uuid]).expect_status(1);
    assert!(late.stderr_text().contains("isn't currently running"), "{}", late.stderr_text());
    other.signal(9);
    other.finish().expect_status(137);
}

#[test]
fn ports_reach_apps_of_later_and_stats_go_on_until_the_pod_ends() {
    let mut pod = Sandbox::start(&["--net=default", "--port=web:tcp:7:0.0.0.0:18077"]);
    let stats = pod.rkt.start(["stats", "--interval=200ms", "--format=json", &pod.uuid]);
    // Nobody listens yet. Then somebody does, whose image knows nothing of the port.
    let script = "mkdir /www; echo of the app >/www/page; echo listens; busybox httpd -f -p 7 -h /www";
    pod.add("web", &[], script).expect_success();
    pod.app("start", "web").expect_success();
    pod.running.wait_for_stdout("listens");
    wait::until("the page through the host's port", LIMIT, || {
        let Ok(mut connection) = TcpStream::connect("127.0.0.1:18077") else { return false };
        let mut page = String::new();
        let asked = connection.write_all(b"GET /page HTTP/1.0\r\n\r\n");
        asked.and_then(|()| connection.read_to_string(&mut page)).is_ok()
            && page.ends_with("\r\nof the app\n")
    });
    let states = pod.rkt.run(["list", "--no-legend"]).expect_success().stdout_text();
    assert!(states.contains("default:ip4="), "{states}");

    // One line of JSON per interval; the app appears in them, and what went over the network is in them.
    wait::until("several measurements", LIMIT, || {
        stats.stdout_so_far().split(|byte| *byte == b'\n').count() > 3
    });
    // Whose reader goes goes, too.
    let cut = format!(
        "set -o pipefail; '{}' --dir='{}' stats --interval=200ms | head -n 1",
        pod.rkt.binary().display(),
        pod.rkt.dir().display()
    );
    let mut command = Command::new("bash");
    command.args(["-c", &cut]);
    process::run(command, LIMIT).expect_success();
    pod.rkt.run(["stop", &pod.uuid]).expect_success();
    pod.running.finish().expect_success();
    let measured = stats.finish().expect_success().stdout_text();
    let lines: Vec<Value> =
        measured.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    assert!(lines.iter().all(|line| line[0]["name"] == pod.uuid.as_str()), "{measured}");
    assert!(lines.iter().any(|line| line[0]["apps"][0]["name"] == "web"), "{measured}");
    assert!(
        lines.last().is_some_and(|line| line[0]["interfaces"][0]["received"].as_u64() > Some(0)),
        "{measured}"
    );
    pod.rkt.run(["gc", "--grace-period=0s"]).expect_success();
}

/// Whatever is killed half-way, what it was about can be done, and removed without a trace.
#[test]
fn changes_killed_half_way_can_be_done_again() {
    const KILLS: u64 = 4;
    let pod = Sandbox::start(&[]);
    pod.rkt.run(["status", "--wait-ready=60s", &pod.uuid]).expect_success();
    let volume = ["--mnt-volume=name=data,kind=empty,target=/data"];
    let words = pod.adding("web", &volume, SERVE);
    let change = |words: &[String]| {
        let started = Instant::now();
        let finished = pod.rkt.run(words);
        if finished.status != 0 {
            eprintln!("the pod: {}", String::from_utf8_lossy(&pod.running.stderr_so_far()));
        }
        finished.expect_success();
        started.elapsed()
    };
    let verbs = ["start", "stop", "rm"].map(|verb| pod.one(verb, "web"));
    let round = || [change(&words), change(&verbs[0]), change(&verbs[1]), change(&verbs[2])];
    round();
    let lengths = round();
    // Logs stay with the pod, if an app had the time to say anything.
    let logs = pod.directory().join("logs");
    let files = || {
        let mut files = remains::files(&pod.directory());
        files.retain(|path| path.parent() != Some(logs.as_path()));
        files
    };
    let (before, mounts) = (files(), pod.mounts());
    for kill in 0..KILLS * endurance() {
        // Multiples of the golden ratio are spread evenly, however many there are.
        let part = kill as f64 * 0.618_033_988_749_895 % 1.0;
        pod.kill(&words, lengths[0].mul_f64(part));
        if pod.list().is_empty() {
            change(&words);
        } else if pod.app("start", "web").status != 0 {
            // It came as far as the manifest.
            change(&verbs[2]);
            change(&words);
        }
        for (verb, length) in verbs.iter().zip(&lengths[1..]) {
            pod.kill(verb, length.mul_f64(part));
        }
        if !pod.list().is_empty() {
            change(&verbs[2]);
        } else {
            // What is left of a removed app is another's of the same name to sweep out.
            change(&words);
            change(&verbs[2]);
        }
        assert_eq!(pod.list(), "", "kill {kill}, after {part} of a command");
        assert_eq!(files(), before, "kill {kill}, after {part} of a command");
        assert_eq!(pod.mounts(), mounts, "kill {kill}, after {part} of a command");
    }
    round();
    pod.rkt.run(["stop", &pod.uuid]).expect_success();
    pod.running.finish().expect_success();
}
