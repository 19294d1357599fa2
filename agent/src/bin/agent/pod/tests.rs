//! Whole pods, run by the agent as PID 1 of namespaces instead of a guest; the test is the host.

mod changes;
mod commands;
mod health;
mod host;
mod namespaces;
mod sockets;
mod streams;

use agent::protocol::{GuestMessage, HostMessage, Stdio, StreamKind, WindowSize};
use serde_json::json;

use host::PodUnderTest;

/// An app that runs a shell script.
fn script(text: &str) -> PodUnderTest {
    PodUnderTest::new().app("web", &["/bin/sh", "-c", text])
}

/// What a script writes to its standard output.
fn output(pod: PodUnderTest) -> String {
    let outcome = pod.run();
    assert_eq!(outcome.status, 0, "{:?}", outcome.messages);
    outcome.stream("web", StreamKind::Stdout)
}

#[test]
fn output_error_and_status_come_back() {
    let outcome = script("echo out; echo err >&2; exit 42").run();
    assert_eq!(outcome.stream("web", StreamKind::Stdout), "out\n");
    assert_eq!(outcome.stream("web", StreamKind::Stderr), "err\n");
    assert_eq!(outcome.status, 42);
    let messages = &outcome.messages;
    assert!(matches!(&messages[0], GuestMessage::AppStarted { app, pid } if app == "web" && *pid > 1));
    assert_eq!(
        messages[1..],
        [GuestMessage::Ready, GuestMessage::AppExited { app: "web".into(), status: 42 }]
    );
}

#[test]
fn death_by_a_signal_is_told_as_shells_do() {
    assert_eq!(script("kill -9 $$").run().status, 137);
}

#[test]
fn a_program_that_is_not_there_is_named() {
    for (command, name) in [("/foo-not-there", "/foo-not-there"), ("foo-not-there", "foo-not-there")] {
        let outcome = PodUnderTest::new().app("web", &[command]).run();
        let line = format!("Error: Unable to open \"{name}\": No such file or directory");
        assert_eq!((outcome.status, outcome.diagnostics()), (203, vec![line.as_str()]));
        let started = |message: &GuestMessage| matches!(message, GuestMessage::AppStarted { .. });
        assert!(!outcome.messages.iter().any(started));
    }
}

#[test]
fn commands_are_looked_up_in_the_apps_path_and_directory() {
    let app = |exec: &[&str], directory: &str| {
        let environment = json!([{"name": "PATH", "value": "/nowhere:/usr/bin"}]);
        json!({"exec": exec, "user": "0", "group": "0", "workingDirectory": directory, "environment": environment})
    };
    assert_eq!(output(PodUnderTest::new().app_with("web", app(&["pwd"], "/usr"))), "/usr\n");
    assert_eq!(output(PodUnderTest::new().app_with("web", app(&["bin/pwd"], "/usr"))), "/usr\n");
    let outcome = PodUnderTest::new().app_with("web", app(&["pwd"], "/absent")).run();
    let line = "Error: Unable to enter working directory \"/absent\": No such file or directory (os error 2)";
    assert_eq!((outcome.status, outcome.diagnostics()), (200, vec![line]));
    let made = PodUnderTest::new().app_with("web", app(&["pwd"], "/absent/below")).make_directory();
    assert_eq!(output(made), "/absent/below\n");
}

#[test]
fn the_first_failure_takes_the_others_down() {
    let outcome = script("trap 'echo asked; exit 7' TERM; echo up; while :; do sleep 0.01; done")
        .app("db", &["/bin/sh", "-c", "until grep -qsx sleep /proc/[0-9]*/comm; do :; done; exit 3"])
        .run();
    assert_eq!(outcome.status, 3);
    assert_eq!(outcome.stream("web", StreamKind::Stdout), "up\nasked\n");
    assert!(outcome.messages.contains(&GuestMessage::AppExited { app: "web".into(), status: 7 }));
}

