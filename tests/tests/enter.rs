//! Commands in apps of running pods.

use std::fs;
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tests::terminal::Terminal;
use tests::{Rkt, Running, aci, process, wait};

const LIMIT: Duration = Duration::from_secs(120);

/// A pod that runs, with its UUID.
struct Pod {
    rkt: Rkt,
    running: Running,
    uuid: String,
}

impl Pod {
    /// Starts a pod of these apps' shell scripts, and waits until one of them says `ready`.
    fn start(apps: &[(&str, &str)]) -> Self {
        let rkt = Rkt::new();
        let saved = rkt.dir().join("uuid");
        let image = aci::busybox().into_os_string().into_string().expect("a UTF-8 path");
        let mut words =
            vec!["run".to_owned(), "--net=none".into(), format!("--uuid-file-save={}", saved.display())];
        for (name, script) in apps {
            words.extend([image.clone(), format!("--name={name}")]);
            words.extend(["--exec", "/bin/sh", "--", "-c", script, "---"].map(str::to_owned));
        }
        let mut running = rkt.start(words);
        running.wait_for_stdout("ready");
        Pod { rkt, running, uuid: fs::read_to_string(saved).expect("the pod's UUID") }
    }

    /// `rkt enter FLAGS UUID COMMAND`, not started.
    fn command(&self, flags: &[&str], command: &[&str]) -> Command {
        let words = [&["enter"], flags, &[self.uuid.as_str()], command].concat();
        self.rkt.command(words)
    }

    fn enter(&self, flags: &[&str], command: &[&str]) -> process::Finished {
        process::run(self.command(flags, command), LIMIT)
    }

    fn shell(&self, script: &str) -> process::Finished {
        self.enter(&[], &["sh", "-c", script])
    }
}

const WAIT: &str = "cd /tmp; touch of-the-app; echo ready; exec sleep 1000";

#[test]
fn a_command_has_the_apps_world_and_its_own_status() {
    let pod = Pod::start(&[("web", WAIT)]);
    let entered =
        pod.shell("ls /tmp; echo $AC_APP_NAME $HOME; id -u; echo err >&2; exit 42").expect_status(42);
    assert_eq!(entered.stdout_text(), "of-the-app\nweb /root\n0\n");
    assert_eq!(entered.stderr_text(), "err\n");
    assert_eq!(pod.shell("kill -9 $$").status, 137);
    // It sees the app's processes, and the app goes on.
    let entered = pod.shell("pidof sleep").expect_success();
    assert!(!entered.stdout.is_empty());
    let flags = ["--user=nobody", "--cwd=/etc", "--env=COLOUR=red", "--env=TERM=dumb"];
    let entered = pod.enter(&flags, &["sh", "-c", "id -u; pwd; echo $COLOUR $TERM"]).expect_success();
    assert_eq!(entered.stdout_text(), "65534\n/etc\nred dumb\n");
}

#[test]
fn what_cannot_be_run_is_said_at_once() {
    let pod = Pod::start(&[("web", WAIT), ("db", WAIT)]);
    let web = ["--app=web"];
    let missing = pod.enter(&web, &["not-there"]).expect_status(127);
    assert_eq!(missing.stderr_text(), "Error: Unable to open \"not-there\": No such file or directory\n");
    pod.enter(&web, &["/etc/passwd"]).expect_status(126);
    let nobody = pod.enter(&["--app=web", "--user=who"], &["id"]).expect_status(126);
    assert!(nobody.stderr_text().contains("Unable to find user \"who\""), "{}", nobody.stderr_text());
    let which = pod.shell("true").expect_status(254);
    assert!(which.stderr_text().contains("\tweb\n\tdb\n"), "{}", which.stderr_text());
    pod.enter(&["--app=mail"], &["id"]).expect_status(254);
    pod.rkt.run(["stop", "--force", &pod.uuid]).expect_success();
    let ended = pod.enter(&web, &["id"]).expect_status(254);
    assert_eq!(ended.stderr_text(), format!("enter: pod \"{}\" isn't currently running\n", pod.uuid));
}

