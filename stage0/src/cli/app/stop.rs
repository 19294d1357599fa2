//! `rkt app stop`.

use super::{NOT_RUNNING, OneApp, family};
use crate::cli::running::{call_for_app, expect_success};
use crate::cli::{GlobalFlags, Verb, output, parse};
use crate::stage1::Entrypoint;

/// `rkt app stop`.
pub const VERB: Verb = Verb {
    name: "stop",
    about: "Stop an app of a running pod",
    privileged: true,
    command: || parse::command::<OneApp>("app stop", VERB.about).after_help(EXAMPLES),
    run,
};

const EXAMPLES: &str = "\
The app gets SIGTERM, or the signal its image wants, and after 10 s SIGKILL. Returns when it has ended. The exit status is 5 if
it was not running.

Examples:
  rkt app stop --app=web 6b2c";

fn run(words: &[String]) -> anyhow::Result<u8> {
    let parsed = parse::parse::<OneApp>((VERB.command)(), words)?;
    family(&VERB, stop(&parsed.global, &parsed.own))
}

fn stop(global: &GlobalFlags, flags: &OneApp) -> anyhow::Result<u8> {
    let (pod, pid, app) = flags.in_changeable(global, &VERB)?;
    let status = call_for_app(&pod, pid, global, Entrypoint::AppStop, &app)?;
    if status.code() == Some(NOT_RUNNING.into()) {
        output::error_line(format_args!("stop: app \"{app}\" is not running"));
        return Ok(NOT_RUNNING);
    }
    expect_success(status, Entrypoint::AppStop)?;
    Ok(0)
}
