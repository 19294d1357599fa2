//! `rkt app exec`.

use crate::cli::enter::{EXAMPLES, Enter, enter};
use crate::cli::{Verb, parse};

/// `rkt app exec`: `rkt enter` by the name it has in this family.
pub const VERB: Verb = Verb {
    name: "exec",
    about: "Run a command in an app of a running pod",
    privileged: true,
    command: || {
        parse::command::<Enter>("app exec", VERB.about)
            .override_usage("rkt app exec [OPTIONS] UUID [COMMAND [ARGUMENTS…]]")
            .after_help(EXAMPLES.replace("rkt enter", "rkt app exec"))
    },
    run,
};

fn run(words: &[String]) -> anyhow::Result<u8> {
    enter(&VERB, "app exec", words)
}