#[test]
fn bytes_go_in_and_out_unchanged() {
    let pod = Pod::start(&[("web", WAIT)]);
    let mut command = pod.command(&[], &["cat"]);
    command.stdin(Stdio::piped());
    let mut running = Running::start(command, LIMIT);
    let bytes: Vec<u8> = (0..4 << 20).map(|at: u32| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    running.feed(&bytes);
    let finished = running.finish().expect_success();
    assert!(finished.stdout == bytes, "{} bytes came back", finished.stdout.len());
}

#[test]
fn a_terminal_with_its_size_and_keys() {
    let pod = Pod::start(&[("web", WAIT)]);
    let script = "trap 'echo interrupted; exit 9' INT; tty; stty size; read line; echo got $line; \
                  while sleep 0.2; do stty size; done";
    let mut terminal = Terminal::start(&pod.command(&[], &["sh", "-c", script]), (33, 101), LIMIT);
    terminal.wait_for("/dev/pts/0\r\n33 101\r\n");
    terminal.type_keys("typed\r");
    terminal.wait_for("got typed");
    terminal.resize(44, 122);
    terminal.wait_for("44 122");
    terminal.type_keys("\x03");
    assert_eq!(terminal.finish(), 9);
    assert!(terminal.screen().ends_with("^Cinterrupted\r\n"), "{}", terminal.screen());
    assert!(
        terminal
            .modes()
            .local_modes
            .contains(rustix::termios::LocalModes::ICANON | rustix::termios::LocalModes::ECHO)
    );
}

#[test]
fn several_at_once_and_signals_to_one() {
    let pod = Pod::start(&[("web", WAIT)]);
    let script = "trap 'echo asked; exit 5' TERM; echo here; while :; do sleep 0.1; done";
    let mut entered: Vec<_> =
        (0..4).map(|_| Running::start(pod.command(&[], &["sh", "-c", script]), LIMIT)).collect();
    entered.iter_mut().for_each(|running| running.wait_for_stdout("here"));
    let first = entered.remove(0);
    first.signal(15);
    assert_eq!(first.finish().expect_status(5).stdout_text(), "here\nasked\n");
    // One whose client is killed is hung up, and nothing else.
    let second = entered.remove(0);
    second.signal(9);
    second.finish().expect_status(137);
    wait::until("the hang-up", LIMIT, || {
        pod.shell("ps | grep -c '[e]cho asked'").stdout_text().trim() == "2"
    });
    // The pod's end is theirs.
    pod.rkt.run(["stop", &pod.uuid]).expect_success();
    for running in entered {
        running.finish().expect_status(137);
    }
    pod.running.finish().expect_success();
}

#[test]
fn a_reader_that_does_not_read_holds_up_nobody_else() {
    let pod = Pod::start(&[("web", WAIT)]);
    let mut stuck = pod.command(&[], &["yes"]);
    let mut stuck = stuck.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("start rkt");
    std::thread::sleep(Duration::from_secs(3));
    let asked = Instant::now();
    assert_eq!(pod.shell("echo free").expect_success().stdout_text(), "free\n");
    assert!(asked.elapsed() < Duration::from_secs(60), "{:?}", asked.elapsed());
    // Nor does it keep the pod.
    pod.rkt.run(["stop", &pod.uuid]).expect_success();
    pod.running.finish().expect_success();
    drop(stuck.stdout.take());
    wait::until("the end of rkt enter", LIMIT, || stuck.try_wait().expect("wait").is_some());
}

#[test]
fn entering_early_waits_for_the_guest() {
    let rkt = Rkt::new();
    let saved = rkt.dir().join("uuid");
    let save = format!("--uuid-file-save={}", saved.display());
    let image = aci::busybox();
    let image = image.to_str().expect("a UTF-8 path");
    let script = "read word </tmp/word; echo $word; exit 0";
    let fifo =
        "mkfifo /tmp/word 2>/dev/null; until [ -p /tmp/word ]; do sleep 0.1; done; echo hello >/tmp/word";
    let app = format!("mkfifo /tmp/word; {script}");
    let running = rkt.start(["run", "--net=none", &save, image, "--exec", "/bin/sh", "--", "-c", &app]);
    wait::until("the pod", LIMIT, || fs::read_to_string(&saved).is_ok_and(|uuid| !uuid.is_empty()));
    let uuid = fs::read_to_string(&saved).expect("the pod's UUID");
    let state = || rkt.run(["status", &uuid]).stdout_text();
    wait::until("the pod to run", LIMIT, || state().starts_with("state=running"));
    // The app ends with it, and may take it along.
    let entered = rkt.run(["enter", &uuid, "sh", "-c", fifo]);
    assert!(matches!(entered.status, 0 | 137), "{entered:?}");
    assert_eq!(running.finish().expect_success().stdout_text(), "hello\n");
}

#[test]
fn other_users_cannot() {
    let pod = Pod::start(&[("web", WAIT)]);
    let line = format!(
        "setpriv --reuid=65534 --clear-groups {} --dir={} enter {} id",
        tests::host::path("RKT_BINARY").display(),
        pod.rkt.dir().display(),
        pod.uuid
    );
    let mut command = Command::new("sh");
    command.args(["-c", &line]);
    let finished = process::run(command, LIMIT).expect_status(254);
    assert_eq!(finished.stderr_text(), "enter: cannot run as unprivileged user\n");
}

#[test]
fn a_client_that_reads_late_still_gets_everything_when_the_pod_has_ended() {
    const BYTES: usize = 400_000;
    let wait = "echo ready; until [ -e /tmp/go ]; do sleep 0.1; done; echo ends";
    let mut pod = Pod::start(&[("web", wait)]);
    // More than the pipe and the sockets hold: the rest waits in the pod's own process.
    let script = format!("head -c {BYTES} /dev/zero; touch /tmp/go");
    let mut late = pod.command(&[], &["sh", "-c", &script]);
    let mut late = late.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("start rkt enter");
    pod.running.wait_for_stdout("ends");
    std::thread::sleep(Duration::from_secs(1));
    let mut read = Vec::new();
    late.stdout.take().expect("its output").read_to_end(&mut read).expect("read it");
    assert_eq!(read.len(), BYTES);
    assert!(late.wait().expect("its end").success());
    pod.running.finish().expect_success();
}
