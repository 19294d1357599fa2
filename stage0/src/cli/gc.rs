//! `rkt gc` (reference §4.4).

use std::time::{Duration, SystemTime};

use super::collect::Collector;
use super::{GlobalFlags, Verb, parse};
use crate::display::GoDuration;
use crate::log;
use crate::pod::{Place, Pod, Pods, State};

/// `rkt gc`.
pub const VERB: Verb = Verb {
    name: "gc",
    about: "Garbage collect pods no longer in use",
    privileged: true,
    command: || parse::command::<Gc>("gc", VERB.about),
    run,
};

/// Flags of `rkt gc`.
#[derive(Debug, clap::Args)]
pub struct Gc {
    /// How long exited pods are kept
    #[arg(long, value_name = "DURATION", default_value = "30m", allow_hyphen_values = true)]
    grace_period: GoDuration,

    /// How long prepared pods wait for being run
    #[arg(long, value_name = "DURATION", default_value = "24h", allow_hyphen_values = true)]
    expire_prepared: GoDuration,

    /// Only mark pods, delete none
    #[arg(long)]
    mark_only: bool,
}

fn run(words: &[String]) -> anyhow::Result<u8> {
    let parsed = parse::parse::<Gc>((VERB.command)(), words)?;
    let (flags, global) = (parsed.own, parsed.global);
    let pods = Pods::new(&global.data_dir()?);
    mark(&pods, Place::Run, State::Exited, Place::ExitedGarbage, "moving pod")?;
    mark(&pods, Place::Prepare, State::AbortedPrepare, Place::Garbage, "moving failed prepare")?;
    // Makers that have not locked theirs yet make another.
    mark(&pods, Place::Embryo, State::Embryo, Place::Garbage, "moving abandoned embryo")?;
    if flags.mark_only {
        return Ok(0);
    }
    expire(&pods, Place::Prepared, flags.expire_prepared, "moving expired prepared pod")?;
    delete(&pods, &global, flags.grace_period)?;
    Ok(0)
}

/// The pods of a place that this process can look at.
fn pods_in(pods: &Pods, place: Place) -> anyhow::Result<Vec<Pod>> {
    let mut found = Vec::new();
    for uuid in pods.list(place)? {
        match pods.open_in(place, uuid) {
            Ok(pod) => found.extend(pod),
            Err(error) => log::error(VERB.name, &error.into()),
        }
    }
    Ok(found)
}

/// Moves the pods of one state to where they wait for their deletion.
fn mark(pods: &Pods, from: Place, state: State, to: Place, what: &str) -> anyhow::Result<()> {
    for pod in pods_in(pods, from)?.into_iter().filter(|pod| pod.state() == state) {
        move_pod(pod, to, what);
    }
    Ok(())
}

/// One pod that cannot be moved must not keep the others.
fn move_pod(pod: Pod, to: Place, what: &str) {
    let uuid = pod.uuid();
    let result = pod.try_lock().and_then(|pod| match pod {
        Some(mut pod) => {
            tracing::info!(target: "gc", "{what} \"{uuid}\" to garbage");
            pod.move_to(to)
        }
        None => Ok(()),
    });
    if let Err(error) = result {
        log::error(VERB.name, &error.into());
    }
}

/// Moves the pods that nobody has carried on with for too long.
fn expire(pods: &Pods, from: Place, after: GoDuration, what: &str) -> anyhow::Result<()> {
    for pod in pods_in(pods, from)?.into_iter().filter(|pod| is_older(pod, after)) {
        move_pod(pod, Place::Garbage, what);
    }
    Ok(())
}

/// Whether the pod came to its place more than `age` ago.
fn is_older(pod: &Pod, age: GoDuration) -> bool {
    let Some(since) = pod.in_place_since() else { return false };
    let passed = SystemTime::now().duration_since(since).unwrap_or(Duration::ZERO);
    age.negative || age.length.is_zero() || passed > age.length
}

fn delete(pods: &Pods, global: &GlobalFlags, grace_period: GoDuration) -> anyhow::Result<()> {
    let collector = Collector::new(global);
    for pod in pods_in(pods, Place::ExitedGarbage)? {
        if is_older(&pod, grace_period) {
            collect(&collector, pod);
        } else {
            tracing::info!(
                target: "gc",
                "pod \"{}\" not removed: still within grace period ({grace_period})",
                pod.uuid()
            );
        }
    }
    for pod in pods_in(pods, Place::Garbage)? {
        collect(&collector, pod);
    }
    Ok(())
}

/// Pods that other processes hold are theirs.
fn collect(collector: &Collector, pod: Pod) {
    let uuid = pod.uuid();
    let result = pod.try_lock().map_err(anyhow::Error::from).and_then(|pod| match pod {
        Some(pod) => {
            tracing::info!(target: "gc", "Garbage collecting pod \"{uuid}\"");
            collector.delete(pod)
        }
        None => Ok(()),
    });
    if let Err(error) = result {
        log::error(VERB.name, &error.context(format!("Cannot delete pod \"{uuid}\"")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn embryos_are_given_up_unless_their_makers_hold_them() {
        let dir = tempfile::tempdir().unwrap();
        let pods = Pods::new(dir.path());
        pods.ensure().unwrap();
        let uuid = uuid::Uuid::new_v4();
        std::fs::create_dir(pods.path(Place::Embryo, uuid)).unwrap();
        let collect = || mark(&pods, Place::Embryo, State::Embryo, Place::Garbage, "moving").unwrap();
        let held = pods.open(uuid).unwrap().lock().unwrap();
        collect();
        assert_eq!(pods.list(Place::Embryo).unwrap(), [uuid], "its maker holds it");
        drop(held);
        collect();
        assert_eq!(
            (pods.list(Place::Embryo).unwrap(), pods.list(Place::Garbage).unwrap()),
            (vec![], vec![uuid])
        );
    }

    #[test]
    fn makers_and_collectors_do_not_disturb_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let pods = Pods::new(dir.path());
        pods.ensure().unwrap();
        let over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(std::sync::atomic::Ordering::Relaxed) {
                    mark(&pods, Place::Embryo, State::Embryo, Place::Garbage, "moving").unwrap();
                }
            });
            let made: Vec<_> = (0..300).map(|_| pods.create()).collect();
            over.store(true, std::sync::atomic::Ordering::Relaxed);
            assert!(made.iter().all(Result::is_ok), "{made:?}");
        });
        assert_eq!(pods.list(Place::Prepare).unwrap().len(), 300);
    }
}
