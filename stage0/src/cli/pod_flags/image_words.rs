//! Commands whose words are flags of the pod and images with flags of their own.

use clap::builder::StyledStr;
use clap::{Args, Command, FromArgMatches};

use crate::assemble::Overrides;
use crate::cli::examples;
use crate::cli::grammar::Grammar;
use crate::cli::parse::{self, Parsed};

/// A flag of images that before the first one belongs to the pod.
const POD_WIDE: &[&str] = &["--mount"];

/// An image with its flags and arguments.
#[derive(Debug)]
pub struct Request {
    /// The image, as it was given.
    pub image: String,
    /// Its flags.
    pub overrides: Overrides,
    /// What follows `--`.
    pub arguments: Vec<String>,
}

/// The definition of such a command for help: flags of images are listed after those of the pod.
pub fn grammar_command<T: Args>(name: &'static str, about: &'static str) -> Command {
    let usage = format!("rkt {name} [OPTIONS] IMAGE [IMAGE OPTIONS] [-- ARGUMENTS [---]] [IMAGE …]");
    let after = format!(
        "{}
{}",
        image_help(),
        examples::shown(name)
    );
    parse::command::<T>(name, about).override_usage(usage).after_help(after)
}

/// The flags of images, for help.
pub fn image_help() -> StyledStr {
    image_command().disable_help_flag(true).help_template("{all-args}").render_help()
}

/// The definition of the flags of images.
pub fn image_command() -> Command {
    parse::switches(Overrides::augment_args(Command::new("image").args_override_self(true)))
}

/// Cuts and parses the words.
pub fn parse_words<T: Args>(command: Command, words: &[String]) -> anyhow::Result<(Parsed<T>, Vec<Request>)> {
    let image = image_command();
    let pieces = Grammar::new(&command, &image, POD_WIDE, true).cut(words)?;
    let parsed = parse::parse::<T>(command, &pieces.pod)?;
    let mut requests = Vec::new();
    for piece in pieces.images {
        let matches = image.clone().no_binary_name(true).try_get_matches_from(&piece.flags)?;
        requests.push(Request {
            image: piece.image,
            overrides: Overrides::from_arg_matches(&matches)?,
            arguments: piece.arguments.unwrap_or_default(),
        });
    }
    Ok((parsed, requests))
}
