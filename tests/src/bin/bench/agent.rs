//! How long the agent takes from its start until it has greeted the host, as it says itself on the console of `--debug`.

use anyhow::{Context, Result};

use crate::{
    machines::Machines,
    pod::fetch,
    sample::{LIMIT, median, until},
};

const BEFORE: &str = "rkt agent: ready ";
const AFTER: &str = " us after its start";

pub fn run(machines: &Machines, rounds: usize) -> Result<()> {
    fetch(machines)?;
    let mut samples = (0..rounds).map(|_| microseconds(machines)).collect::<Result<Vec<_>>>()?;
    let median = median(&mut samples);
    println!(
        "agent: from its start until it has greeted the host: {median:.0} us ({:.0}-{:.0}, n {rounds})",
        samples[0],
        samples[samples.len() - 1]
    );
    Ok(())
}

fn microseconds(machines: &Machines) -> Result<f64> {
    let mut command = machines.rkt();
    command.args([
        "--debug",
        "run",
        "--net=none",
        "example.com/first-instruction",
        "--cpu=1",
        "--memory=128M",
    ]);
    let (_, _running, output) = until(command, AFTER, LIMIT)?;
    let number = output.split_once(BEFORE).and_then(|(_, rest)| rest.split(' ').next());
    number.and_then(|number| number.parse().ok()).with_context(|| format!("No time in {output:?}"))
}
