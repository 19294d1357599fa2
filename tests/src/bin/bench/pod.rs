//! `rkt run` of a cached image to the app's first instruction, against a bare QEMU microvm to its init's first.

use std::process::Command;

use anyhow::{Result, ensure};

use crate::{
    machines::Machines,
    sample::{report, until_marker},
};

pub fn run(machines: &Machines, rounds: usize) -> Result<()> {
    fetch(machines)?;
    let (mut ours, mut qemu) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        ours.push(until_marker(first_instruction(machines, "none", &[]))?.0.as_secs_f64() * 1e3);
        qemu.push(until_marker(machines.qemu())?.0.as_secs_f64() * 1e3);
    }
    report(
        "pod: `rkt run` to the app's first instruction (QEMU: to init's)",
        "ms",
        &mut ours,
        "bare QEMU microvm",
        &mut qemu,
    );
    Ok(())
}

/// Puts the image and stage1 into the store, so that runs find both there.
pub fn fetch(machines: &Machines) -> Result<()> {
    let status =
        machines.rkt().arg("fetch").arg(machines.image()).stdout(std::process::Stdio::null()).status()?;
    ensure!(status.success(), "rkt fetch failed: {status}");
    // The first run also renders stage1.
    until_marker(first_instruction(machines, "none", &[])).map(drop)
}

/// The pod: in one network or `none`, one CPU, and the contenders' memory (the app's limit is what is left after the
/// stated overhead).
pub fn first_instruction(machines: &Machines, network: &str, words: &[&str]) -> Command {
    let mut command = machines.rkt();
    command
        .args([
            "run",
            &format!("--net={network}"),
            "example.com/first-instruction",
            "--cpu=1",
            "--memory=128M",
        ])
        .args(words);
    command
}