#[test]
fn success_of_one_leaves_the_others_running() {
    let outcome = script("exit 0").app("db", &["/bin/sh", "-c", "sleep 0.2; exit 0"]).run();
    assert_eq!(outcome.status, 0);
    let exits = outcome.messages.iter().filter(|message| matches!(message, GuestMessage::AppExited { .. }));
    assert_eq!(exits.count(), 2);
}

#[test]
fn apps_share_processes_and_loopback_but_not_mounts() {
    let outcome = script("readlink /proc/self/ns/pid /proc/self/ns/net /proc/self/ns/ipc /proc/self/ns/uts; readlink /proc/self/ns/mnt >&2")
        .app("db", &["/bin/sh", "-c", "readlink /proc/self/ns/pid /proc/self/ns/net /proc/self/ns/ipc /proc/self/ns/uts; readlink /proc/self/ns/mnt >&2"])
        .run();
    assert_eq!(outcome.stream("web", StreamKind::Stdout), outcome.stream("db", StreamKind::Stdout));
    assert_ne!(outcome.stream("web", StreamKind::Stderr), outcome.stream("db", StreamKind::Stderr));
}

#[test]
fn input_goes_through_unchanged() {
    let input: Vec<u8> = (0..1 << 20).map(|i: u32| b'a' + (i % 23) as u8).collect();
    let outcome = PodUnderTest::new().app("web", &["cat"]).input(&input).run();
    assert_eq!(outcome.status, 0);
    assert!(outcome.stream("web", StreamKind::Stdout).as_bytes() == input);
}

#[test]
fn a_closed_output_ends_the_app() {
    assert_eq!(PodUnderTest::new().app("web", &["yes"]).deaf().run().status, 128 + 13);
}

#[test]
fn processes_left_behind_do_not_keep_the_pod() {
    let outcome = script("sleep 1000 & setsid sleep 1000 & echo done").run();
    assert_eq!((outcome.status, outcome.stream("web", StreamKind::Stdout).as_str()), (0, "done\n"));
}

#[test]
fn orphans_are_reaped() {
    let text = "(sleep 0.05 & echo $! >&2) ; sleep 0.3; grep -ls '^State:.Z' /proc/[0-9]*/status | wc -l";
    assert_eq!(script(text).run().stream("web", StreamKind::Stdout), "0\n");
}

#[test]
fn a_pod_stops_when_it_is_asked_to() {
    let outcome = script("echo up; exec sleep 1000").run_with(|hands| {
        hands.wait_for("up");
        hands.send(&HostMessage::Stop { grace_ms: 60_000 });
    });
    assert_eq!(outcome.status, 143);
    assert!(outcome.messages.contains(&GuestMessage::AppExited { app: "web".into(), status: 143 }));
}

#[test]
fn an_app_is_asked_with_the_signal_it_wants() {
    let text = "trap 'echo quit; exit 0' QUIT; trap 'exit 1' TERM; echo up; while :; do sleep 0.01; done";
    let outcome = script(text).stop_signal(3).run_with(|hands| {
        hands.wait_for("up");
        hands.send(&HostMessage::Stop { grace_ms: 60_000 });
    });
    assert_eq!((outcome.status, &*outcome.stream("web", StreamKind::Stdout)), (0, "up\nquit\n"));
}

#[test]
fn what_apps_log_is_among_their_errors() {
    let log = "perl -MSocket -e 'socket(S, AF_UNIX, SOCK_DGRAM, 0); \
               send(S, \"<14>Nov 20 13:45:01 web[7]: hello\", 0, sockaddr_un(\"/dev/log\")) or die $!'";
    let app = |user: &str| json!({"exec": ["/bin/sh", "-c", log], "user": user, "group": "0"});
    let outcome = PodUnderTest::new().app_with("web", app("nobody")).app_with("db", app("0")).run();
    for app in ["web", "db"] {
        assert_eq!(outcome.stream(app, StreamKind::Stderr), "web[7]: hello\n", "{app}");
    }
}

