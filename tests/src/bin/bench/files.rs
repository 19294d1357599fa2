//! A directory of the host in a pod (a volume), against QEMU's microvm with a virtiofsd, and against the host itself:
//! `file-load` in all of them.

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::{Context, Result};

use crate::{
    machines::Machines,
    pod::{fetch, first_instruction},
    sample::{Running, report, until},
};

/// Rounds take long.
const MOST_ROUNDS: usize = 5;
const DONE: &str = "file-load: done";
/// Of silence: 50,000 files take a machine on an emulated host minutes.
const LIMIT: Duration = Duration::from_secs(2400);

/// What `file-load` printed: names and milliseconds.
type Times = Vec<(String, f64)>;
type Load<'a> = Box<dyn Fn(&Path) -> Result<Times> + 'a>;

pub fn run(machines: &Machines, rounds: usize) -> Result<()> {
    let shared = machines.data.join("shared");
    fs::create_dir_all(&shared)?;
    let mut contenders: Vec<(&str, Load<'_>)> = Vec::new();
    for build in machines.builds() {
        fetch(build)?;
        contenders.push((build.name(), Box::new(move |shared| pod(build, shared))));
    }
    match machines.virtiofsd() {
        Some(server) => {
            let load = move |shared: &Path| qemu(machines, &server, shared);
            contenders.push(("QEMU microvm + virtiofsd", Box::new(load)));
        }
        None => println!("files: there is no virtiofsd to compare with"),
    }
    contenders.push(("the host itself", Box::new(|shared| host(machines, shared))));
    let mut samples: Vec<Vec<Times>> = contenders.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds.min(MOST_ROUNDS) {
        for (samples, (name, load)) in samples.iter_mut().zip(&contenders) {
            samples.push(load(&shared).with_context(|| (*name).to_owned())?);
        }
    }
    let Some((ours, others)) = samples.split_first() else { return Ok(()) };
    for (index, (what, _)) in ours[0].iter().enumerate() {
        for (theirs, (name, _)) in others.iter().zip(&contenders[1..]) {
            let of = |samples: &[Times]| samples.iter().map(|times| times[index].1).collect::<Vec<_>>();
            report(&format!("files: {what}"), "ms", &mut of(ours), name, &mut of(theirs));
        }
    }
    Ok(())
}

/// How many small files there are (`tests/bench/run`).
fn files() -> Result<String> {
    std::env::var("RKT_BENCH_FILES").context("RKT_BENCH_FILES is not set")
}

fn pod(machines: &Machines, shared: &Path) -> Result<Times> {
    let volume = format!("--volume=shared,kind=host,source={}", shared.display());
    let words = [&volume, "--mount=volume=shared,target=/mnt", "--exec=/file-load", "--", "/mnt", &files()?];
    load(first_instruction(machines, "none", &words))
}

fn qemu(machines: &Machines, server: &Path, shared: &Path) -> Result<Times> {
    let socket = machines.data.join("virtiofsd");
    let mut command = Command::new(server);
    command.arg("--socket-path").arg(&socket).arg("--shared-dir").arg(shared);
    command.args(["--sandbox=chroot", "--log-level=error"]);
    let _server = Running(command.spawn().context("Cannot start virtiofsd")?);
    while !socket.exists() {
        std::thread::yield_now();
    }
    load(machines.qemu_with_files(&socket))
}

fn host(machines: &Machines, shared: &Path) -> Result<Times> {
    let mut command = Command::new(machines.file_load());
    command.arg(shared).arg(files()?);
    load(command)
}

fn load(command: Command) -> Result<Times> {
    let (_, _running, output) = until(command, DONE, LIMIT)?;
    let times = output.lines().filter_map(|line| {
        let (name, time) = line.trim().split_once(' ')?;
        Some((name.to_owned(), time.parse().ok()?))
    });
    Ok(times.collect())
}
