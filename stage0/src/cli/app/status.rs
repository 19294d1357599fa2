//! `rkt app status`.

use std::collections::BTreeMap;

use super::{OneApp, family};
use crate::cli::list::record::{Listed, ListedApp, app_record, mount_records};
use crate::cli::{GlobalFlags, Verb, output, parse, running};
use crate::display::{Format, full_time, to_json, to_pretty_json};
use crate::pod::Pods;

/// `rkt app status`.
pub const VERB: Verb = Verb {
    name: "status",
    about: "Check the status of an app of a pod",
    privileged: false,
    command: || parse::command::<Status>("app status", VERB.about).after_help(EXAMPLES),
    run,
};

const EXAMPLES: &str = "\
Examples:
  rkt app status --app=web 6b2c
  rkt app status --app=web --format=json 6b2c";

/// Flags of `rkt app status`.
#[derive(Debug, clap::Args)]
pub struct Status {
    #[command(flatten)]
    which: OneApp,

    /// Output for programs: json, json-pretty
    #[arg(long, value_name = "FORMAT", default_value = "")]
    format: Format,
}

fn run(words: &[String]) -> anyhow::Result<u8> {
    let parsed = parse::parse::<Status>((VERB.command)(), words)?;
    family(&VERB, status(&parsed.global, &parsed.own))
}

fn status(global: &GlobalFlags, flags: &Status) -> anyhow::Result<u8> {
    let pods = Pods::new(&global.data_dir()?);
    let pod = flags.which.pod.find(&pods)?;
    let name = running::app(&pod, flags.which.app.as_deref(), "app status")?;
    let listed = Listed::new(&pod)?;
    let Some(app) = listed.apps.iter().find(|app| app.app.name == *name) else {
        anyhow::bail!("app \"{name}\" has just been removed")
    };
    match flags.format {
        Format::Text => output::print(text(&listed, app)),
        Format::Json => output::print_line(to_json(&app_record(&listed, app))?),
        Format::PrettyJson => output::print_line(to_pretty_json(&app_record(&listed, app))?),
    }
    Ok(0)
}

/// One `key=value` per line; what is not known, or empty, has none.
fn text(pod: &Listed, app: &ListedApp) -> String {
    let mut lines = vec![
        format!("name={}", app.app.name),
        format!("state={}", app.state),
        format!("image_id={}", app.app.image.id),
    ];
    for (key, time) in
        [("created_at", app.created), ("started_at", app.started), ("finished_at", app.finished)]
    {
        lines.extend(time.map(|time| format!("{key}={}", full_time(time))));
    }
    lines.extend(app.status.map(|status| format!("exit_code={}", status.code)));
    lines.extend(app.oom_kills().map(|kills| format!("oom_kills={kills}")));
    lines.extend(app.health().map(|health| format!("health={}", health.status)));
    let mounts = mount_records(pod, app)
        .into_iter()
        .map(|mount| format!("{}:{}:(read_only:{})", mount.host_path, mount.container_path, mount.read_only));
    lines.extend(list("mounts", mounts));
    if let Some(section) = &app.app.app {
        lines.extend(list("user_annotations", pairs(&section.user_annotations)));
        lines.extend(list("user_labels", pairs(&section.user_labels)));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn list(key: &str, values: impl Iterator<Item = String>) -> Option<String> {
    let values: Vec<_> = values.collect();
    (!values.is_empty()).then(|| format!("{key}={}", values.join(",")))
}

fn pairs(map: &BTreeMap<String, String>) -> impl Iterator<Item = String> {
    map.iter().map(|(key, value)| format!("{key}={value}"))
}
