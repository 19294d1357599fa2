//! `rkt app`: apps of pods that run, one by one.

mod add;
mod exec;
mod list;
mod rm;
mod sandbox;
mod start;
mod status;
mod stop;

use super::{Entry, GlobalFlags, Verb, running, uuid_arg::PodArg};
use crate::log;
use crate::pod::{ChangingPod, Pods};

/// `rkt app`.
pub const GROUP: Entry = Entry::Group {
    name: "app",
    about: "Add, start, stop and remove apps of a running pod",
    verbs: &[
        &add::VERB,
        &exec::VERB,
        &list::VERB,
        &rm::VERB,
        &sandbox::VERB,
        &start::VERB,
        &status::VERB,
        &stop::VERB,
    ],
};

/// The status of failures of this family (reference §1.1).
const FAILED: u8 = 1;
/// The status of `app stop` when the app does not run.
const NOT_RUNNING: u8 = 5;

/// Flags of commands about one app.
#[derive(Debug, clap::Args)]
pub struct OneApp {
    /// The app; can be left out if the pod has one
    #[arg(long, value_name = "NAME")]
    app: Option<String>,

    #[command(flatten)]
    pod: PodArg,
}

impl OneApp {
    /// The running, mutable pod, locked against other changes, its process, and the app.
    fn in_changeable(&self, global: &GlobalFlags, verb: &Verb) -> anyhow::Result<(ChangingPod, i32, String)> {
        let pods = Pods::new(&global.data_dir()?);
        let pod = self.pod.find(&pods)?;
        let (pod, pid) = running::changeable(pod)?;
        let app = running::app(&pod, self.app.as_deref(), &format!("app {}", verb.name))?;
        Ok((pod, pid, app))
    }
}

/// Ends with the status that failures of this family have; wrong usage has that of every command.
fn family(verb: &Verb, result: anyhow::Result<u8>) -> anyhow::Result<u8> {
    match result {
        Err(error) if !error.is::<clap::Error>() => {
            log::error(verb.name, &error);
            Ok(FAILED)
        }
        other => other,
    }
}
