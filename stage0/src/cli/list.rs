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
                Ok(Some(pod)) => match (record::Listed::new(&pod), pod.has_moved()) {
                    (_, Ok(true)) => {}
                    (Ok(pod), _) => listed.push(pod),
                    (Err(error), _) => errors.push(describe(&pod, error)),
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::pod::State;

    /// Looks at the only pod, again and again, until somebody has moved it on.
    fn look(pods: &Pods, uuid: uuid::Uuid, started: &mpsc::Sender<()>) {
        loop {
            let (listed, errors) = all(pods).unwrap();
            assert!(errors.is_empty(), "{errors:?}");
            let [found] = listed.as_slice() else { panic!("{listed:?}") };
            assert_eq!((found.uuid, pods.find(&uuid.to_string()).unwrap()), (uuid, uuid));
            if found.state == State::Exited || started.send(()).is_err() {
                return;
            }
        }
    }

    #[test]
    fn a_crash_in_the_preparation_leaves_a_pod_that_can_be_listed() {
        let dir = tempfile::tempdir().unwrap();
        let pods = Pods::new(dir.path());
        let pod = pods.create().unwrap();
        pod.write("pod", b"").unwrap();
        let uuid = pod.uuid();
        drop(pod);
        let listed = || record::Listed::new(&pods.open(uuid).unwrap());
        assert_eq!(listed().unwrap().state, State::AbortedPrepare);
        // One that could run must have a manifest.
        pods.open(uuid).unwrap().lock().unwrap().move_to(Place::Prepared).unwrap();
        assert!(listed().is_err());
    }

    #[test]
    fn a_pod_that_moves_is_neither_missed_nor_damaged_nor_held_up() {
        for _ in 0..300 {
            // In memory, where moving is as quick as looking.
            let dir = tempfile::tempdir_in("/dev/shm").unwrap();
            let pods = Pods::new(dir.path());
            let mut pod = pods.create().unwrap();
            pod.write_manifest(&appc::PodManifest::default()).unwrap();
            pod.move_to(Place::Prepared).unwrap();
            let uuid = pod.uuid();
            drop(pod);
            let (starts, started) = mpsc::channel();
            std::thread::scope(|scope| {
                let pods = &pods;
                scope.spawn(move || look(pods, uuid, &starts));
                // Dropped when this fails: nobody looks for ever.
                let started = started;
                started.recv().unwrap();
                pods.open(uuid).unwrap().lock().unwrap().move_to(Place::Run).unwrap();
            });
        }
    }
}
