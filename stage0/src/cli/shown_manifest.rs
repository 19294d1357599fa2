//! Manifests as commands print them.

use serde::Serialize;

use super::{output, parse};
use crate::display::{to_json, to_pretty_json};

/// The flag of commands that print a manifest.
#[derive(Debug, clap::Args)]
pub struct ManifestFlags {
    /// Indent the output
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "true",
          default_missing_value = "true", value_parser = parse::parse_bool, action = clap::ArgAction::Set)]
    pretty_print: bool,
}

impl ManifestFlags {
    /// Prints a manifest as the flag says.
    pub fn print(&self, manifest: &impl Serialize) -> anyhow::Result<u8> {
        output::print_line(if self.pretty_print { to_pretty_json(manifest)? } else { to_json(manifest)? });
        Ok(0)
    }
}
