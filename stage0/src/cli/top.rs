//! `rkt top`.

use serde::{Deserialize, Serialize};

use super::{Verb, output, parse, running, uuid_arg::PodArg};
use crate::display::{Format, Table, short_size, to_json, to_pretty_json};
use crate::pod::Pods;
use crate::stage1::Entrypoint;

/// `rkt top`.
pub const VERB: Verb = Verb {
    name: "top",
    about: "Show the processes of a running pod",
    privileged: true,
    command: || parse::command::<Top>("top", VERB.about).after_help(EXAMPLES),
    run,
};

const EXAMPLES: &str = "\
PIDs are those that the apps see. %CPU is the share of one CPU that a process has had since its start, RSS its memory in RAM,
TIME its CPU time. In JSON, times are milliseconds and sizes bytes.

Examples:
  rkt top 6b2c
  rkt top --app=web --format=json 6b2c";

/// Flags of `rkt top`.
#[derive(Debug, clap::Args)]
pub struct Top {
    /// Only the processes of this app
    #[arg(long, value_name = "NAME")]
    app: Option<String>,

    /// Suppress the line with the columns' names
    #[arg(long)]
    no_legend: bool,

    /// Output for programs: json, json-pretty
    #[arg(long, value_name = "FORMAT", default_value = "")]
    format: Format,

    #[command(flatten)]
    pod: PodArg,
}

/// What stage1 answers.
#[derive(Debug, Deserialize)]
struct Answer {
    processes: Vec<Process>,
    more: u32,
}

/// A process.
#[derive(Debug, Serialize, Deserialize)]
struct Process {
    app: String,
    pid: u32,
    parent: u32,
    uid: u32,
    cpu_ms: u64,
    age_ms: u64,
    resident: u64,
    command: String,
}

fn run(words: &[String]) -> anyhow::Result<u8> {
    let parsed = parse::parse::<Top>((VERB.command)(), words)?;
    let flags = parsed.own;
    let pods = Pods::new(&parsed.global.data_dir()?);
    let (pod, _) = running::started(flags.pod.find(&pods)?)?;
    let app = flags.app.as_deref().map(|name| running::app(&pod, Some(name), VERB.name)).transpose()?;
    let mut answer: Answer = running::ask(&pod, &parsed.global, Entrypoint::Top)?;
    answer.processes.retain(|process| app.as_ref().is_none_or(|app| process.app == *app));
    match flags.format {
        Format::Text => output::print(table(&answer.processes, !flags.no_legend)),
        Format::Json => output::print_line(to_json(&answer.processes)?),
        Format::PrettyJson => output::print_line(to_pretty_json(&answer.processes)?),
    }
    if answer.more > 0 {
        output::error_line(format_args!("top: {} more processes are not shown", answer.more));
    }
    Ok(0)
}

fn table(processes: &[Process], legend: bool) -> Table {
    let mut table = Table::default();
    if legend {
        table.row(["APP", "PID", "USER", "%CPU", "RSS", "TIME", "COMMAND"]);
    }
    for process in processes {
        table.row([
            process.app.clone(),
            process.pid.to_string(),
            user(process.uid),
            percent(process.cpu_ms, process.age_ms),
            short_size(process.resident),
            time(process.cpu_ms),
            process.command.clone(),
        ]);
    }
    table
}

/// Names of other users are the image's, and only the app knows them.
fn user(uid: u32) -> String {
    if uid == 0 { "root".to_owned() } else { uid.to_string() }
}

/// The share of `part` in `whole`, with one digit after the point.
fn percent(part: u64, whole: u64) -> String {
    format!("{:.1}", if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 })
}

/// Hours, minutes and seconds.
fn time(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_rows() {
        let answer = r#"{"processes": [{"app": "web", "pid": 7, "parent": 1, "uid": 33, "cpu_ms": 3723000,
            "age_ms": 7446000, "resident": 1048576, "command": "nginx -g x"}], "more": 0}"#;
        let answer: Answer = serde_json::from_str(answer).unwrap();
        let shown = table(&answer.processes, true).to_string();
        let cells: Vec<Vec<&str>> =
            shown.lines().map(|line| line.split('\t').filter(|cell| !cell.is_empty()).collect()).collect();
        assert_eq!(cells[0], ["APP", "PID", "USER", "%CPU", "RSS", "TIME", "COMMAND"]);
        assert_eq!(cells[1], ["web", "7", "33", "50.0", "1.00MiB", "01:02:03", "nginx -g x"]);
        assert_eq!((percent(1, 0).as_str(), user(0).as_str()), ("0.0", "root"));
    }
}