#[test]
fn a_pod_is_ready_when_its_apps_say_so() {
    let tell = "socket(S, AF_UNIX, SOCK_DGRAM, 0); \
                send(S, \"READY=1\", 0, sockaddr_un($ENV{NOTIFY_SOCKET})) or die $!";
    for (user, tells) in [("0", true), ("nobody", true), ("0", false)] {
        let last = if tells { format!("perl -MSocket -e '{tell}'") } else { "true".to_owned() };
        let exec = ["/bin/sh", "-c", &format!("echo $NOTIFY_SOCKET; {last}; sleep 0.3")];
        let app = json!({"exec": exec, "user": user, "group": "0"});
        let outcome = PodUnderTest::new().app_with("web", app).notify().run();
        assert_eq!(outcome.stream("web", StreamKind::Stdout), "/run/systemd/notify\n");
        assert_eq!(outcome.stream("web", StreamKind::Stderr), "");
        assert_eq!(outcome.messages.contains(&GuestMessage::Ready), tells, "{:?}", outcome.messages);
    }
}

#[test]
fn grace_ends() {
    let outcome = script("trap '' TERM; echo up; while :; do sleep 1000; done").run_with(|hands| {
        hands.wait_for("up");
        hands.send(&HostMessage::Stop { grace_ms: 50 });
    });
    assert!(outcome.messages.contains(&GuestMessage::AppExited { app: "web".into(), status: 137 }));
}

#[test]
fn signals_are_delivered() {
    let outcome = script("trap 'exit 9' USR1; echo up; while :; do sleep 0.01; done").run_with(|hands| {
        hands.wait_for("up");
        hands.send(&HostMessage::Signal { app: "nobody".into(), signal: 9 });
        hands.send(&HostMessage::Signal { app: "web".into(), signal: 10 });
    });
    assert_eq!(outcome.status, 9);
}

fn terminal(text: &str) -> PodUnderTest {
    script(text).stdio(Stdio::Terminal { size: WindowSize { rows: 25, columns: 81 } })
}

#[test]
fn an_interactive_app_has_a_terminal() {
    let outcome =
        terminal("tty; stty size; test -c /dev/console && echo console; cut -d' ' -f7 /proc/self/stat")
            .run_with(|_| {});
    assert_eq!(outcome.stream("web", StreamKind::Tty), "/dev/pts/0\r\n25 81\r\nconsole\r\n34816\r\n");
}

#[test]
fn the_terminal_follows_the_users_hands() {
    let text = "trap 'stty size; exit 5' INT; trap 'stty size' WINCH; echo up; while :; do sleep 0.01; done";
    let outcome = terminal(text).run_with(|hands| {
        hands.wait_for("up");
        let size = WindowSize { rows: 40, columns: 100 };
        hands.send(&HostMessage::Resize { app: "web".into(), size });
        hands.wait_for("40 100");
        hands.type_in("\u{3}");
    });
    assert_eq!(outcome.status, 5);
    assert!(outcome.stream("web", StreamKind::Tty).ends_with("^C40 100\r\n"));
}

#[test]
fn a_user_has_its_ids_and_no_capabilities() {
    let app = |user: &str, group: &str| {
        let exec = [
            "/bin/sh",
            "-c",
            "id -u; id -g; id -G; grep -h Cap /proc/self/status | tr -d '\\t'; echo > /dev/stdout",
        ];
        json!({"exec": exec, "user": user, "group": group, "supplementaryGIDs": [400, 500]})
    };
    let found = output(PodUnderTest::new().app_with("web", app("nobody", "400")));
    let none = "0000000000000000";
    let caps =
        format!("CapInh:{none}\nCapPrm:{none}\nCapEff:{none}\nCapBnd:00000000a80425fb\nCapAmb:{none}\n\n");
    assert_eq!(found, format!("65534\n400\n400 500\n{caps}"));
    let found = output(PodUnderTest::new().app_with("web", app("0", "0")));
    let some = "00000000a80425fb";
    let caps = format!("CapInh:{none}\nCapPrm:{some}\nCapEff:{some}\nCapBnd:{some}\nCapAmb:{none}\n\n");
    assert_eq!(found, format!("0\n0\n0 400 500\n{caps}"));
}

