//! `rkt config`.

use super::output::print_line;
use super::{Verb, parse};
use crate::display::{to_json, to_pretty_json};

/// `rkt config`.
pub const VERB: Verb = Verb {
    name: "config",
    about: "Print configuration for each stage in JSON format",
    privileged: false,
    command: || parse::command::<ConfigFlags>("config", VERB.about),
    run,
};

/// Flags of `rkt config`.
#[derive(Debug, clap::Args)]
pub struct ConfigFlags {
    /// Indent the output
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "true",
          default_missing_value = "true", value_parser = parse::parse_bool, action = clap::ArgAction::Set)]
    pretty_print: bool,
}

fn run(words: &[String]) -> anyhow::Result<u8> {
    let parsed = parse::parse::<ConfigFlags>((VERB.command)(), words)?;
    let config = parsed.global.config()?.to_json();
    print_line(if parsed.own.pretty_print { to_pretty_json(&config)? } else { to_json(&config)? });
    Ok(0)
}
