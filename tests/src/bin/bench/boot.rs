//! Process start to the guest's first user instruction, VMM against VMM.

use anyhow::Result;

use crate::{
    machines::Machines,
    sample::{report, until_marker},
};

pub fn run(machines: &Machines, rounds: usize) -> Result<()> {
    let (mut ours, mut qemu) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        ours.push(until_marker(machines.ours())?.0.as_secs_f64() * 1e3);
        qemu.push(until_marker(machines.qemu())?.0.as_secs_f64() * 1e3);
    }
    report(
        "boot: process start to the guest's first user instruction",
        "ms",
        &mut ours,
        "QEMU microvm",
        &mut qemu,
    );
    Ok(())
}
