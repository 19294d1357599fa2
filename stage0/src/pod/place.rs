//! Places and states of pods (reference §4.2).

use std::fmt;

/// A directory below `pods/` that pods are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Just made, not yet locked by its maker.
    Embryo,
    /// Its images are being prepared.
    Prepare,
    /// Waits for `run-prepared`.
    Prepared,
    /// Runs or has run.
    Run,
    /// Has run, and waits for its grace period to pass.
    ExitedGarbage,
    /// Never ran, and can go.
    Garbage,
}

impl Place {
    /// Every place, in the order in which pods go through them: who looks in this order misses none that moves.
    pub const ALL: [Self; 6] =
        [Self::Embryo, Self::Prepare, Self::Prepared, Self::Run, Self::ExitedGarbage, Self::Garbage];

    /// Where UUIDs given by users are looked for, in that order, too.
    pub const SEARCHED: [Self; 4] = [Self::Prepare, Self::Prepared, Self::Run, Self::ExitedGarbage];

    /// Whether a pod there is still one after a crash: what was in preparation is garbage then.
    pub fn outlives_crashes(self) -> bool {
        !matches!(self, Self::Embryo | Self::Prepare)
    }

    /// The directory's name.
    pub fn dir_name(self) -> &'static str {
        match self {
            Self::Embryo => "embryo",
            Self::Prepare => "prepare",
            Self::Prepared => "prepared",
            Self::Run => "run",
            Self::ExitedGarbage => "exited-garbage",
            Self::Garbage => "garbage",
        }
    }
}

/// What a pod is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Just made.
    Embryo,
    /// Images are being prepared.
    Preparing,
    /// Preparation ended without success.
    AbortedPrepare,
    /// Ready to run.
    Prepared,
    /// Running.
    Running,
    /// No longer running.
    Exited,
    /// Has run and is being deleted.
    ExitedDeleting,
    /// Has run and will be deleted.
    ExitedGarbage,
    /// Never ran and is being deleted.
    Deleting,
    /// Never ran and will be deleted.
    Garbage,
}

impl State {
    /// The state of a pod in `place` that is `locked` or not.
    pub fn of(place: Place, locked: bool) -> Self {
        match (place, locked) {
            (Place::Embryo, _) => Self::Embryo,
            (Place::Prepare, true) => Self::Preparing,
            (Place::Prepare, false) => Self::AbortedPrepare,
            (Place::Prepared, _) => Self::Prepared,
            (Place::Run, true) => Self::Running,
            (Place::Run, false) => Self::Exited,
            (Place::ExitedGarbage, true) => Self::ExitedDeleting,
            (Place::ExitedGarbage, false) => Self::ExitedGarbage,
            (Place::Garbage, true) => Self::Deleting,
            (Place::Garbage, false) => Self::Garbage,
        }
    }

    /// The words users see.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Embryo => "embryo",
            Self::Preparing => "preparing",
            Self::AbortedPrepare => "aborted prepare",
            Self::Prepared => "prepared",
            Self::Running => "running",
            Self::Exited => "exited",
            Self::ExitedDeleting => "exited deleting",
            Self::ExitedGarbage => "exited garbage",
            Self::Deleting => "deleting",
            Self::Garbage => "garbage",
        }
    }

    /// Whether the pod has run and does not any more.
    pub fn is_after_run(self) -> bool {
        matches!(self, Self::Exited | Self::ExitedDeleting | Self::ExitedGarbage)
    }

    /// Whether the pod may still do something: `status --wait` waits for the end of this.
    pub fn is_active(self) -> bool {
        matches!(self, Self::Embryo | Self::Preparing | Self::Prepared | Self::Running)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_tells_states_of_one_place_apart() {
        let table = [
            (Place::Embryo, "embryo", "embryo"),
            (Place::Prepare, "preparing", "aborted prepare"),
            (Place::Prepared, "prepared", "prepared"),
            (Place::Run, "running", "exited"),
            (Place::ExitedGarbage, "exited deleting", "exited garbage"),
            (Place::Garbage, "deleting", "garbage"),
        ];
        for (place, locked, unlocked) in table {
            assert_eq!(State::of(place, true).to_string(), locked);
            assert_eq!(State::of(place, false).to_string(), unlocked);
        }
    }
}
