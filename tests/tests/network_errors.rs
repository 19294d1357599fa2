//! Networks that cannot be had: one line each, and nothing left behind.

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use tests::network::{NetD, bridge, sh};
use tests::pod::{assert_nothing_left, refused};
use tests::{Pod, Rkt, aci, process, wait};

const LIMIT: Duration = Duration::from_secs(240);
const INT: i32 = 2;

#[test]
fn networks_that_cannot_be_had_are_one_line_each() {
    let mut small = bridge("small", "small0", "10.68.0.0/30");
    small["ipam"]["rangeStart"] = json!("10.68.0.2");
    let networks = NetD::new()
        .with("10-small.conf", &small)
        .with("20-missing.conf", &json!({"name": "missing", "type": "nothere"}))
        .with(
            "30-list.conflist",
            &json!({"cniVersion": "1.0.0", "name": "list", "plugins": [
                bridge("list", "list0", "10.69.0.0/24"), {"type": "rubbish"},
            ]}),
        )
        .with("40-hangs.conf", &json!({"name": "hangs", "type": "hangs"}))
        .with("50-flannel.conf", &json!({"name": "flannel", "type": "flannel", "subnetFile": "/nonexistent"}))
        .with("60-odd.conf", &json!({"cniVersion": "7.0.0", "name": "odd", "type": "bridge"}));
    networks.write("rubbish", "#!/bin/sh\n[ $CNI_COMMAND = DEL ] || echo rubbish\n", 0o755);
    networks.write("hangs", "#!/bin/sh\n[ $CNI_COMMAND = DEL ] || sleep 1000\n", 0o755);
    let rkt = Rkt::new().limit(LIMIT).local_config(networks.path());
    for (net, words) in [
        ("--net=host", &["host's network stack", "--net=none"][..]),
        ("--net=no-such-net", &["networks not found: no-such-net", "net.d"]),
        (
            "--net=missing",
            &["\"missing\"", "\"nothere\"", "/opt/cni/bin", "/usr/lib/cni", "containernetworking-plugins"],
        ),
        ("--net=list", &["\"list\"", "\"rubbish\" printed no CNI result"]),
        ("--net=hangs", &["\"hangs\"", "has not ended after 60 s"]),
        ("--net=flannel", &["flanneld", "/nonexistent"]),
        ("--net=odd", &["\"bridge\" failed", "7.0.0"]),
        ("--net=small:IP=10.68.0.9", &["\"bridge\" failed", "10.68.0.9"]),
        ("--net=small:word", &["KEY=VALUE"]),
    ] {
        let error = refused(&rkt, net);
        for word in words {
            assert!(error.contains(word), "\"{word}\" is not in: {error}");
        }
    }
    // The plugin cannot use a bridge again that it made and then had no address for.
    sh("ip link del small0");
    // The only address of its subnet is another pod's.
    let pod = Pod::start(&rkt, "uuid", &["--net=small"], "echo ready; sleep 1000");
    let error = refused(&rkt, "--net=small");
    assert!(error.contains("no IP addresses available"), "{error}");
    let taken = refused(&rkt, "--net=small:IP=10.68.0.2");
    assert!(taken.contains("10.68.0.2"), "{taken}");
    pod.end();
    networks.write("70-bad.conf", "{", 0o644);
    let error = refused(&rkt, "--net=small");
    assert!(error.contains("70-bad.conf") && error.contains("EOF"), "{error}");
    sh("ip link del small0; ip link del list0");
}

#[test]
fn plugins_end_with_the_pod_that_is_not_wanted_any_more() {
    // A bridge first, which must be left again; then a plugin that would go on.
    let list = json!({"cniVersion": "1.0.0", "name": "patient", "plugins": [
        bridge("patient", "patient0", "10.72.0.0/24"), {"type": "sleeps"},
    ]});
    let networks = NetD::new().with("10-patient.conflist", &list);
    let started = networks.path().join("started");
    let script =
        format!("#!/bin/sh\n[ $CNI_COMMAND = DEL ] || {{ echo >{}; sleep 1000; }}\n", started.display());
    networks.write("sleeps", &script, 0o755);
    let rkt = Rkt::new().limit(LIMIT).local_config(networks.path());
    let saved = rkt.dir().join("uuid");
    let save = format!("--uuid-file-save={}", saved.display());
    let run = rkt.start(["run", "--net=patient", &save, &aci::busybox().display().to_string()]);
    wait::until("the second plugin", LIMIT, || started.exists());
    run.signal(INT);
    let finished = run.finish().expect_status(128 + INT);
    assert_eq!(finished.stderr_text(), "");
    assert!(finished.took < Duration::from_secs(45), "The plugin was waited for: {:?}", finished.took);
    assert_nothing_left(&fs::read_to_string(saved).expect("the pod's UUID"));
    assert_eq!(sh("ip -o link show master patient0; pgrep -f '[n]et.d/sleeps' || true"), "");
    sh("ip link del patient0");
}

#[test]
fn without_the_tun_driver_the_device_is_named() {
    let networks = NetD::new().with("10-tunless.conf", &bridge("tunless", "tunless0", "10.70.0.0/24"));
    let rkt = Rkt::new().local_config(networks.path());
    let image = aci::busybox().display().to_string();
    let inside = rkt.command(["run", "--net=tunless", &image]);
    let mut command = Command::new("unshare");
    let script = "mount -t tmpfs none /dev/net && exec \"$@\"";
    command.args(["--mount", "--propagation", "private", "bash", "-c", script, "bash"]);
    command.arg(inside.get_program()).args(inside.get_args());
    let error = process::run(command, LIMIT).expect_status(254).stderr_text();
    assert!(error.contains("/dev/net/tun") && error.lines().count() == 1, "{error}");
    assert_eq!(
        sh("ip -o link show master tunless0; ls /var/lib/cni/networks/tunless | grep -c '^10' || true"),
        "0\n"
    );
    sh("ip link del tunless0");
}
