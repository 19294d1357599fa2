//! The thread that finds out what is watched. It may have to wait for a file system that an app serves, for ever.

use std::collections::HashSet;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use super::Bell;
use super::answer::Answer;
use super::call::Call;
use super::handle::Handle;
use super::nodes::Found;
use super::scan::scan;
use super::volumes::Volumes;

/// What it is asked.
#[derive(Debug)]
pub enum Question {
    /// Which file of a volume a call is about.
    Which(Call),
    /// What is watched now, besides these nodes.
    All {
        /// What is known.
        known: HashSet<u64>,
        /// Whether apps may have come and gone.
        refresh: bool,
    },
}

/// Answers questions, one after the other.
pub fn run(questions: &Receiver<Question>, answers: &Sender<Answer>, bell: &Arc<Bell>) {
    let mut volumes = Volumes::default();
    for question in questions {
        let answer = match question {
            Question::Which(call) => {
                let found = call.open().ok().and_then(|file| of_volume(&file, &mut volumes));
                Answer::Which { call: call.id, found }
            }
            Question::All { known, refresh } => {
                if refresh {
                    volumes.refresh();
                }
                all(&known, &mut volumes)
            }
        };
        if answers.send(answer).is_err() {
            return;
        }
        bell.ring();
    }
}

/// While the file is open, its handle can be opened.
fn of_volume(file: &OwnedFd, volumes: &mut Volumes) -> Option<Found> {
    let handle = Handle::of(file.as_fd()).ok()?;
    let device = File::from(file.try_clone().ok()?).metadata().ok()?.dev();
    volumes.find(device, handle)
}

fn all(known: &HashSet<u64>, volumes: &mut Volumes) -> Answer {
    let mut watched = HashSet::new();
    let mut new = Vec::new();
    for file in scan() {
        let node = file.handle.node;
        if volumes.root(file.device).is_some() && watched.insert(node) && !known.contains(&node) {
            new.extend(volumes.find(file.device, file.handle));
        }
    }
    Answer::All { watched, new }
}
