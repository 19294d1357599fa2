//! Process start to the guest's first user instruction, VMM against VMM.

use anyhow::Result;

use crate::{
    machines::Machines,
    sample::{Contender, compare, milliseconds},
};

pub fn run(machines: &Machines, rounds: usize) -> Result<()> {
    let mut contenders: Vec<_> = machines
        .builds()
        .map(|build| Contender::new(build.name(), move || milliseconds(build.ours())))
        .collect();
    contenders.push(Contender::new("QEMU microvm", || milliseconds(machines.qemu())));
    compare("boot: process start to the guest's first user instruction", "ms", rounds, &contenders)
}
