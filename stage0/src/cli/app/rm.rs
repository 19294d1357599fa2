//! `rkt app rm`.

use anyhow::Context as _;

use super::{NOT_RUNNING, OneApp, family};
use crate::cli::running::{call_for_app, expect_success};
use crate::cli::{GlobalFlags, Verb, parse};
use crate::launch::clear_app;
use crate::stage1::Entrypoint;

/// `rkt app rm`.
pub const VERB: Verb = Verb {
    name: "rm",
    about: "Remove an app from a running pod",
    privileged: true,
    command: || parse::command::<OneApp>("app rm", VERB.about).after_help(EXAMPLES),
    run,
};

const EXAMPLES: &str = "\
An app that runs is stopped first. Its files and the volumes that were its own are deleted; its log stays with the pod.

Examples:
  rkt app rm --app=web 6b2c";

fn run(words: &[String]) -> anyhow::Result<u8> {
    let parsed = parse::parse::<OneApp>((VERB.command)(), words)?;
    family(&VERB, rm(&parsed.global, &parsed.own))
}

fn rm(global: &GlobalFlags, flags: &OneApp) -> anyhow::Result<u8> {
    let (pod, pid, app) = flags.in_changeable(global, &VERB)?;
    // One that stage1 does not know, since adding it failed half-way, is removed all the same.
    if pod.app_created(&app).is_some() {
        let status = call_for_app(&pod, pid, global, Entrypoint::AppStop, &app)?;
        if status.code() != Some(NOT_RUNNING.into()) {
            expect_success(status, Entrypoint::AppStop)?;
        }
    }
    let status = call_for_app(&pod, pid, global, Entrypoint::AppRemove, &app)?;
    expect_success(status, Entrypoint::AppRemove)?;
    let mut manifest = pod.manifest()?;
    manifest.apps.retain(|other| other.name != *app);
    pod.change_manifest(&manifest)?;
    let name = app.parse().with_context(|| format!("\"{app}\" is no app's name"))?;
    clear_app(&pod, &name)?;
    Ok(0)
}
