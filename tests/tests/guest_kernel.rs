//! The guest kernel as an app sees it: what pods need is there, and what a micro-VM does not have is not.

use std::path::Path;
use std::process::Command;

use serde_json::json;
use tests::{Aci, Rkt};

/// Prints one line for each thing that is missing, or there and should not be.
const PROBES: &str = r#"
for fs in tmpfs overlay virtiofs erofs fuse proc sysfs devtmpfs devpts mqueue cgroup2; do
    grep -qw "$fs" /proc/filesystems || echo "file system $fs"
done
for ns in cgroup ipc mnt net pid time user uts; do
    test -e "/proc/self/ns/$ns" || echo "namespace $ns"
done
for protocol in UNIX PACKET TCP TCPv6 UDP UDPv6 AF_VSOCK; do
    grep -q "^$protocol " /proc/net/protocols || echo "protocol $protocol"
done
for knob in fs/inotify fs/fanotify fs/epoll fs/mqueue kernel/io_uring_disabled kernel/shmmax kernel/msgmax kernel/sem \
    kernel/seccomp/actions_avail kernel/pty net/netfilter/nf_conntrack_max net/ipv4/tcp_syncookies net/ipv6/conf; do
    test -e "/proc/sys/$knob" || echo "sysctl $knob"
done
for absent in /proc/modules /proc/swaps /proc/bus/pci /proc/acpi /sys/firmware/acpi /proc/fb; do
    test ! -e "$absent" || echo "unexpected $absent"
done
test -z "$(ls /sys/block)" || echo "unexpected disks: $(ls /sys/block)"
grep -q kvm-clock /sys/devices/system/clocksource/clocksource0/available_clocksource || echo "kvm-clock"
"#;

/// NAT and connection tracking in an inet table.
const NAT: &str = r"
table inet probe {
    chain input { type filter hook input priority 0; ct state established,related accept; limit rate 5/second counter accept; }
    chain out { type nat hook postrouting priority 100; masquerade; }
    chain in { type nat hook prerouting priority -100; tcp dport 80 redirect to :8080; tcp dport 81 dnat ip to 10.0.0.1; }
    chain end { type filter hook forward priority 0; fib daddr type local accept; reject; }
}
";

#[test]
fn has_what_pods_need_and_no_more() {
    let finished = Rkt::new().run_script(PROBES).expect_success();
    assert_eq!(finished.stdout_text(), "", "{}", finished.stderr_text());
}

#[test]
fn has_nf_tables_with_nat_and_conntrack() {
    let rkt = Rkt::new();
    let mut image = Aci::with_busybox("example.com/nft", &["/bin/sh"])
        .app(
            "isolators",
            json!([{ "name": "os/linux/capabilities-retain-set", "value": { "set": ["CAP_NET_ADMIN"] } }]),
        )
        .file("nat.nft", NAT, 0o644);
    for file in program_files("/usr/sbin/nft") {
        let content = std::fs::read(&file).unwrap_or_else(|error| panic!("Cannot read {file}: {error}"));
        image = image.file(file.trim_start_matches('/'), content, 0o755);
    }
    let image = image.write(&rkt.dir().with_extension("aci"));
    let image = image.to_str().expect("a UTF-8 path");
    let script = "nft=/usr/sbin/nft; $nft -f /nat.nft && $nft list ruleset | grep -c -E 'masquerade|redirect|dnat|reject|fib'";
    let finished =
        rkt.run(["run", "--net=none", image, "--exec", "/bin/sh", "--", "-c", script]).expect_success();
    assert_eq!(finished.stdout_text(), "5\n");
}

/// A program of this machine and the shared libraries it needs, its loader among them.
fn program_files(program: &str) -> Vec<String> {
    assert!(Path::new(program).exists(), "{program} is not installed: make deps");
    let listed = Command::new("ldd").arg(program).output().expect("ldd runs");
    let listed = String::from_utf8(listed.stdout).expect("paths are ASCII");
    let libraries = listed.split_whitespace().filter(|word| word.starts_with('/')).map(str::to_owned);
    libraries.chain([program.to_owned()]).collect()
}