#[test]
fn system_calls_are_filtered() {
    let app = |exec: &[&str], user: &str, isolators: serde_json::Value| json!({"exec": exec, "user": user, "group": user, "isolators": isolators});
    let status = &["grep", "-E", "Seccomp:|NoNewPrivs", "/proc/self/status"][..];
    let of = |user, isolators| output(PodUnderTest::new().app_with("web", app(status, user, isolators)));
    assert_eq!(of("0", json!([])), "NoNewPrivs:\t0\nSeccomp:\t2\n");
    assert_eq!(of("65534", json!([])), "NoNewPrivs:\t1\nSeccomp:\t2\n");
    let all = json!([{"name": "os/linux/seccomp-retain-set", "value": {"set": ["@appc.io/all"]}}]);
    assert_eq!(of("0", all), "NoNewPrivs:\t0\nSeccomp:\t0\n");
    let remove = |value| json!([{"name": "os/linux/seccomp-remove-set", "value": value}]);
    let told = remove(json!({"set": ["mkdir", "mkdirat"], "errno": "EXFULL"}));
    let outcome = PodUnderTest::new().app_with("web", app(&["mkdir", "/x"], "0", told)).run();
    assert_eq!(
        outcome.stream("web", StreamKind::Stderr),
        "mkdir: cannot create directory '/x': Exchange full\n"
    );
    let killed = remove(json!({"set": ["mkdir", "mkdirat"]}));
    assert_eq!(
        PodUnderTest::new().app_with("web", app(&["mkdir", "/x"], "0", killed)).run().status,
        128 + 31
    );
    let strict = json!([{"name": "os/linux/seccomp-retain-set", "value": {"set": ["read"]}}]);
    let outcome = PodUnderTest::new().app_with("web", app(&["/foo"], "0", strict)).run();
    assert_eq!(outcome.diagnostics(), ["Error: Unable to open \"/foo\": No such file or directory"]);
}

#[test]
fn handlers_run_as_root_around_the_app() {
    let app = |before: &str, after: &str| {
        let handler = |name, text| json!({"name": name, "exec": ["/bin/sh", "-c", text]});
        json!({
            "exec": ["/bin/sh", "-c", "echo app $(id -u)"], "user": "nobody", "group": "nogroup",
            "eventHandlers": [handler("pre-start", before), handler("post-stop", after)],
        })
    };
    let both = app("echo before $(id -u)", "echo after $(id -u); ls /proc/self/cwd/bin/sh");
    let found = output(PodUnderTest::new().app_with("web", both));
    assert_eq!(found, "before 0\napp 65534\nafter 0\n/proc/self/cwd/bin/sh\n");
    let outcome = PodUnderTest::new().app_with("web", app("exit 4", "echo after")).run();
    assert_eq!((outcome.status, outcome.stream("web", StreamKind::Stdout).as_str()), (4, ""));
    assert_eq!(outcome.diagnostics(), ["Error: pre-start handler failed with status 4"]);
}

#[test]
fn a_read_only_root_still_has_its_devices() {
    let text = "touch /x 2>&1; echo > /dev/null; touch /dev/shm/x; cat /etc/hostname";
    let found = output(script(text).set("readOnlyRootFS", json!(true)));
    assert_eq!(found, "touch: cannot touch '/x': Read-only file system\nrkt-test\n");
}

