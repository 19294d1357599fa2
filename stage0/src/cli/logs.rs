//! `rkt logs`.

use std::io::{self, Write};
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use jiff::Timestamp;

use super::{Verb, parse, uuid_arg::PodArg};
use crate::display::GoDuration;
use crate::logs::{DIRECTORY, LogReader, Merged, Record, Stream, Tail};
use crate::pod::{Pod, Pods, State};

/// How often a log that is followed is looked at.
const POLL: Duration = Duration::from_millis(100);

/// `rkt logs`.
pub const VERB: Verb = Verb {
    name: "logs",
    about: "Show what the apps of a pod wrote",
    privileged: false,
    command: || parse::command::<Logs>("logs", VERB.about).after_help(EXAMPLES),
    run,
};

const EXAMPLES: &str = "\
What an app wrote to its standard error goes to rkt's. Lines of several apps are in the order of their times, each after
its app's name. Logs stay until the pod is removed; of each app the last 40 to 50 MiB are kept.

Examples:
  rkt logs 6b2c                          everything
  rkt logs -f --tail=10 --app=db 6b2c    the last ten lines of one app, and what follows
  rkt logs --since=1h30m -t 6b2c         of the last 90 minutes, with times";

/// Flags of `rkt logs`.
#[derive(Debug, clap::Args)]
pub struct Logs {
    /// Show what is written from now on, too, until the pod ends
    #[arg(long, short)]
    follow: bool,

    /// Only of this app
    #[arg(long, value_name = "NAME")]
    app: Option<String>,

    /// Only what was written since: a time (2026-01-31T12:00:00Z), or how long ago (1h30m)
    #[arg(long, value_name = "WHEN")]
    since: Option<Since>,

    /// Only so many lines of each app, the last ones: a number, or all
    #[arg(long, short = 'n', value_name = "LINES", default_value = "all")]
    tail: Lines,

    /// Show when each line was written
    #[arg(long, short)]
    timestamps: bool,

    #[command(flatten)]
    pod: PodArg,
}

/// A moment, or how long ago it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Since(Timestamp);

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(time) = text.parse() {
            return Ok(Self(time));
        }
        let invalid = || "must be a time like 2026-01-31T12:00:00Z or a duration like 1h30m".to_owned();
        let GoDuration { negative: false, length } = text.parse().map_err(|_| invalid())? else {
            return Err(invalid());
        };
        let time = SystemTime::now().checked_sub(length).ok_or_else(invalid)?;
        Timestamp::try_from(time).map(Self).map_err(|_| invalid())
    }
}

/// How many lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lines {
    All,
    Last(usize),
}

impl FromStr for Lines {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "all" | "-1" => Ok(Self::All),
            text => text.parse().map(Self::Last).map_err(|_| "must be a number or all".to_owned()),
        }
    }
}

fn run(words: &[String]) -> anyhow::Result<u8> {
    let parsed = parse::parse::<Logs>((VERB.command)(), words)?;
    let flags = parsed.own;
    let pods = Pods::new(&parsed.global.data_dir()?);
    let mut pod = flags.pod.find(&pods)?;
    let uuid = pod.uuid();
    let ran = pod.state() == State::Running || pod.state().is_after_run();
    anyhow::ensure!(ran, "pod \"{uuid}\" has not run yet: it is {}", pod.state());
    let apps = apps(&pod, flags.app.as_deref())?;
    let directory = pod.path().join(DIRECTORY);
    std::fs::read_dir(&directory).with_context(|| format!("pod \"{uuid}\" has no logs"))?;
    let since = flags.since.map(|since| since.0);
    let mut show = Show::new(&apps, flags.timestamps, since);
    let readers = apps.iter().map(|app| LogReader::new(&directory, app)).collect();
    let mut merged = Merged::new(readers);
    if let Lines::Last(lines) = flags.tail {
        show.tail(&mut merged, lines)?;
    }
    loop {
        // Looked at before the logs are: what was written until the end must be seen.
        let running = pod.state() == State::Running;
        while let Some((log, record)) = merged.next_record().context("cannot read the log")? {
            if show.record(log, &record).is_err() {
                return Ok(0);
            }
        }
        if show.flush().is_err() || !flags.follow || !running {
            return Ok(0);
        }
        std::thread::sleep(POLL);
        // A pod that is gone altogether has ended.
        if pod.refresh().is_err() {
            return Ok(0);
        }
    }
}

