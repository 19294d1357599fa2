//! `rkt stop`.

use anyhow::Context as _;

use super::{
    FAILURE, Verb, output, parse,
    uuid_arg::{self, PodArgs},
};
use crate::log;
use crate::pod::{Pod, Pods, State};
use crate::stage1::{self, Entrypoint};

/// The status when the file with the UUID cannot be read.
const NO_UUID_FILE: u8 = 1;

/// `rkt stop`.
pub const VERB: Verb = Verb {
    name: "stop",
    about: "Stop pods",
    privileged: true,
    command: || parse::command::<Stop>("stop", VERB.about),
    run,
};

/// Flags of `rkt stop`.
#[derive(Debug, clap::Args)]
pub struct Stop {
    /// Stop without giving the apps a chance to end by themselves
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    pods: PodArgs,
}

fn run(words: &[String]) -> anyhow::Result<u8> {
    let parsed = parse::parse::<Stop>((VERB.command)(), words)?;
    let flags = parsed.own;
    let uuids = match flags.pods.prefixes() {
        Err(error) if flags.pods.are_in_file() => {
            log::error(VERB.name, &error);
            return Ok(NO_UUID_FILE);
        }
        result => result?,
    };
    let pods = Pods::new(&parsed.global.data_dir()?);
    let mut failures = 0;
    for prefix in &uuids {
        let stopped = uuid_arg::find(&pods, prefix).and_then(|pod| stop(&pod, flags.force));
        if let Err(error) = stopped {
            failures += 1;
            log::error(VERB.name, &error);
        }
    }
    if failures > 0 {
        output::error_line(format_args!("stop: failed to stop {failures} pod(s)"));
        return Ok(FAILURE);
    }
    Ok(0)
}

fn stop(pod: &Pod, force: bool) -> anyhow::Result<()> {
    let uuid = pod.uuid();
    match pod.state() {
        State::Running => {}
        state if state.is_after_run() => {
            output::error_line(format_args!("stop: pod \"{uuid}\" is already stopped"));
            return Ok(());
        }
        state => anyhow::bail!("pod \"{uuid}\" is not running: it is {state}"),
    }
    let mut arguments: Vec<String> = force.then(|| "--force".to_owned()).into_iter().collect();
    arguments.push(uuid.to_string());
    stage1::call(&pod.path(), Entrypoint::Stop, &arguments, true)
        .with_context(|| format!("error stopping \"{uuid}\""))?;
    output::print_line(format_args!("\"{uuid}\""));
    Ok(())
}
