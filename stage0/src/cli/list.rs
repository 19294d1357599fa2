//! `rkt list` (reference §1.4).

pub mod record;
pub mod text;

use super::listing::ListFlags;
use super::{Verb, output, parse};
use crate::pod::{Place, Pod, PodError, Pods};

/// `rkt list`.
pub const VERB: Verb = Verb {
    name: "list",
    about: "List pods",
    privileged: false,
    command: || parse::command::<List>("list", VERB.about),
    run,
};

/// Flags of `rkt list`.
#[derive(Debug, clap::Args)]
pub struct List {
    #[command(flatten)]
    shown: ListFlags,
}

fn run(words: &[String]) -> anyhow::Result<u8> {
    let parsed = parse::parse::<List>((VERB.command)(), words)?;
    let flags = parsed.own.shown;
    let (pods, errors) = all(&Pods::new(&parsed.global.data_dir()?))?;
    flags.print(|| text::table(&pods, flags.full, !flags.no_legend), || record::records(&pods))?;
    report(&errors);
    Ok(0)
}

/// Every pod, sorted by UUID, and what could not be read.
fn all(pods: &Pods) -> anyhow::Result<(Vec<record::Listed>, Vec<anyhow::Error>)> {
    let (mut listed, mut errors) = (Vec::new(), Vec::new());
    for place in Place::ALL {
        for uuid in pods.list(place)? {
            match pods.open_in(place, uuid) {
                // It moved meanwhile: it is listed where it went, or it is gone.
                Ok(None) => {}
                Ok(Some(pod)) => match record::Listed::new(&pod) {
                    Ok(pod) => listed.push(pod),
                    Err(error) => errors.push(describe(&pod, error)),
                },
                Err(error) => errors.push(error.into()),
            }
        }
    }
    listed.sort_by_key(|pod| pod.uuid);
    listed.dedup_by_key(|pod| pod.uuid);
    Ok((listed, errors))
}

fn describe(pod: &Pod, error: PodError) -> anyhow::Error {
    anyhow::Error::new(error).context(format!("Cannot list pod \"{}\"", pod.uuid()))
}

fn report(errors: &[anyhow::Error]) {
    if errors.is_empty() {
        return;
    }
    output::error_line(format_args!("list: {} error(s) encountered when listing pods:", errors.len()));
    for error in errors {
        output::error_line(format_args!("list: ----------------------------------------\nlist: {error:#}"));
    }
}
