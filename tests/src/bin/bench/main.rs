//! Ours beside others, interleaved in one run: `make bench`, or `bench [ROUNDS] [NAME…]`; all but `images` in the KVM host.
//!
//! Prints medians and ratios; never fails because of a time.

mod agent;
mod boot;
mod exits;
mod files;
mod images;
mod kernel;
mod machines;
mod memory;
mod network;
mod pod;
mod sample;
mod watched;

use anyhow::{Context, Result, bail};

type Benchmark = fn(&machines::Machines, usize) -> Result<()>;

const BENCHMARKS: &[(&str, Benchmark)] = &[
    ("images", images::run as Benchmark),
    ("boot", boot::run),
    ("exits", exits::run),
    ("agent", agent::run),
    ("memory", memory::run),
    ("pod", pod::run),
    ("files", files::run),
    ("network", network::run),
    ("kernel", kernel::run),
];

fn main() -> Result<()> {
    let mut rounds = 15;
    let mut names = Vec::new();
    for word in std::env::args().skip(1) {
        match word.parse() {
            Ok(number) => rounds = number,
            Err(_) => names.push(word),
        }
    }
    if rounds == 0 {
        bail!("Rounds must be at least 1");
    }
    if let Some(name) = names.iter().find(|name| BENCHMARKS.iter().all(|(known, _)| known != name)) {
        bail!(
            "Unknown benchmark {name:?}: choose among images, boot, exits, agent, memory, pod, files, network, kernel"
        );
    }
    let machines = machines::Machines::from_environment()?;
    println!("host: {}", std::env::var("RKT_TEST_HOST").unwrap_or_else(|_| "not stated".into()));
    sample::heading();
    for (name, benchmark) in BENCHMARKS {
        // What each line of the kernel is worth needs kernels first, and is asked for by name.
        let wanted = names.is_empty() && *name != "kernel";
        if wanted || names.iter().any(|wanted| wanted == name) {
            benchmark(&machines, rounds).with_context(|| format!("Benchmark {name} failed"))?;
        }
    }
    Ok(())
}
