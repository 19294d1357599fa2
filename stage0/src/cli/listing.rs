//! Lists as commands print them: a table for people, or JSON for programs.

use serde::Serialize;

use super::output;
use crate::display::{Format, Table, to_json, to_pretty_json};

/// Flags of commands that print a list.
#[derive(Debug, clap::Args)]
pub struct ListFlags {
    /// Suppress the line with the columns' names
    #[arg(long)]
    pub no_legend: bool,

    /// Show everything in full: ids, sizes, times
    #[arg(long)]
    pub full: bool,

    /// Output for programs: json, json-pretty
    #[arg(long, value_name = "FORMAT", default_value = "", hide_default_value = true)]
    format: Format,
}

impl ListFlags {
    /// Prints the table, or what programs get.
    pub fn print<T: Serialize>(
        &self,
        table: impl FnOnce() -> Table,
        records: impl FnOnce() -> T,
    ) -> anyhow::Result<()> {
        match self.format {
            Format::Text => output::print(table()),
            Format::Json => output::print_line(to_json(&records())?),
            Format::PrettyJson => output::print_line(to_pretty_json(&records())?),
        }
        Ok(())
    }
}
