//! `rkt image rm`.

use std::collections::BTreeSet;

use super::find;
use crate::cli::output::{error_line, print_line};
use crate::cli::{FAILURE, Verb, parse};
use crate::log;
use crate::store::Store;

/// `rkt image rm`.
pub const VERB: Verb = Verb {
    name: "rm",
    about: "Remove one or more images with the given IDs or image names from the local store",
    privileged: false,
    command: || parse::command::<Rm>("image rm", VERB.about),
    run,
};

/// Flags of `rkt image rm`.
#[derive(Debug, clap::Args)]
pub struct Rm {
    /// The images: hashes, or names
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
}

fn run(words: &[String]) -> anyhow::Result<u8> {
    let parsed = parse::parse::<Rm>((VERB.command)(), words)?;
    let store = Store::open_to_make_room(&parsed.global.data_dir()?)?;
    let mut keys = BTreeSet::new();
    for image in &parsed.own.images {
        match find(&store, image) {
            Ok(key) => drop(keys.insert(key)),
            Err(error) => log::error(VERB.name, &error),
        }
    }
    let (mut removed, mut failed) = (0, false);
    for key in &keys {
        match store.remove(key) {
            Ok(true) => {
                removed += 1;
                print_line(format_args!("successfully removed aci for image: \"{key}\""));
            }
            // Another process was faster.
            Ok(false) => {}
            Err(error) => {
                failed = true;
                log::error(VERB.name, &error.into());
            }
        }
    }
    if removed > 0 {
        error_line(format_args!("rm: {removed} image(s) successfully removed"));
    }
    Ok(if failed { FAILURE } else { 0 })
}
