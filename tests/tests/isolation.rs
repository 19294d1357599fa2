//! What an app sees and what is kept from it, looked at from inside.

use tests::{Finished, Rkt, aci, inside, inside::Look};

/// What the kernel says of a process's rights.
const RIGHTS: &[Look<'_>] = &[
    ("bounding", "grep CapBnd /proc/self/status | cut -f 2"),
    ("effective", "grep CapEff /proc/self/status | cut -f 2"),
    ("inheritable", "grep CapInh /proc/self/status | cut -f 2"),
    ("rest", "grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status | cut -f 2"),
    ("ids", "id -u; id -g; grep ^Groups /proc/self/status | cut -f 2"),
    ("oom", "cat /proc/self/oom_score_adj"),
];

/// Runs a pod, `words` being the beginning of the command, of one app per entry: its name, flags, and looks.
fn run(words: &[&str], apps: &[(&str, &[&str], &[Look<'_>])]) -> Finished {
    let image = aci::busybox();
    let image = image.to_str().expect("UTF-8");
    let mut words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    for (name, flags, looks) in apps {
        words.extend([image.to_owned(), format!("--name={name}")]);
        words.extend(flags.iter().map(|flag| (*flag).to_owned()));
        let script = inside::script(name, looks);
        words.extend(["--exec=/bin/sh", "--", "-c", &script, "---"].map(str::to_owned));
    }
    Rkt::new().run(words)
}

/// The answers to [`RIGHTS`].
fn rights<'a>(
    bounding: &'a str,
    effective: &'a str,
    rest: &'a str,
    ids: &'a str,
    oom: &'a str,
) -> Vec<String> {
    let values = [bounding, effective, "0000000000000000", rest, ids, oom];
    RIGHTS
        .iter()
        .zip(values)
        .map(|((name, _), value)| format!("{name}: {value}").trim_end().to_owned())
        .collect()
}

#[track_caller]
fn expect_rights(finished: &Finished, app: &str, expected: &[String]) {
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    inside::expect(finished, app, &expected);
}

const NONE: &str = "0000000000000000";

/// What every app finds, and what is kept from it.
const SYSTEM: &[Look<'_>] = &[
    ("hidden directories", "stat -c %A /sys/firmware /sys/fs /sys/module"),
    ("hidden files", "cat /proc/config.gz /proc/kallsyms /proc/kcore 2>/dev/null | head -c 1"),
    (
        "frozen /proc",
        "for f in /proc/sys/kernel/core_pattern /proc/sys/vm/panic_on_oom; do (: >> $f) 2>&1; done | \
         grep -c 'Read-only file system'",
    ),
    ("frozen /sys", "mkdir /sys/class/x"),
    ("cgroup", "mkdir /sys/fs/cgroup/x; cat /proc/self/cgroup"),
    ("mount", "mount -t tmpfs none /tmp"),
];

#[test]
fn the_kernels_files_are_protected_unless_that_is_lifted() {
    let guarded = run(&["run", "--net=none"], &[("guarded", &[], SYSTEM)]).expect_success();
    inside::expect(
        &guarded,
        "guarded",
        &[
            "hidden directories: d--------- d--x--x--x d---------",
            "hidden files:",
            "frozen /proc: 2",
            "frozen /sys: mkdir: can't create directory '/sys/class/x': Read-only file system",
            "cgroup: mkdir: can't create directory '/sys/fs/cgroup/x': Read-only file system 0::/",
            "mount: mount: permission denied (are you root?)",
        ],
    );
    let lifted = run(
        &["--insecure-options=image,capabilities,paths,seccomp", "run", "--net=none"],
        &[("root", &[], RIGHTS), ("user", &["--user=1", "--group=1"], RIGHTS), ("lifted", &[], SYSTEM)],
    )
    .expect_success();
    let all = "000001ffffffffff";
    expect_rights(&lifted, "root", &rights(all, all, "0 0", "0 0 0", "0"));
    expect_rights(&lifted, "user", &rights(all, NONE, "0 0", "1 1 1", "0"));
    let answers = inside::answers(&lifted, "lifted");
    assert!(answers[0].contains("drwxr-xr-x"), "{answers:?}");
    assert_eq!(answers[2], "frozen /proc: 0");
    assert_eq!(answers[4], "cgroup: 0::/");
    assert_eq!(answers[5], "mount:");
}

#[test]
fn the_same_files_are_there_for_every_app() {
    let looks: &[Look<'_>] = &[
        (
            "devices",
            "cd /dev; stat -c '%n %A %u:%g %t:%T' null zero full random urandom tty net/tun fuse pts/ptmx",
        ),
        ("links", "cd /dev; for l in fd stdin stdout stderr ptmx; do readlink $l; done"),
        ("hostname", "stat -c %A /etc/hostname; cat /etc/hostname; hostname"),
        ("mtab", "readlink /etc/mtab"),
        ("directories", "stat -c '%n %a' /run /tmp /dev/shm /dev/pts /dev/mqueue"),
        (
            "mounts",
            "awk '{ print $5, $9 == \"-\" ? $10 : $9 == \"\" ? $8 : $9 }' /proc/self/mountinfo | \
                    grep -o '^[^ ]*' | sort -u",
        ),
        (
            "loopback",
            "cat /sys/class/net/lo/operstate; ping -c 1 -w 5 127.0.0.1 | grep -c '1 packets received'",
        ),
        ("descriptors", "ulimit -n; ls /proc/self/fd | wc -w"),
        ("path", "cd /bin; ls -d /pod /volumes /cgroup /run/files 2>&1 | grep -c 'No such'"),
        ("clock", "[ $(date +%s) -gt 1700000000 ] && echo sane"),
        ("random", "cat /proc/sys/kernel/random/entropy_avail"),
        ("log", "logger -t looker said && echo sent"),
    ];
    let namespaces: &[Look<'_>] = &[
        ("own", "for n in mnt cgroup; do readlink /proc/self/ns/$n; done"),
        ("shared", "for n in pid net ipc uts user; do readlink /proc/self/ns/$n; done"),
    ];
    let apps = [("app", &[] as &[&str], looks), ("one", &[], namespaces), ("two", &[], namespaces)];
    let finished = run(&["run", "--net=none", "--hostname=inside"], &apps).expect_success();
    inside::expect(
        &finished,
        "app",
        &[
            "devices: null crw-rw-rw- 0:0 1:3 zero crw-rw-rw- 0:0 1:5 full crw-rw-rw- 0:0 1:7 \
             random crw-rw-rw- 0:0 1:8 urandom crw-rw-rw- 0:0 1:9 tty crw-rw-rw- 0:0 5:0 \
             net/tun crw-rw-rw- 0:0 a:c8 fuse crw-rw-rw- 0:0 a:e5 pts/ptmx crw-rw-rw- 0:0 5:2",
            "links: /proc/self/fd /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 pts/ptmx",
            "hostname: -rw-r--r-- inside inside",
            "mtab: ../proc/self/mounts",
            "directories: /run 755 /tmp 1777 /dev/shm 1777 /dev/pts 755 /dev/mqueue 1777",
            "mounts: / /dev /dev/log /dev/mqueue /dev/pts /dev/shm /etc/hostname /etc/hosts /proc /proc/bus /proc/sys/kernel/core_pattern \
             /proc/sys/vm/panic_on_oom /sys /sys/firmware /sys/fs /sys/fs/cgroup /sys/module",
            "loopback: unknown 1",
            "descriptors: 1024 4",
            "path: 4",
            "clock: sane",
            "random: 256",
            "log: sent",
        ],
    );
    let errors = finished.stderr_text();
    assert!(errors.contains("looker: said"), "{errors}");
    let (one, two) = (inside::answers(&finished, "one"), inside::answers(&finished, "two"));
    assert_ne!(one[0], two[0], "mounts and cgroups are each app's own");
    assert_eq!(one[1], two[1], "the rest is the pod's");
}
