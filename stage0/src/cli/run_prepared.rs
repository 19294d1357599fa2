//! `rkt run-prepared`.

use super::pod_flags::RunningFlags;
use super::{Verb, parse, uuid_arg};
use crate::launch;
use crate::pod::{Pods, State};
use crate::store::Store;

/// `rkt run-prepared`.
pub const VERB: Verb = Verb {
    name: "run-prepared",
    about: "Run a prepared application pod",
    privileged: true,
    command: || parse::command::<RunPrepared>("run-prepared", VERB.about),
    run,
};

/// Flags of `rkt run-prepared`.
#[derive(Debug, clap::Args)]
pub struct RunPrepared {
    #[command(flatten)]
    running: RunningFlags,

    /// The pod
    #[arg(value_name = "UUID")]
    uuid: String,
}

fn run(words: &[String]) -> anyhow::Result<u8> {
    let parsed = parse::parse::<RunPrepared>((VERB.command)(), words)?;
    let (flags, global) = (parsed.own, parsed.global);
    let running = flags.running.running(&global)?;
    let data_dir = global.data_dir()?;
    let pods = Pods::new(&data_dir);
    let pod = uuid_arg::one(&pods, Some(&flags.uuid), None)?;
    anyhow::ensure!(pod.state() == State::Prepared, "pod \"{}\" is not prepared", pod.uuid());
    let several = pod.manifest()?.apps.len() > 1;
    anyhow::ensure!(
        !(flags.running.interactive && several),
        "interactive option only supports pods with one app"
    );
    let store = Store::open(&data_dir)?;
    let pod = pod.lock()?;
    // Returns only if the pod cannot be started.
    Err(running.with_pod(pod.uuid(), |start| launch::start(pod, store, start))?.into())
}
