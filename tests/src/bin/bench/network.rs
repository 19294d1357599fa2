//! A pod on a bridge: TCP and UDP throughput and round-trip time, against a plain network namespace and against QEMU's
//! microvm on the same bridge, with `net-peer` as the far end of all; and what CNI adds to a pod's start.

use std::{
    fs,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

use crate::{
    machines::Machines,
    network::traffic::{Traffic, measure},
    pod::{fetch, first_instruction},
    sample::{Running, median, report, until_marker},
};

mod traffic;

/// Rounds take long.
const MOST_ROUNDS: usize = 3;
const MOST_STARTS: usize = 7;
/// The bridge; the pods' network has its name.
const BRIDGE: &str = "rktbench0";
/// The host's ends of the cables of the namespace and of QEMU's machine. The pod's is the plugin's to name.
const PLAIN: &str = "rktbench2";
const QEMU: &str = "rktbench3";
const NAMESPACE: &str = "rktbench";
/// Addresses of the bridge, and of what is measured.
const HERE: &str = "10.211.0.1/24";
const THERE: &str = "10.211.0.2";

/// How one is measured.
type Measure<'a> = Box<dyn Fn() -> Result<Traffic> + 'a>;

pub fn run(machines: &Machines, rounds: usize) -> Result<()> {
    let bridge = Bridge::new()?;
    let mut contenders: Vec<(&str, Measure<'_>)> = Vec::new();
    for build in machines.builds() {
        fetch(build)?;
        configure(build)?;
        contenders.push((build.name(), Box::new(move || ours(build))));
    }
    contenders.push(("plain namespace", Box::new(|| namespace(&bridge, machines))));
    contenders.push(("QEMU microvm", Box::new(|| qemu(&bridge, machines))));
    let mut samples = vec![<[Vec<f64>; 4]>::default(); contenders.len()];
    for _ in 0..rounds.min(MOST_ROUNDS) {
        for (samples, (_, measure)) in samples.iter_mut().zip(&contenders) {
            let Traffic { up, down, datagrams, round_trip } = measure()?;
            for (sample, value) in samples.iter_mut().zip([up, down, datagrams, round_trip]) {
                sample.push(value);
            }
        }
    }
    let Some((ours, others)) = samples.split_first_mut() else { return Ok(()) };
    let what = [
        ("TCP to the guest", "Mbit/s"),
        ("TCP from the guest", "Mbit/s"),
        ("UDP to the guest", "Mbit/s"),
        ("round trip", "us"),
    ];
    for (index, (what, unit)) in what.into_iter().enumerate() {
        for (theirs, (name, _)) in others.iter_mut().zip(&contenders[1..]) {
            report(&format!("network: {what}"), unit, &mut ours[index], name, &mut theirs[index]);
        }
    }
    starts(machines, rounds.min(MOST_STARTS))
}

/// What CNI adds to the time from `rkt run` to the app's first instruction: the plugins bridge and host-local, beside
/// building the machine.
fn starts(machines: &Machines, rounds: usize) -> Result<()> {
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        for (network, times) in [(BRIDGE, &mut with), ("none", &mut without)] {
            let started = until_marker(first_instruction(machines, network, &[]));
            collect(machines)?;
            times.push(started?.0.as_secs_f64() * 1e3);
        }
    }
    let what = "network: `rkt run` to the app's first instruction";
    report(what, "ms", &mut with, "without network", &mut without);
    println!("network: CNI adds {:.0} ms to `rkt run`", median(&mut with) - median(&mut without));
    Ok(())
}

/// Makes the bridge a network of pods.
fn configure(machines: &Machines) -> Result<()> {
    let directory = machines.data.join("rkt-config/net.d");
    fs::create_dir_all(&directory)?;
    let network = format!(
        r#"{{"cniVersion": "1.0.0", "name": "{BRIDGE}", "type": "bridge", "bridge": "{BRIDGE}",
            "ipam": {{"type": "host-local", "subnet": "10.211.0.0/24", "dataDir": "/run/rktbench"}}}}"#
    );
    Ok(fs::write(directory.join("10-bench.conf"), network)?)
}

/// Gives back what a pod had that was killed.
fn collect(machines: &Machines) -> Result<()> {
    let output = machines.rkt().args(["gc", "--grace-period=0s"]).output()?;
    ensure!(output.status.success(), "rkt gc: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

fn ours(machines: &Machines) -> Result<Traffic> {
    let network = format!("{BRIDGE}:IP={THERE}");
    let pod = start(first_instruction(machines, &network, &["--exec=/net-peer"]))?;
    let traffic = measure(THERE);
    drop(pod);
    collect(machines)?;
    traffic.context("Our pod")
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
