//! `rkt app start`.

use super::{OneApp, family};
use crate::cli::running::{call_for_app, expect_success};
use crate::cli::{GlobalFlags, Verb, parse};
use crate::stage1::Entrypoint;

/// `rkt app start`.
pub const VERB: Verb = Verb {
    name: "start",
    about: "Start an app of a running pod",
    privileged: true,
    command: || parse::command::<OneApp>("app start", VERB.about).after_help(EXAMPLES),
    run,
};

const EXAMPLES: &str = "\
Returns when the app's program is executed; when it cannot be, says why. An app that has ended can be started again.

Examples:
  rkt app start --app=web 6b2c";

fn run(words: &[String]) -> anyhow::Result<u8> {
    let parsed = parse::parse::<OneApp>((VERB.command)(), words)?;
    family(&VERB, start(&parsed.global, &parsed.own))
}

fn start(global: &GlobalFlags, flags: &OneApp) -> anyhow::Result<u8> {
    let (pod, pid, app) = flags.in_changeable(global, &VERB)?;
    expect_success(call_for_app(&pod, pid, global, Entrypoint::AppStart, &app)?, Entrypoint::AppStart)?;
    Ok(0)
}
