//! How often a machine leaves its guest until the guest's first user instruction, by reason, as the host's KVM traces it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use rustix::mount::{MountFlags, mount};

use crate::{machines::Machines, sample::until_marker};

const TRACING: &str = "/sys/kernel/tracing";
/// Of each CPU, in KiB: enough for a whole boot.
const BUFFER: &str = "32768";
/// Exits, and what ports and registers they were about.
const EVENTS: [&str; 3] = ["kvm_exit", "kvm_pio", "kvm_mmio"];

/// By reason; `all` of them together.
pub type Counts = BTreeMap<String, u64>;

/// Once: a boot takes as many exits as the one before, give or take a timer's.
pub fn run(machines: &Machines, _: usize) -> Result<()> {
    let trace = Trace::open()?;
    let ours = trace.of(machines.ours()).context("ours")?;
    let theirs = trace.of(machines.qemu()).context("QEMU microvm")?;
    for reason in ours.keys().chain(theirs.keys().filter(|reason| !ours.contains_key(*reason))) {
        let count = |counts: &Counts| counts.get(reason).copied().unwrap_or(0);
        println!("exits: {reason:<40} ours {:>7}  QEMU microvm {:>7}", count(&ours), count(&theirs));
    }
    Ok(())
}

/// The host's tracing of KVM; off again when it goes out of scope.
pub struct Trace;

impl Trace {
    pub fn open() -> Result<Self> {
        if !file("trace").exists() {
            mount("tracefs", TRACING, "tracefs", MountFlags::empty(), None)
                .context("Cannot mount tracefs")?;
        }
        write("buffer_size_kb", BUFFER)?;
        Ok(Trace)
    }

    /// What happens until a machine's guest says that it runs.
    fn of(&self, command: Command) -> Result<Counts> {
        self.during(|| until_marker(command).map(drop))
    }

    /// What happens meanwhile.
    pub fn during(&self, what: impl FnOnce() -> Result<()>) -> Result<Counts> {
        write("trace", "")?;
        switch("1")?;
        let done = what();
        switch("0")?;
        done?;
        Ok(count(&fs::read_to_string(file("trace")).context("Cannot read the trace")?))
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        // Nobody to tell.
        let _ = switch("0");
    }
}

fn file(name: &str) -> PathBuf {
    Path::new(TRACING).join(name)
}

fn write(name: &str, text: &str) -> Result<()> {
    fs::write(file(name), text).with_context(|| format!("Cannot write {TRACING}/{name}"))
}

fn switch(on: &str) -> Result<()> {
    EVENTS.iter().try_for_each(|event| write(&format!("events/kvm/{event}/enable"), on))
}

/// Counts what a trace tells: reasons of exits, ports, and registers by their page, which is a device's.
fn count(trace: &str) -> Counts {
    let mut counts = Counts::new();
    let mut add = |what: String| *counts.entry(what).or_default() += 1;
    for line in trace.lines() {
        if let Some((_, exit)) = line.split_once("kvm_exit: ") {
            let reason = exit.split_once("reason ").map_or(exit, |(_, rest)| rest);
            add("all".into());
            add(reason.split_once(" rip").map_or(reason, |(reason, _)| reason).trim().to_owned());
        } else if let Some((_, port)) = line.split_once("kvm_pio: ") {
            let words: Vec<&str> = port.split(' ').collect();
            add(format!("  port {}", words.get(2).unwrap_or(&"?")));
        } else if let Some((_, register)) = line.split_once("kvm_mmio: ") {
            let address = register.split_once("gpa ").map_or("", |(_, rest)| rest);
            let address = address.split(' ').next().unwrap_or_default().trim_start_matches("0x");
            let page = u64::from_str_radix(address, 16).map_or(0, |address| address & !0xfff);
            add(format!("  registers at {page:#x}"));
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exits_are_counted_by_reason_port_and_device() {
        let trace = "\
# tracer: nop
 boot-12 [000] d..1. 1.0: kvm_exit: vcpu 0 reason io rip 0xffff info1 0x3f80009 info2 0x1
 boot-12 [000] ..... 1.1: kvm_pio: pio_write at 0x3f8 size 1 count 1 val 0x41
 boot-12 [000] d..1. 1.2: kvm_exit: vcpu 0 reason npf rip 0xffff info1 0x1 info2 0x2
 boot-12 [000] ..... 1.3: kvm_mmio: mmio write len 4 gpa 0xd0000070 val 0x1
 boot-12 [000] d..1. 1.4: kvm_exit: reason npf rip 0xffff info1 0x1 info2 0x2
";
        let counts: Vec<_> = count(trace).into_iter().collect();
        let expected =
            [("  port 0x3f8", 1), ("  registers at 0xd0000000", 1), ("all", 3), ("io", 1), ("npf", 2)];
        assert_eq!(counts, expected.map(|(what, count)| (what.to_owned(), count)));
    }
}