#[test]
fn volumes_are_shared_and_read_only_where_they_should_be() {
    let writer = "echo shared > /srv/deep/data/x; cat /etc/hosts; (echo > /frozen/y) 2>&1; ls -ld /srv/deep | cut -c1-10";
    let reader = "while ! cat /data/x 2>/dev/null; do sleep 0.01; done";
    let outcome = script(writer)
        .volume("data", "/srv/deep/data", false)
        .volume("hosts.txt", "/etc/hosts", false)
        .volume("data", "/frozen", true)
        .app("db", &["/bin/sh", "-c", reader])
        .volume("data", "/data", false)
        .run();
    let frozen = "/bin/sh: 1: cannot create /frozen/y: Read-only file system";
    let expected = format!("from the host\n{frozen}\ndrwxr-xr-x\n");
    assert_eq!(outcome.stream("web", StreamKind::Stdout), expected);
    assert_eq!(outcome.stream("db", StreamKind::Stdout), "shared\n");
}

#[test]
fn volumes_in_memory_have_a_size_and_are_shared_if_they_are_the_pods() {
    let writer = "stat -c '%a %U' /own; head -c 8192 /dev/zero 2>/dev/null > /own/x || stat -c %s /own/x; \
                  grep -o ' /own .* - tmpfs' /proc/self/mountinfo; echo shared > /srv/x";
    let reader = "while ! cat /data/x 2>/dev/null; do sleep 0.01; done; ls -A /own";
    let outcome = script(writer)
        .memory("web.0.tmpfs", "/own", true)
        .memory("cache", "/srv", false)
        .app("db", &["/bin/sh", "-c", reader])
        .memory("db.0.tmpfs", "/own", true)
        .memory("cache", "/data", false)
        .run();
    let expected = "1770 root\n4096\n /own rw,nosuid,nodev,relatime - tmpfs\n";
    assert_eq!(outcome.stream("web", StreamKind::Stdout), expected);
    assert_eq!(outcome.stream("db", StreamKind::Stdout), "shared\n");
}

#[test]
fn modes_are_what_programs_expect() {
    let text = "cd /dev; stat -c '%a %n' null tty shm net/tun /dev/pts/ptmx /sys/fs/cgroup /tmp; umask";
    let found = output(script(text));
    let expected =
        "666 null\n666 tty\n1777 shm\n666 net/tun\n666 /dev/pts/ptmx\n755 /sys/fs/cgroup\n1777 /tmp\n0022\n";
    assert_eq!(found, expected);
}

#[test]
fn the_system_is_protected() {
    let look =
        "for p in /sys/firmware /sys/fs /sys/module /sys/power /proc/kallsyms; do stat -c '%A %n' $p; done;
        for p in /proc/sys/kernel/core_pattern /sys/kernel/profiling; do
            (echo x > $p) 2>&1
        done
        ls /sys/fs/cgroup/cgroup.procs; exit 0";
    let found = output(script(look));
    let hidden = "d--------- /sys/firmware\nd--x--x--x /sys/fs\nd--------- /sys/module\nd--------- /sys/power\n\
        ---------- /proc/kallsyms\n";
    assert!(found.starts_with(hidden), "{found}");
    assert_eq!(found.matches("Read-only file system").count(), 2, "{found}");
    assert!(found.ends_with("/sys/fs/cgroup/cgroup.procs\n"), "{found}");
}

#[test]
fn nothing_of_the_agent_is_in_reach() {
    let found = output(script("cut -d' ' -f5 /proc/self/mountinfo"));
    let mut mounts: Vec<&str> = found.lines().collect();
    mounts.sort_unstable();
    mounts.retain(|mount| !mount.starts_with("/proc/") && !mount.starts_with("/sys/"));
    let expected =
        ["/", "/dev", "/dev/log", "/dev/mqueue", "/dev/pts", "/dev/shm", "/etc/hostname", "/proc", "/sys"];
    assert_eq!(mounts, expected);
}
