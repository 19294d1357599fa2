//! `rkt stats`.

mod sample;
mod text;

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use uuid::Uuid;

use self::sample::{Record, Sample};
use super::{
    FAILURE, GlobalFlags, Verb, output, parse, running,
    uuid_arg::{self, PodArgs},
};
use crate::display::{Format, GoDuration, to_json, to_pretty_json};
use crate::log;
use crate::pod::{Place, Pod, Pods, State};
use crate::stage1::Entrypoint;

/// What clears a terminal: to its top left corner, and nothing from there on (ECMA-48).
const CLEAR: &str = "\x1b[H\x1b[J";

/// How long a pod that does not answer may take to be gone, and how often that is looked at.
const ENDING: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(50);

/// `rkt stats`.
pub const VERB: Verb = Verb {
    name: "stats",
    about: "Show what running pods and their apps use",
    privileged: true,
    command: || parse::command::<Stats>("stats", VERB.about).after_help(EXAMPLES),
    run,
};

const EXAMPLES: &str = "\
Without a UUID all running pods are shown, until Ctrl-C or until none is left; --no-stream shows them once. A pod's own line is
what its process costs the host, the machine's memory and CPU time included; the lines of its apps are what these use in the
machine. Shares of CPU are of one CPU, over the interval. Network and disk are counted for the pod as a whole, since its start.

Examples:
  rkt stats
  rkt stats --no-stream --format=json 6b2c";

/// Flags of `rkt stats`.
#[derive(Debug, clap::Args)]
pub struct Stats {
    /// Show once, and end
    #[arg(long)]
    no_stream: bool,

    /// How long one measurement takes
    #[arg(long, value_name = "DURATION", default_value = "1s")]
    interval: GoDuration,

    /// Suppress the line with the columns' names
    #[arg(long)]
    no_legend: bool,

    /// Output for programs: json, a line each time; json-pretty
    #[arg(long, value_name = "FORMAT", default_value = "")]
    format: Format,

    #[command(flatten)]
    pods: PodArgs,
}

fn run(words: &[String]) -> anyhow::Result<u8> {
    let parsed = parse::parse::<Stats>((VERB.command)(), words)?;
    let (flags, global) = (parsed.own, parsed.global);
    anyhow::ensure!(!flags.interval.negative, "--interval must not be negative");
    let pods = Pods::new(&global.data_dir()?);
    let wanted = wanted(&pods, &flags)?;
    let mut before = samples(&pods, &wanted, &global)?;
    let mut shown = false;
    loop {
        std::thread::sleep(flags.interval.length.max(Duration::from_millis(1)));
        let now = samples(&pods, &wanted, &global)?;
        let records: Vec<_> =
            now.iter().map(|(uuid, now)| Record::new(*uuid, before_of(&before, *uuid), now)).collect();
        if records.is_empty() && shown {
            return Ok(0);
        }
        let unread = output::show(as_shown(&flags, &records)?).is_err();
        if unread || flags.no_stream || records.is_empty() {
            return Ok(if records.is_empty() && !wanted.is_empty() { FAILURE } else { 0 });
        }
        (before, shown) = (now, true);
    }
}

fn before_of(before: &[(Uuid, Sample)], uuid: Uuid) -> Option<&Sample> {
    before.iter().find(|(other, _)| *other == uuid).map(|(_, sample)| sample)
}

/// The pods that are named; they must run. None means all.
fn wanted(pods: &Pods, flags: &Stats) -> anyhow::Result<Vec<Uuid>> {
    if flags.pods.are_none() {
        return Ok(Vec::new());
    }
    let prefixes = flags.pods.prefixes()?;
    let named = prefixes.iter().map(|prefix| {
        let (pod, _) = running::started(uuid_arg::find(pods, prefix)?)?;
        Ok(pod.uuid())
    });
    named.collect()
}

/// Measures the pods that run. One that cannot be measured is reported, unless it has just ended.
fn samples(pods: &Pods, wanted: &[Uuid], global: &GlobalFlags) -> anyhow::Result<Vec<(Uuid, Sample)>> {
    let uuids = if wanted.is_empty() { pods.list(Place::Run)? } else { wanted.to_vec() };
    let mut samples = Vec::new();
    for uuid in uuids {
        let pod = pods.open_in(Place::Run, uuid)?;
        let Some(mut pod) = pod.filter(|pod| pod.state() == State::Running && has_pid(pod)) else { continue };
        match running::ask(&pod, global, Entrypoint::Stats) {
            Ok(sample) => samples.push((uuid, sample)),
            Err(_) if ends_now(&mut pod) => {}
            Err(error) if wanted.is_empty() => log::error(VERB.name, &error),
            Err(error) => return Err(error).with_context(|| format!("Cannot measure pod \"{uuid}\"")),
        }
    }
    Ok(samples)
}

/// Whether a pod that does not answer has just ended: taking its networks down is the last thing that happens in it.
fn ends_now(pod: &mut Pod) -> bool {
    let asked = Instant::now();
    while pod.refresh().is_ok() && pod.state() == State::Running {
        if asked.elapsed() > ENDING {
            return false;
        }
        std::thread::sleep(POLL);
    }
    true
}

/// Whether stage1 has begun to run it.
fn has_pid(pod: &Pod) -> bool {
    pod.pid().is_ok_and(|pid| pid.is_some())
}

fn as_shown(flags: &Stats, records: &[Record<'_>]) -> anyhow::Result<String> {
    Ok(match flags.format {
        Format::Json => to_json(&records)? + "\n",
        Format::PrettyJson => to_pretty_json(&records)? + "\n",
        Format::Text => {
            let clear = !flags.no_stream && std::io::stdout().is_terminal();
            let table = text::table(records, !flags.no_legend);
            format!("{}{table}", if clear { CLEAR } else { "" })
        }
    })
}
