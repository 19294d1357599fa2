//! Host memory beside guest RAM, of a whole idle pod and of QEMU's microvm.

use std::process::Command;

use anyhow::{Context, Result};
use tests::footprint;

use crate::{
    machines::{MEMORY_MIB, Machines},
    pod::{fetch, first_instruction},
    sample::{Contender, compare, until_marker},
};

/// Memory does not vary as time does.
const ROUNDS: usize = 3;

pub fn run(machines: &Machines, rounds: usize) -> Result<()> {
    let mut contenders = Vec::new();
    for build in machines.builds() {
        fetch(build)?;
        let idle = move || beside_ram(first_instruction(build, "none", &["--", "--stay"]));
        contenders.push(Contender::new(build.name(), idle));
    }
    contenders.push(Contender::new("QEMU microvm", || beside_ram(machines.qemu())));
    let what = "memory: of the host beside guest RAM (ours: the whole pod)";
    compare(what, "MiB", rounds.min(ROUNDS), &contenders)
}

/// What the process and its children map but guest RAM, in MiB.
fn beside_ram(command: Command) -> Result<f64> {
    let (_, running) = until_marker(command)?;
    let kib = footprint::beside_ram(running.0.id(), MEMORY_MIB).context("Cannot measure memory")?;
    Ok(kib as f64 / 1024.0)
}
