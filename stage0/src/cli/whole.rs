//! rkt as one definition, for what describes all of it: completion and manual pages.

use clap::{Arg, Command, ValueHint};

use super::pod_flags::image_command;
use super::{COMMANDS, Entry, GlobalFlags, Verb, parse};

/// What rkt is.
pub const ABOUT: &str = "rkt, the application container runner: each pod in a micro-VM";

/// rkt with all its commands.
pub fn command() -> Command {
    let rkt =
        Command::new("rkt").about(ABOUT).version(env!("CARGO_PKG_VERSION")).disable_help_subcommand(true);
    let rkt = parse::switches(<GlobalFlags as clap::Args>::augment_args(rkt));
    COMMANDS.iter().fold(rkt, |rkt, entry| rkt.subcommand(of_entry(entry)))
}

fn of_entry(entry: &Entry) -> Command {
    match entry {
        Entry::One(verb) => of_verb(verb),
        Entry::Group { name, about, verbs } => {
            let group = Command::new(*name).about(*about).disable_help_subcommand(true);
            verbs.iter().fold(group, |group, verb| group.subcommand(of_verb(verb)))
        }
    }
}

/// A command with what clap does not know of it: images, and the flags after them.
fn of_verb(verb: &Verb) -> Command {
    let command = (verb.command)().name(verb.name);
    if !matches!(verb.name, "run" | "prepare" | "add") {
        return command;
    }
    let known: Vec<String> = command.get_arguments().map(|argument| argument.get_id().to_string()).collect();
    let of_images = image_command();
    let flags = of_images.get_arguments().filter(|flag| !known.contains(&flag.get_id().to_string()));
    let image = Arg::new("IMAGE").num_args(0..).value_hint(ValueHint::AnyPath).help("The images to run");
    flags.cloned().fold(command, Command::arg).arg(image)
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_is_consistent() {
        super::command().debug_assert();
    }
}
