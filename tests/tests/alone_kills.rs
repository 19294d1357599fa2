//! Pods and `rkt gc`, killed at any instant of a pod's whole life. `RKT_ENDURANCE=25` is the whole test, 500 kills.

use std::thread::sleep;
use std::time::{Duration, Instant};

use tests::endurance;
use tests::network::NetD;
use tests::remains::{self, Remains};
use tests::{Rkt, aci, wait};

const KILL: i32 = 9;
const LIMIT: Duration = Duration::from_secs(300);
const GC: [&str; 2] = ["gc", "--grace-period=0s"];

/// How often something is killed.
const KILLS: u64 = 20;

/// Starts a command and kills it after a while, if it has not ended by then.
fn kill_after(rkt: &Rkt, words: &[&str], after: Duration) {
    let victim = rkt.start(words);
    sleep(after);
    victim.signal(KILL);
    victim.finish();
}

/// Whether some process works on the data directory.
fn works(rkt: &Rkt) -> bool {
    let data = rkt.dir().display().to_string();
    let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
    processes
        .filter_map(|process| std::fs::read(process.path().join("cmdline")).ok())
        .any(|command| String::from_utf8_lossy(&command).contains(&data))
}

fn time(rkt: &Rkt, words: &[&str]) -> Duration {
    let started = Instant::now();
    rkt.run(words).expect_success();
    started.elapsed()
}

#[test]
fn whatever_is_killed_gc_leaves_nothing() {
    let config = serde_json::json!({
        "cniVersion": "0.4.0", "name": "killed", "type": "bridge", "bridge": "killed0", "isGateway": true,
        "ipam": { "type": "host-local", "subnet": "10.72.0.0/24" },
    });
    let directory = NetD::new().with("10-killed.conf", &config);
    let rkt = Rkt::new().limit(LIMIT).local_config(directory.path());
    let image = aci::busybox().display().to_string();
    let pod = |net: &'static str| {
        let name = "example.com/busybox:1.0.0";
        ["run", net, name, "--memory=64M", "--cpu=1", "--exec", "/bin/sh", "--", "-c", "echo >f"]
    };
    let (alone, connected) = (pod("--net=none"), pod("--net=killed"));
    rkt.run(["fetch", &image]).expect_success();
    // The bridge is the network's, and stays.
    rkt.run(connected).expect_success();
    time(&rkt, &GC);
    let lengths = [time(&rkt, &alone), time(&rkt, &connected)];
    let collecting = time(&rkt, &GC);
    let (before, files) = (Remains::look(), remains::files(rkt.dir()));
    for kill in 0..KILLS * endurance() {
        let (words, running) = if kill % 3 == 2 { (&connected, lengths[1]) } else { (&alone, lengths[0]) };
        // Multiples of the golden ratio: however many there are, they are spread evenly over the whole length.
        let at = (running + collecting).mul_f64(kill as f64 * 0.618_033_988_749_895 % 1.0);
        match at.checked_sub(running) {
            None => kill_after(&rkt, words, at),
            Some(at) => {
                rkt.run(words).expect_success();
                kill_after(&rkt, &GC, at);
            }
        }
        // What a killed process had just forked holds its locks until it executes something else.
        wait::until("the end of every process", LIMIT, || !works(&rkt));
        let said = rkt.run(GC).expect_success().stderr_text();
        // Network plugins that were under way end by themselves.
        wait::until(&format!("nothing left of kill {kill} at {at:?}"), Duration::from_secs(20), || {
            Remains::look() == before
        });
        assert_eq!(remains::files(rkt.dir()), files, "kill {kill} at {at:?}: {said}");
    }
    let verified = rkt.run(["image", "verify", "example.com/busybox:1.0.0"]).expect_success().stdout_text();
    assert!(verified.contains("successfully verified"), "{verified}");
    time(&rkt, &connected);
    tests::network::sh("ip link del killed0");
}
