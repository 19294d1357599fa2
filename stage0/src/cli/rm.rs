//! `rkt rm`.

use super::collect::Collector;
use super::{
    FAILURE, Verb, output, parse,
    uuid_arg::{self, PodArgs},
};
use crate::log;
use crate::pod::{LockedPod, Place, Pod, Pods, State};

/// `rkt rm`.
pub const VERB: Verb = Verb {
    name: "rm",
    about: "Remove all files and resources associated with exited pods",
    privileged: true,
    command: || parse::command::<Rm>("rm", VERB.about),
    run,
};

/// Flags of `rkt rm`.
#[derive(Debug, clap::Args)]
pub struct Rm {
    #[command(flatten)]
    pods: PodArgs,
}

fn run(words: &[String]) -> anyhow::Result<u8> {
    let parsed = parse::parse::<Rm>((VERB.command)(), words)?;
    let flags = parsed.own;
    let uuids = flags.pods.prefixes()?;
    let pods = Pods::new(&parsed.global.data_dir()?);
    let collector = Collector::new(&parsed.global);
    let mut failed = false;
    for prefix in &uuids {
        let removed = uuid_arg::find(&pods, prefix).and_then(|pod| remove(&collector, pod));
        if let Err(error) = removed {
            failed = true;
            log::error(VERB.name, &error);
        }
    }
    if failed {
        output::error_line(format_args!("rm: failed to remove one or more pods"));
        return Ok(FAILURE);
    }
    Ok(0)
}

fn remove(collector: &Collector, pod: Pod) -> anyhow::Result<()> {
    let uuid = pod.uuid();
    let pod = match pod.state() {
        State::Running => anyhow::bail!("pod \"{uuid}\" is currently running"),
        State::Embryo | State::Preparing => anyhow::bail!("pod \"{uuid}\" is currently being prepared"),
        State::Deleting | State::ExitedDeleting => anyhow::bail!("pod \"{uuid}\" is currently being deleted"),
        State::AbortedPrepare | State::Prepared => moved(pod, Place::Garbage)?,
        State::Exited => moved(pod, Place::ExitedGarbage)?,
        State::ExitedGarbage | State::Garbage => pod.lock()?,
    };
    collector.delete(pod)?;
    output::print_line(format_args!("\"{uuid}\""));
    Ok(())
}

fn moved(pod: Pod, place: Place) -> anyhow::Result<LockedPod> {
    let mut pod = pod.lock()?;
    pod.move_to(place)?;
    Ok(pod)
}
