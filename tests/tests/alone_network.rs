//! Pods that die at any moment, and what is left of their networks. These tests have the host for themselves.

use std::time::Duration;

use tests::network::{NetD, sh};
use tests::{Rkt, aci, endurance, host, wait};

const KILL: i32 = 9;
const LIMIT: Duration = Duration::from_secs(1400);

/// Everything networks are made of, on the whole host.
fn networks() -> String {
    sh("ip -o link | awk '{print $2}' | sort
        ip netns list
        for family in iptables ip6tables; do $family -t nat -S; done
        find /var/lib/cni -type f -name '[0-9]*' 2>/dev/null || true")
}

#[test]
fn pods_killed_at_random_leave_nothing_after_gc() {
    let config = serde_json::json!({
        "cniVersion": "0.4.0", "name": "killed", "type": "bridge", "bridge": "killed0", "isGateway": true,
        "ipMasq": true, "ipam": { "type": "host-local", "subnet": "10.71.0.0/24" },
    });
    let directory = NetD::new().with("10-killed.conf", &config);
    let rkt = Rkt::new().limit(LIMIT).local_config(directory.path());
    let image = aci::busybox().display().to_string();
    let run = ["run", "--net=default,killed", "--port=http:18088", &image, "--memory=64M", "--cpu=1"];
    let image = tests::Aci::with_busybox("example.com/killed", &["/bin/sleep", "1000"])
        .app("ports", serde_json::json!([{"name": "http", "protocol": "tcp", "port": 80}]))
        .write(&host::data_dir().join("killed.aci"))
        .display()
        .to_string();
    let run = run.map(|word| if word.ends_with(".aci") { image.as_str() } else { word });
    rkt.run(["fetch", &image]).expect_success();
    // Bridges stay: they are the network's, not a pod's. So do the chains that portmap fills.
    let saved = rkt.dir().join("uuid");
    let save = format!("--uuid-file-save={}", saved.display());
    let warm_up = rkt.start([&run[..1], &[save.as_str()], &run[1..]].concat());
    wait::until("the first pod", LIMIT, || {
        std::fs::read_to_string(&saved).is_ok_and(|uuid| uuid.len() == 36)
    });
    let uuid = std::fs::read_to_string(&saved).expect("the pod's UUID");
    rkt.run(["status", "--wait-ready=600s", &uuid]).expect_success();
    warm_up.signal(15);
    warm_up.finish();
    rkt.run(["gc", "--grace-period=0s"]).expect_success();
    let before = networks();
    assert!(before.contains("killed0"), "{before}");
    let rounds = 7 * endurance();
    for round in 0..rounds {
        let pod = rkt.start(run);
        // From the first instants of stage0 to a pod that runs, in steps with no rhythm of the work's own.
        std::thread::sleep(Duration::from_millis(137 * round * round % 4001));
        pod.signal(KILL);
        pod.finish();
        if round % 3 == 2 {
            rkt.run(["gc", "--grace-period=0s"]).expect_success();
        }
    }
    // The last one may have had the port.
    rkt.run(["gc", "--grace-period=0s"]).expect_success();
    // A plugin that is killed early leaves no masquerading, and the next one's removal of it must not fail.
    let pod = rkt.start(run);
    let rules = "iptables -t nat -S POSTROUTING | grep killed";
    wait::until("masquerading", LIMIT, || !sh(&format!("{rules} || true")).is_empty());
    pod.signal(KILL);
    pod.finish();
    sh(&format!(
        "{rules} | sed 's/^-A/-D/' | while read -r rule; do
            eval iptables -t nat \"$rule\"; for how in F X; do iptables -t nat -$how ${{rule##* -j }}; done
         done"
    ));
    let collected = rkt.run(["gc", "--grace-period=0s"]).expect_success().stderr_text();
    assert_eq!(collected.matches("problem").count(), 0, "{collected}");
    assert_eq!(networks(), before);
    sh("ip link del killed0");
}
