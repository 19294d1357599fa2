//! What the apps are doing, as the kernel tells.

mod processes;
mod usage;

use std::path::Path;

use agent::protocol::{Question, Sight};

/// Answers a question of the host's.
pub fn look(question: Question) -> Sight {
    let proc = Path::new("/proc");
    match question {
        Question::Processes => processes::processes(proc),
        Question::Usage => Sight::Usage(usage::usage(proc, Path::new(crate::layout::CGROUP))),
    }
}
