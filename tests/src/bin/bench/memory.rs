//! Host memory beside guest RAM, of a whole idle pod and of QEMU's microvm.

use std::{fs, process::Command};

use anyhow::{Context, Result};

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

/// The proportional set size of everything the process and its children map but guest RAM, in MiB.
fn beside_ram(command: Command) -> Result<f64> {
    let (_, running) = until_marker(command)?;
    let process = running.0.id();
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
    let children = children.context("Cannot read the list of children")?;
    let mut total = 0;
    for process in [process.to_string().as_str()].into_iter().chain(children.split_whitespace()) {
        let smaps = fs::read_to_string(format!("/proc/{process}/smaps")).context("Cannot read smaps")?;
        total += outside_guest_ram(&smaps);
    }
    Ok(total as f64 / 1024.0)
}

fn outside_guest_ram(smaps: &str) -> u64 {
    let (mut total, mut size) = (0, 0);
    for line in smaps.lines() {
        let Some((key, value)) = line.split_once(':') else { continue };
        let Some(kib) = value.trim().strip_suffix(" kB").and_then(|number| number.parse::<u64>().ok()) else {
            continue;
        };
        match key {
            "Size" => size = kib,
            // Nothing else of a VMM is nearly as large as the guest's RAM.
            "Pss" if size < MEMORY_MIB * 1024 * 9 / 10 => total += kib,
            _ => {}
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guest_ram_is_left_out() {
        let smaps = "7f00-7f01 rw-p 0 00:00 0\nSize:               4 kB\nPss:                3 kB\nPss_Dirty: 1 kB\n\
                     7f10-7f90 rw-p 0 00:00 0\nSize:          262144 kB\nPss:            40000 kB\n";
        assert_eq!(outside_guest_ram(smaps), 3);
    }
}
