//! `rkt status` (reference §1.5).

use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::list::record::{Listed, record};
use super::list::text::networks;
use super::{Verb, output, parse, uuid_arg::PodArg};
use crate::display::{Format, GoDuration, full_time, to_json, to_pretty_json};
use crate::pod::{Pod, PodError, Pods, State};

/// The status when the file with the UUID cannot be read, or the UUID cannot be found.
const NO_POD: u8 = 1;

/// How often a pod's state is looked at while waiting.
const POLL: Duration = Duration::from_millis(100);

/// `rkt status`.
pub const VERB: Verb = Verb {
    name: "status",
    about: "Check the status of a pod",
    privileged: false,
    command: || parse::command::<Status>("status", VERB.about),
    run,
};

/// Flags of `rkt status`.
#[derive(Debug, clap::Args)]
pub struct Status {
    /// Wait for the pod to end, at most this long
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_value = "false",
          default_missing_value = "true", hide_default_value = true)]
    wait: Wait,

    /// Wait for the pod's apps to have been started, at most this long
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_value = "false",
          default_missing_value = "true", hide_default_value = true)]
    wait_ready: Wait,

    /// Output for programs: json, json-pretty
    #[arg(long, value_name = "FORMAT", default_value = "", hide_default_value = true)]
    format: Format,

    #[command(flatten)]
    pod: PodArg,
}

/// How long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    No,
    AtMost(Duration),
    Forever,
}

impl FromStr for Wait {
    type Err = crate::display::InvalidDuration;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match parse::parse_bool(text) {
            Ok(false) => return Ok(Self::No),
            Ok(true) => return Ok(Self::Forever),
            Err(_) => {}
        }
        let GoDuration { negative, length } = text.parse()?;
        Ok(match (negative, length) {
            (true, _) => Self::Forever,
            (false, Duration::ZERO) => Self::No,
            (false, length) => Self::AtMost(length),
        })
    }
}

fn run(words: &[String]) -> anyhow::Result<u8> {
    let parsed = parse::parse::<Status>((VERB.command)(), words)?;
    let flags = parsed.own;
    if let Err(error) = flags.pod.check_file() {
        crate::log::error(VERB.name, &error);
        return Ok(NO_POD);
    }
    let pods = Pods::new(&parsed.global.data_dir()?);
    let mut pod = flags.pod.find(&pods)?;
    wait(&mut pod, flags.wait, |pod| Ok(!pod.state().is_active()))?;
    wait(&mut pod, flags.wait_ready, is_ready)?;
    let listed = loop {
        let listed = Listed::new(&pod);
        if !pod.has_moved()? {
            break listed?;
        }
        pod.refresh()?;
    };
    match flags.format {
        Format::Text => output::print(text(&pod, &listed)?),
        Format::Json => output::print_line(to_json(&record(&listed))?),
        Format::PrettyJson => output::print_line(to_pretty_json(&record(&listed))?),
    }
    Ok(0)
}

fn is_ready(pod: &Pod) -> Result<bool, PodError> {
    match pod.state() {
        State::Embryo | State::Preparing | State::Prepared => Ok(false),
        State::Running => Ok(pod.is_ready()),
        _ => Err(PodError::NotRunning(pod.uuid())),
    }
}

fn wait(pod: &mut Pod, wait: Wait, done: impl Fn(&Pod) -> Result<bool, PodError>) -> anyhow::Result<()> {
    let deadline = match wait {
        Wait::No => return Ok(()),
        Wait::AtMost(length) => Instant::now().checked_add(length),
        Wait::Forever => None,
    };
    while !done(pod)? {
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(anyhow::anyhow!("context deadline exceeded"))
                .with_context(|| format!("error waiting for pod \"{}\"", pod.uuid()));
        }
        std::thread::sleep(POLL);
        pod.refresh()?;
    }
    Ok(())
}

fn text(pod: &Pod, listed: &Listed) -> Result<String, PodError> {
    let mut lines = vec![format!("state={}", listed.state)];
    lines.extend(listed.created.map(|time| format!("created={}", full_time(time))));
    lines.extend(listed.started.map(|time| format!("started={}", full_time(time))));
    if matches!(listed.state, State::Running | State::Exited) {
        lines.push(format!("networks={}", networks(&listed.networks)));
    }
    let running = listed.state == State::Running;
    if running || listed.state.is_after_run() || listed.state == State::Deleting {
        lines.extend(pod.pid()?.map(|pid| format!("pid={pid}")));
        lines.push(format!("exited={}", !running));
        for app in &listed.apps {
            let name = &app.app.name;
            lines.extend(app.oom_kills().map(|kills| format!("oom-killed-{name}={kills}")));
            lines.extend(app.health().map(|health| format!("health-{name}={}", health.status)));
        }
    }
    if listed.state.is_after_run() {
        let status =
            |app: &super::list::record::ListedApp| Some(format!("app-{}={}", app.app.name, app.status?.code));
        lines.extend(listed.apps.iter().filter_map(status));
    }
    lines.push(String::new());
    Ok(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_switches_or_durations() {
        for (text, wait) in [
            ("true", Wait::Forever),
            ("false", Wait::No),
            ("0", Wait::No),
            ("0s", Wait::No),
            ("-1s", Wait::Forever),
            ("100ms", Wait::AtMost(Duration::from_millis(100))),
        ] {
            assert_eq!(text.parse(), Ok(wait), "{text}");
        }
        assert!("soon".parse::<Wait>().is_err());
    }
}
