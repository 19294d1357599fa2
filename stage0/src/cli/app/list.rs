//! `rkt app list`.

use super::family;
use crate::cli::list::record::{Listed, app_record};
use crate::cli::listing::ListFlags;
use crate::cli::{GlobalFlags, Verb, parse, uuid_arg::PodArg};
use crate::display::Table;
use crate::pod::Pods;

/// `rkt app list`.
pub const VERB: Verb = Verb {
    name: "list",
    about: "List the apps of a pod",
    privileged: false,
    command: || {
        parse::command::<List>("app list", VERB.about)
            .mut_arg("full", |flag| flag.hide(true))
            .after_help(EXAMPLES)
    },
    run,
};

const EXAMPLES: &str = "\
Examples:
  rkt app list 6b2c
  rkt app list --format=json 6b2c";

/// Flags of `rkt app list`.
#[derive(Debug, clap::Args)]
pub struct List {
    #[command(flatten)]
    shown: ListFlags,

    #[command(flatten)]
    pod: PodArg,
}

fn run(words: &[String]) -> anyhow::Result<u8> {
    let parsed = parse::parse::<List>((VERB.command)(), words)?;
    family(&VERB, list(&parsed.global, &parsed.own))
}

fn list(global: &GlobalFlags, flags: &List) -> anyhow::Result<u8> {
    let pods = Pods::new(&global.data_dir()?);
    let pod = Listed::new(&flags.pod.find(&pods)?)?;
    let table = || {
        let mut table = Table::default();
        if !flags.shown.no_legend {
            table.row(["NAME", "STATE"]);
        }
        pod.apps.iter().for_each(|app| table.row([app.app.name.as_str(), app.state]));
        table
    };
    let records = || pod.apps.iter().map(|app| app_record(&pod, app)).collect::<Vec<_>>();
    flags.shown.print(table, records)?;
    Ok(0)
}
