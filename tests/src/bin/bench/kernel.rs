//! What each line of the guest kernel's configuration is worth: our kernel beside those of `guest-kernel/variants`, each with one line turned
//! round.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use ::tests::footprint;
use anyhow::{Context, Result, bail};

use crate::{
    exits::Trace,
    machines::Machines,
    sample::{median, until_marker_within},
};

/// The one that the others are compared with.
const OURS: &str = "ours";
/// A boot takes three seconds where it takes longest.
const LIMIT: Duration = Duration::from_secs(20);

/// A kernel, and what its boots have cost.
struct Kernel {
    line: String,
    file: PathBuf,
    bytes: i64,
    /// Until the first program runs: of the whole machine, in all rounds.
    milliseconds: Vec<f64>,
    exits: u64,
    /// What the machine has of the host's memory then, in KiB.
    resident: u64,
    /// The first program has never been heard of.
    silent: bool,
}

/// Of the kernels in `RKT_BENCH_KERNELS`.
pub fn run(machines: &Machines, rounds: usize) -> Result<()> {
    let directory = env::var_os("RKT_BENCH_KERNELS").map(PathBuf::from);
    let directory =
        directory.context("RKT_BENCH_KERNELS is not set: start this with make bench BENCH=kernel")?;
    let mut kernels = read(&directory)?;
    if kernels.first().is_none_or(|kernel| kernel.line != OURS) || kernels.len() < 2 {
        bail!("{} has no kernels to compare: run guest-kernel/variants first", directory.display());
    }
    let trace = Trace::open()?;
    for kernel in &mut kernels {
        kernel.look(machines, &trace)?;
    }
    for _ in 0..rounds {
        kernels.iter_mut().filter(|kernel| !kernel.silent).try_for_each(|kernel| kernel.time(machines))?;
    }
    report(&mut kernels);
    Ok(())
}

/// Ours first.
fn read(directory: &Path) -> Result<Vec<Kernel>> {
    let entries = fs::read_dir(directory).with_context(|| format!("Cannot read {}", directory.display()))?;
    let mut kernels = Vec::new();
    for entry in entries {
        let entry = entry?;
        kernels.push(Kernel {
            line: entry.file_name().to_string_lossy().into_owned(),
            file: entry.path(),
            bytes: content(&fs::read(entry.path())?) as i64,
            milliseconds: Vec::new(),
            exits: 0,
            resident: 0,
            silent: false,
        });
    }
    kernels.sort_by_key(|kernel| (kernel.line != OURS, kernel.line.clone()));
    Ok(kernels)
}

/// How much there is in a file beside what fills it up to where the next part has to lie: a page or more of the same byte.
fn content(file: &[u8]) -> usize {
    const PAGE: usize = 4096;
    file.chunk_by(|one, next| one == next).map(<[u8]>::len).filter(|length| *length < PAGE).sum()
}

impl Kernel {
    fn command(&self, machines: &Machines) -> Command {
        machines.ours_with(&self.file)
    }

    /// What does not vary: once.
    fn look(&mut self, machines: &Machines, trace: &Trace) -> Result<()> {
        let mut resident = 0;
        let exits = trace.during(|| {
            let (_, running) = until_marker_within(self.command(machines), LIMIT)?;
            resident = footprint::resident(running.0.id())?;
            Ok(())
        });
        match exits {
            Ok(exits) => (self.exits, self.resident) = (exits.get("all").copied().unwrap_or(0), resident),
            Err(error) if self.line == OURS => return Err(error),
            Err(_) => self.silent = true,
        }
        Ok(())
    }

    fn time(&mut self, machines: &Machines) -> Result<()> {
        let (time, _running) = until_marker_within(self.command(machines), LIMIT)?;
        self.milliseconds.push(time.as_secs_f64() * 1e3);
        Ok(())
    }
}

fn report(kernels: &mut [Kernel]) {
    println!(
        "{:<44} {:>10} {:>12} {:>8} {:>8}",
        "kernel: the line turned round", "size, KiB", "memory, KiB", "exits", "ms"
    );
    let Some((ours, others)) = kernels.split_first_mut() else { return };
    let time = median(&mut ours.milliseconds);
    println!("{:<44} {:>10} {:>12} {:>8} {time:>8.0}", OURS, ours.bytes >> 10, ours.resident, ours.exits);
    for other in others {
        let size = (other.bytes - ours.bytes) / 1024;
        if other.silent {
            println!("{:<44} {size:>+10} nothing is heard of the first program", other.line);
            continue;
        }
        let memory = other.resident as i64 - ours.resident as i64;
        let exits = other.exits as i64 - ours.exits as i64;
        let time = median(&mut other.milliseconds) - time;
        println!("{:<44} {size:>+10} {memory:>+12} {exits:>+8} {time:>+8.0}", other.line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fills_a_file_up_is_not_counted() {
        let file = [&[1, 2, 3], [0xcc; 8192].as_slice(), &[4], [0; 100].as_slice()].concat();
        assert_eq!(content(&file), 104);
    }
}
