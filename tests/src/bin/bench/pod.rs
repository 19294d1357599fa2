//! `rkt run` of a cached image to the app's first instruction, against a bare QEMU microvm to its init's first.

use std::process::Command;

use anyhow::{Result, ensure};

use crate::{
    machines::Machines,
    sample::{Contender, compare, milliseconds, until_marker},
};

pub fn run(machines: &Machines, rounds: usize) -> Result<()> {
    let mut contenders = Vec::new();
    for build in machines.builds() {
        fetch(build)?;
        let start = move || milliseconds(first_instruction(build, "none", &[]));
        contenders.push(Contender::new(build.name(), start));
    }
    contenders.push(Contender::new("bare QEMU microvm", || milliseconds(machines.qemu())));
    let what = "pod: `rkt run` to the app's first instruction (QEMU: init's)";
    compare(what, "ms", rounds, &contenders)
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
