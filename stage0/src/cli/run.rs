//! `rkt run`.

use std::path::PathBuf;

use anyhow::Context as _;

use super::Verb;
use super::pod_flags::{PrepareFlags, RunningFlags, grammar_command, parse_words};
use super::prepare::Wish;
use crate::launch;
use crate::net::NetList;
use crate::pod::LockedPod;
use crate::store::Store;

/// `rkt run`.
pub const VERB: Verb = Verb {
    name: "run",
    about: "Run image(s) in a pod",
    privileged: true,
    command: || grammar_command::<Run>("run", VERB.about),
    run,
};

/// Flags of `rkt run`.
#[derive(Debug, clap::Args)]
pub struct Run {
    #[command(flatten)]
    prepare: PrepareFlags,

    #[command(flatten)]
    running: RunningFlags,

    /// Write the UUID to this file as soon as the pod exists
    #[arg(long, value_name = "FILE")]
    uuid_file_save: Option<PathBuf>,
}

fn run(words: &[String]) -> anyhow::Result<u8> {
    let (parsed, images) = parse_words::<Run>((VERB.command)(), words)?;
    let (flags, global) = (parsed.own, parsed.global);
    flags.prepare.check(&images)?;
    check_ports(!flags.prepare.port.is_empty(), &flags.running.net_list()?)?;
    let running = flags.running.running(&global)?;
    let data_dir = global.data_dir()?;
    let store = Store::open(&data_dir)?;
    let wish = Wish { flags: &flags.prepare, images: &images, interactive: flags.running.interactive };
    let pod = wish.prepare(&global, &store, |pod| save_uuid(pod, flags.uuid_file_save.as_ref()))?;
    // Returns only if the pod cannot be started.
    Err(running.with_pod(pod.uuid(), |start| launch::start(pod, store, start))?.into())
}

/// Ports need a network.
pub fn check_ports(wanted: bool, net: &NetList) -> anyhow::Result<()> {
    if wanted {
        anyhow::ensure!(!net.is_host(), "--port flag does not work with 'host' networking");
        anyhow::ensure!(!net.is_none(), "--port flag does not work with 'none' networking");
    }
    Ok(())
}

/// Writes the UUID of a pod where the user wants it.
pub fn save_uuid(pod: &LockedPod, file: Option<&PathBuf>) -> anyhow::Result<()> {
    let Some(file) = file else { return Ok(()) };
    std::fs::write(file, pod.uuid().to_string())
        .with_context(|| format!("error saving pod UUID to file \"{}\"", file.display()))
}