fn apps(pod: &Pod, wanted: Option<&str>) -> anyhow::Result<Vec<String>> {
    let apps: Vec<String> = pod.manifest()?.apps.iter().map(|app| app.name.to_string()).collect();
    match wanted {
        None => Ok(apps),
        Some(name) if apps.iter().any(|app| app == name) => Ok(vec![name.to_owned()]),
        Some(name) => {
            anyhow::bail!("pod \"{}\" has no app \"{name}\" (there are: {})", pod.uuid(), apps.join(", "))
        }
    }
}

/// Writes records as the user sees them. Its errors say that nobody looks any more.
struct Show<'a> {
    apps: &'a [String],
    timestamps: bool,
    since: Option<Timestamp>,
    stdout: io::BufWriter<io::Stdout>,
    /// The app and stream whose line has not ended.
    within: Option<(usize, Stream)>,
}

impl<'a> Show<'a> {
    fn new(apps: &'a [String], timestamps: bool, since: Option<Timestamp>) -> Self {
        Self { apps, timestamps, since, stdout: io::BufWriter::new(io::stdout()), within: None }
    }

    /// Shows the last lines of each app there are now.
    fn tail(&mut self, merged: &mut Merged, lines: usize) -> anyhow::Result<()> {
        let mut tails: Vec<Tail> = self.apps.iter().map(|_| Tail::new(lines)).collect();
        while let Some((log, record)) = merged.next_record().context("cannot read the log")? {
            if self.since.is_none_or(|since| record.time >= since) {
                tails[log].push(record);
            }
        }
        let numbered = tails.into_iter().enumerate();
        let mut records: Vec<(usize, Record)> =
            numbered.flat_map(|(log, tail)| tail.into_records().map(move |record| (log, record))).collect();
        records.sort_by_key(|(_, record)| record.time);
        for (log, record) in records {
            if self.record(log, &record).is_err() {
                break;
            }
        }
        Ok(())
    }

    fn record(&mut self, log: usize, record: &Record) -> io::Result<()> {
        if self.since.is_some_and(|since| record.time < since) {
            return Ok(());
        }
        let mut line = Vec::new();
        // The output of one app without times is given as it was, to the byte.
        let decorated = self.timestamps || self.apps.len() > 1;
        if decorated && self.within != Some((log, record.stream)) {
            // Somebody else's line is not finished, and this one must not look like its rest.
            if self.within.is_some() {
                self.stdout.write_all(b"\n")?;
            }
            if self.timestamps {
                write!(line, "{:.9} ", record.time)?;
            }
            if self.apps.len() > 1 {
                write!(line, "[{}] ", self.apps[log])?;
            }
        }
        line.extend_from_slice(&record.text);
        if record.whole {
            line.push(b'\n');
        }
        self.within = (!record.whole).then_some((log, record.stream));
        match record.stream {
            Stream::Stdout => self.stdout.write_all(&line),
            Stream::Stderr => {
                // Both may be the same terminal.
                self.stdout.flush()?;
                io::stderr().write_all(&line)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stdout.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_times_or_durations() {
        assert_eq!("2026-01-31T12:00:00Z".parse::<Since>().unwrap().0.as_second(), 1_769_860_800);
        let hour_ago = "1h".parse::<Since>().unwrap().0;
        let age = Timestamp::now().as_second() - hour_ago.as_second();
        assert!((3600..3700).contains(&age), "{age}");
        for wrong in ["", "yesterday", "-1h", "5"] {
            assert!(wrong.parse::<Since>().is_err(), "{wrong}");
        }
        assert_eq!(("all".parse(), "7".parse()), (Ok(Lines::All), Ok(Lines::Last(7))));
        assert!("few".parse::<Lines>().is_err());
    }
}
