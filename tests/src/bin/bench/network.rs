//! A guest on a bridge: TCP and UDP throughput and round-trip time, against a plain network namespace and against QEMU's
//! microvm on the same bridge. `net-peer` is the far end of all.

use std::{
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use crate::{
    machines::Machines,
    network::traffic::{Traffic, measure},
    sample::{Running, report},
};

mod traffic;

/// Rounds take long.
const MOST_ROUNDS: usize = 3;
const BRIDGE: &str = "rktbench0";
/// The host's ends of the cables: of our machine, of the namespace, of QEMU's machine.
const OURS: &str = "rktbench1";
const PLAIN: &str = "rktbench2";
const QEMU: &str = "rktbench3";
const NAMESPACE: &str = "rktbench";
/// Addresses of the bridge, and of what is measured.
const HERE: &str = "10.211.0.1/24";
const THERE: &str = "10.211.0.2";

pub fn run(machines: &Machines, rounds: usize) -> Result<()> {
    let bridge = Bridge::new()?;
    let mut samples: [[Vec<f64>; 4]; 3] = Default::default();
    for _ in 0..rounds.min(MOST_ROUNDS) {
        let contenders: [fn(&Bridge, &Machines) -> Result<Traffic>; 3] = [ours, namespace, qemu];
        for (samples, contender) in samples.iter_mut().zip(contenders) {
            let Traffic { up, down, datagrams, round_trip } = contender(&bridge, machines)?;
            for (sample, value) in samples.iter_mut().zip([up, down, datagrams, round_trip]) {
                sample.push(value);
            }
        }
    }
    let [ours, namespace, qemu] = &mut samples;
    let what =
        [("TCP to the guest", "Mbit/s"), ("TCP from the guest", "Mbit/s"), ("UDP to the guest", "Mbit/s")];
    for (index, (what, unit)) in what.into_iter().chain([("round trip", "us")]).enumerate() {
        let what = format!("network: {what}");
        report(&what, unit, &mut ours[index].clone(), "plain namespace", &mut namespace[index]);
        report(&what, unit, &mut ours[index], "QEMU microvm", &mut qemu[index]);
    }
    Ok(())
}

fn ours(bridge: &Bridge, machines: &Machines) -> Result<Traffic> {
    let guest = start(machines.ours_with_network(OURS))?;
    // The interface appears with the machine.
    let end = Instant::now() + Duration::from_secs(20);
    while bridge.take(OURS).is_err() {
        ensure!(Instant::now() < end, "The machine makes no tap interface");
        thread::sleep(Duration::from_millis(20));
    }
    let traffic = measure(THERE);
    drop(guest);
    traffic.context("Our machine")
}

fn qemu(bridge: &Bridge, machines: &Machines) -> Result<Traffic> {
    ip(&format!("tuntap add {QEMU} mode tap vnet_hdr"))?;
    let traffic = bridge.take(QEMU).and_then(|()| {
        let _guest = start(machines.qemu_with_network(QEMU))?;
        measure(THERE).context("QEMU's machine")
    });
    ip(&format!("link delete {QEMU}"))?;
    traffic
}

fn namespace(bridge: &Bridge, machines: &Machines) -> Result<Traffic> {
    ip(&format!("netns add {NAMESPACE}"))?;
    let traffic = (|| {
        ip(&format!("link add {PLAIN} type veth peer name eth0 netns {NAMESPACE}"))?;
        bridge.take(PLAIN)?;
        ip(&format!("-n {NAMESPACE} address add {THERE}/24 dev eth0"))?;
        ip(&format!("-n {NAMESPACE} link set eth0 up"))?;
        let mut command = Command::new("ip");
        command.args(["netns", "exec", NAMESPACE]).arg(machines.net_peer());
        let _peer = start(command)?;
        measure(THERE).context("The plain namespace")
    })();
    // The namespace would take it along, but some time later.
    let cable = ip(&format!("link delete {PLAIN}"));
    ip(&format!("netns delete {NAMESPACE}"))?;
    let traffic = traffic?;
    cable.map(|()| traffic)
}

fn start(mut command: Command) -> Result<Running> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(Running(command.spawn().with_context(|| format!("Cannot start {command:?}"))?))
}

/// Gone when it goes out of scope.
struct Bridge;

impl Bridge {
    fn new() -> Result<Self> {
        ip(&format!("link add {BRIDGE} type bridge"))?;
        let bridge = Bridge;
        ip(&format!("address add {HERE} dev {BRIDGE}"))?;
        ip(&format!("link set {BRIDGE} up"))?;
        Ok(bridge)
    }

    /// Connects an interface.
    fn take(&self, interface: &str) -> Result<()> {
        ip(&format!("link set {interface} master {BRIDGE} up"))
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        // Nobody to tell; the next run will hear of it.
        let _ = ip(&format!("link delete {BRIDGE}"));
    }
}

fn ip(words: &str) -> Result<()> {
    let output = Command::new("ip").args(words.split(' ')).output().context("Cannot start ip")?;
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ip {words}: {}", text.trim());
    Ok(())
}
