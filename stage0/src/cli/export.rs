//! `rkt export` (reference §1.7).

use std::path::PathBuf;

use anyhow::Context as _;

use super::{Verb, parse, uuid_arg};
use crate::launch;
use crate::pod::{Pod, Pods, State};
use crate::store::{Aside, Store};

/// `rkt export`.
pub const VERB: Verb = Verb {
    name: "export",
    about: "Export an app from an exited pod to an ACI file",
    privileged: true,
    command: || parse::command::<Export>("export", VERB.about),
    run,
};

/// Flags of `rkt export`.
#[derive(Debug, clap::Args)]
pub struct Export {
    /// The app; may be left out if the pod has only one
    #[arg(long, value_name = "NAME")]
    app: Option<String>,

    /// Replace the file if it exists
    #[arg(long)]
    overwrite: bool,

    /// The pod
    #[arg(value_name = "UUID")]
    uuid: String,

    /// Where the ACI goes
    #[arg(value_name = "FILE.aci")]
    file: PathBuf,
}

fn run(words: &[String]) -> anyhow::Result<u8> {
    let parsed = parse::parse::<Export>((VERB.command)(), words)?;
    let flags = parsed.own;
    let extension = flags.file.extension().unwrap_or_default();
    anyhow::ensure!(extension == "aci", "extension must be .aci (given {:?})", flags.file);
    let data_dir = parsed.global.data_dir()?;
    let pods = Pods::new(&data_dir);
    let pod = uuid_arg::one(&pods, Some(&flags.uuid), None)?;
    let exited = matches!(pod.state(), State::Exited | State::ExitedGarbage);
    anyhow::ensure!(exited, "pod is not exited. Only exited pods can be exported");
    let app = app(&pod, flags.app)?;
    let path = std::path::absolute(&flags.file)?;
    anyhow::ensure!(flags.overwrite || !path.exists(), "target file exists (try --overwrite)");
    let dir = path.parent().with_context(|| format!("{:?} is not a file name", flags.file))?;
    let store = Store::open(&data_dir)?;
    // Nothing deletes the pod meanwhile.
    let pod = pod.lock()?;
    let cannot = || format!("Cannot write {path:?}");
    let mut file = Aside::readable(dir).with_context(cannot)?;
    launch::export(&pod, &store, &app, file.file())?;
    file.replace(&path).with_context(cannot)?;
    Ok(0)
}

/// The app that is meant.
fn app(pod: &Pod, named: Option<String>) -> anyhow::Result<String> {
    let names: Vec<String> = pod.manifest()?.apps.iter().map(|app| app.name.to_string()).collect();
    match named {
        Some(name) if names.contains(&name) => Ok(name),
        Some(name) => anyhow::bail!("the pod has no app \"{name}\", only {}", names.join(", ")),
        None => match names.as_slice() {
            [only] => Ok(only.clone()),
            [] => anyhow::bail!("the pod has no apps"),
            _ => {
                anyhow::bail!(
                    "the pod has several apps ({}): specify app using \"rkt export --app= ...\"",
                    names.join(", ")
                )
            }
        },
    }
}
