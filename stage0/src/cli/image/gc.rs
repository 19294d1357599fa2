//! `rkt image gc`.

use crate::cli::output::error_line;
use crate::cli::{Verb, parse};
use crate::display::GoDuration;
use crate::pod::{Place, Pods, State};
use crate::store::{Store, now};
use crate::tree::Used;

/// `rkt image gc`.
pub const VERB: Verb = Verb {
    name: "gc",
    about: "Garbage collect local store",
    privileged: true,
    command: || parse::command::<Gc>("image gc", VERB.about),
    run,
};

/// Flags of `rkt image gc`.
#[derive(Debug, clap::Args)]
pub struct Gc {
    /// Remove images not used for so long
    #[arg(long, value_name = "DURATION", default_value = "24h", allow_hyphen_values = true)]
    grace_period: GoDuration,
}

fn run(words: &[String]) -> anyhow::Result<u8> {
    let parsed = parse::parse::<Gc>((VERB.command)(), words)?;
    let data = parsed.global.data_dir()?;
    let store = Store::open_to_make_room(&data)?;
    let _lock = store.removal_lock()?;
    let used = used(&store, &Pods::new(&data))?;
    for id in store.remove_unused_trees(&used)? {
        error_line(format_args!("gc: removed treestore {id:?}"));
    }
    let grace = parsed.own.grace_period;
    let length = i64::try_from(grace.length.as_nanos()).unwrap_or(i64::MAX);
    let oldest = now().saturating_sub(if grace.negative { -length } else { length });
    let images = store.index().images()?;
    for image in images.iter().filter(|image| image.last_used <= oldest && !used.images.contains(&image.key))
    {
        store.remove_locked(&image.key)?;
        error_line(format_args!("gc: removed image {:?}", image.key.as_str()));
    }
    store.sweep()?;
    Ok(0)
}

/// What pods need: trees as long as the pod's directory is there, images while it runs.
fn used(store: &Store, pods: &Pods) -> anyhow::Result<Used> {
    let mut used = Used::default();
    for place in Place::ALL {
        for uuid in pods.list(place)? {
            let runs = pods.open_in(place, uuid)?.is_some_and(|pod| pod.state() == State::Running);
            used.add_pod(store, &pods.path(place, uuid), runs);
        }
    }
    Ok(used)
}
