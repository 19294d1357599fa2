//! What a command is to the dispatcher.

/// A command of its own or a group of them.
#[derive(Debug, Clone, Copy)]
pub enum Entry {
    /// `rkt NAME`.
    One(&'static Verb),
    /// `rkt GROUP NAME`.
    Group {
        /// The group's name.
        name: &'static str,
        /// One line for help.
        about: &'static str,
        /// The group's commands.
        verbs: &'static [&'static Verb],
    },
}

/// A command.
#[derive(Debug)]
pub struct Verb {
    /// The word that names it.
    pub name: &'static str,
    /// One line for help.
    pub about: &'static str,
    /// Whether only root may run it.
    pub privileged: bool,
    /// Its flags and arguments, for help and completion.
    pub command: fn() -> clap::Command,
    /// Runs it with the words besides its name and returns rkt's exit status.
    pub run: fn(&[String]) -> anyhow::Result<u8>,
}

impl Entry {
    /// The word that names the command or the group.
    pub fn name(&self) -> &'static str {
        match self {
            Self::One(verb) => verb.name,
            Self::Group { name, .. } => name,
        }
    }

    /// One line for help.
    pub fn about(&self) -> &'static str {
        match self {
            Self::One(verb) => verb.about,
            Self::Group { about, .. } => about,
        }
    }
}
