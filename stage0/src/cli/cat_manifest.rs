//! `rkt cat-manifest`.

use std::path::PathBuf;

use super::{Verb, output, parse, uuid_arg};
use crate::display::{to_json, to_pretty_json};
use crate::pod::Pods;

/// `rkt cat-manifest`.
pub const VERB: Verb = Verb {
    name: "cat-manifest",
    about: "Print the manifest of a pod",
    privileged: false,
    command: || parse::command::<CatManifest>("cat-manifest", VERB.about),
    run,
};

/// Flags of `rkt cat-manifest`.
#[derive(Debug, clap::Args)]
pub struct CatManifest {
    /// Indent the output
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "true",
          default_missing_value = "true", value_parser = parse::parse_bool, action = clap::ArgAction::Set)]
    pretty_print: bool,

    /// Read the UUID from this file
    #[arg(long, value_name = "FILE")]
    uuid_file: Option<PathBuf>,

    /// The pod
    #[arg(value_name = "UUID")]
    uuid: Option<String>,
}

fn run(words: &[String]) -> anyhow::Result<u8> {
    let parsed = parse::parse::<CatManifest>((VERB.command)(), words)?;
    let flags = parsed.own;
    let pods = Pods::new(&parsed.global.data_dir()?);
    let manifest = uuid_arg::one(&pods, flags.uuid.as_ref(), flags.uuid_file.as_ref())?.manifest()?;
    output::print_line(if flags.pretty_print { to_pretty_json(&manifest)? } else { to_json(&manifest)? });
    Ok(0)
}
