//! What the commands share that are about an app of a running pod.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::Context as _;
use serde::de::DeserializeOwned;

use super::list::record::is_mutable;
use super::{GlobalFlags, output};
use crate::pod::{ChangingPod, Pod, State};
use crate::stage1::{self, Entrypoint, Stage1};
use crate::store::Dirs;
use crate::tree::Tree;

/// How often a pod is looked at that has just been started.
const POLL: Duration = Duration::from_millis(100);

/// The pod once stage1 has said which process it is.
pub fn started(mut pod: Pod) -> anyhow::Result<(Pod, i32)> {
    loop {
        let uuid = pod.uuid();
        anyhow::ensure!(pod.state() == State::Running, "pod \"{uuid}\" isn't currently running");
        if let Some(pid) = pod.pid()? {
            return Ok((pod, pid));
        }
        std::thread::sleep(POLL);
        pod.refresh()?;
    }
}

/// The app that the command `verb` is about: the one that is named, or the only one.
pub fn app(pod: &Pod, wanted: Option<&str>, verb: &str) -> anyhow::Result<String> {
    let apps: Vec<String> = pod.manifest()?.apps.iter().map(|app| app.name.to_string()).collect();
    match (wanted, apps.as_slice()) {
        (Some(name), apps) if apps.iter().any(|app| app == name) => Ok(name.to_owned()),
        (Some(name), apps) => {
            anyhow::bail!("pod \"{}\" has no app \"{name}\" (there are: {})", pod.uuid(), apps.join(", "))
        }
        (None, [app]) => Ok(app.clone()),
        (None, []) => anyhow::bail!("unable to determine app name: pod contains zero apps"),
        (None, several) => {
            output::error_line(format_args!(
                "{verb}: pod contains multiple apps:\n\t{}",
                several.join("\n\t")
            ));
            anyhow::bail!("unable to determine app name: specify app using \"rkt {verb} --app= ...\"")
        }
    }
}

/// A pod that runs and whose apps can be changed, locked against others who change them.
pub fn changeable(pod: Pod) -> anyhow::Result<(ChangingPod, i32)> {
    let (pod, pid) = started(pod)?;
    let pod = pod.lock_changes()?;
    anyhow::ensure!(
        is_mutable(&pod.manifest()?),
        "pod \"{}\" is immutable: apps can be added to and removed from pods of \"rkt app sandbox\"",
        pod.uuid()
    );
    Ok((pod, pid))
}

/// Calls an entrypoint of stage1 about one app of a running pod; its exit status is for the caller to judge.
pub fn call_for_app(
    pod: &Pod,
    pid: i32,
    global: &GlobalFlags,
    entrypoint: Entrypoint,
    app: &str,
) -> anyhow::Result<ExitStatus> {
    let data_dir = global.data_dir()?;
    let mut arguments = vec![format!("--debug={}", global.debug)];
    if entrypoint == Entrypoint::AppAdd {
        arguments.push(format!("--uuid={}", pod.uuid()));
    }
    arguments.push(format!("--app={app}"));
    let enter = program(pod, &data_dir, Entrypoint::Enter)?;
    let program = program(pod, &data_dir, entrypoint)?;
    Ok(stage1::call_for_app(program, &enter, pid, (&pod.path(), app), &arguments)?)
}

/// What stage1 answers, as JSON, about a running pod.
pub fn ask<T: DeserializeOwned>(
    pod: &Pod,
    global: &GlobalFlags,
    entrypoint: Entrypoint,
) -> anyhow::Result<T> {
    let program = program(pod, &global.data_dir()?, entrypoint)?;
    let mut arguments: Vec<String> = global.debug.then(|| "--debug".to_owned()).into_iter().collect();
    arguments.push(pod.uuid().to_string());
    let answer = stage1::ask(program, &pod.path(), entrypoint, &arguments)?;
    serde_json::from_slice(&answer)
        .with_context(|| format!("Cannot use the answer of stage1's {} entrypoint", entrypoint.name()))
}

/// Fails unless stage1, which has said why, did what it was called for.
pub fn expect_success(status: ExitStatus, entrypoint: Entrypoint) -> anyhow::Result<()> {
    anyhow::ensure!(status.success(), "stage1's {} entrypoint failed: {status}", entrypoint.name());
    Ok(())
}

/// stage1's program for an entrypoint: the one in the tree store, which no pod can have changed.
pub fn program(pod: &Pod, data_dir: &Path, entrypoint: Entrypoint) -> anyhow::Result<PathBuf> {
    let stage1 = Stage1::of_pod(&pod.path())?;
    let entrypoint = stage1.entrypoint(entrypoint)?;
    let id = pod.stage1_tree().context("pod does not say which stage1 it was started with")?;
    let tree = Tree::find(&Dirs::new(data_dir), &id)?
        .with_context(|| format!("stage1 \"{id}\" is not in the tree store any more"))?;
    let found = tree.lowers().iter().map(|lower| lower.join(entrypoint)).find(|program| program.exists());
    found.with_context(|| format!("stage1 \"{id}\" has no \"/{}\"", entrypoint.display()))
}
