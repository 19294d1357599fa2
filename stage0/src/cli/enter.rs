//! `rkt enter`.

use std::path::PathBuf;

use super::running::{app, program, started};
use super::{Verb, output, parse, uuid_arg};
use crate::pod::{Pod, Pods};
use crate::stage1::{self, Entrypoint, Stage1};

/// What is run if nothing is asked for: every image with a shell has this one.
const DEFAULT_COMMAND: &str = "/bin/sh";

/// The interface version since which stage1 takes more than the app and the command.
const OPTIONS_SINCE: u32 = 7;

/// `rkt enter`.
pub const VERB: Verb = Verb {
    name: "enter",
    about: "Run a command in an app of a running pod",
    privileged: true,
    command: || {
        parse::command::<Enter>("enter", VERB.about)
            .override_usage("rkt enter [OPTIONS] UUID [COMMAND [ARGUMENTS…]]")
            .after_help(EXAMPLES)
    },
    run,
};

/// What help says beside the flags.
pub const EXAMPLES: &str = "\
The command runs as root, with the environment, directory and capabilities of the app, and has a terminal if rkt has
one. The exit status is the command's: 128+N when signal N killed it, 127 when there is no such command, 126 when it
cannot be executed, 254 when rkt failed. Ctrl-] three times leaves a command that does not listen.

Examples:
  rkt enter 6b2c                                    a shell
  rkt enter --app=db 6b2c pg_dump site >site.sql    a command of one of several apps
  rkt enter --user=www --env=DEBUG=1 6b2c env";

/// Flags of `rkt enter`.
#[derive(Debug, clap::Args)]
pub struct Enter {
    /// The app; can be left out if the pod has one
    #[arg(long, value_name = "NAME")]
    app: Option<String>,

    /// Run as this user: names or numbers, USER or USER:GROUP [default: root]
    #[arg(long, short, value_name = "USER")]
    user: Option<String>,

    /// Start in this directory of the app [default: where the app started]
    #[arg(long, short, visible_alias = "cwd", visible_alias = "workdir", value_name = "DIR")]
    workingdirectory: Option<String>,

    /// Set a variable; without a value, to the one it has here. May be given several times
    #[arg(long, short, value_name = "NAME[=VALUE]")]
    env: Vec<String>,

    /// Read the UUID from this file
    #[arg(long, value_name = "FILE")]
    uuid_file: Option<PathBuf>,

    /// The pod, the command and its arguments
    #[arg(value_name = "UUID", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

fn run(words: &[String]) -> anyhow::Result<u8> {
    enter(&VERB, VERB.name, words)
}

/// Runs a command in an app, as the verb that users know as `name`.
pub fn enter(verb: &Verb, name: &str, words: &[String]) -> anyhow::Result<u8> {
    let parsed = parse::parse::<Enter>((verb.command)(), words)?;
    let flags = parsed.own;
    let (uuid, command) = match &flags.uuid_file {
        Some(_) => (None, flags.words.as_slice()),
        None => (flags.words.first(), flags.words.get(1..).unwrap_or_default()),
    };
    let data_dir = parsed.global.data_dir()?;
    let pod = uuid_arg::one(&Pods::new(&data_dir), uuid, flags.uuid_file.as_ref())?;
    let (pod, pid) = started(pod)?;
    let app = app(&pod, flags.app.as_deref(), name)?;
    let mut arguments = vec![format!("--pid={pid}"), format!("--appname={app}")];
    arguments.extend(options(&pod, &flags)?);
    arguments.push("--".to_owned());
    match command {
        [first, rest @ ..] if first == "--" && !rest.is_empty() => arguments.extend_from_slice(rest),
        [] => {
            output::error_line(format_args!(
                "{}: no command specified, assuming \"{DEFAULT_COMMAND}\"",
                verb.name
            ));
            arguments.push(DEFAULT_COMMAND.to_owned());
        }
        command => arguments.extend_from_slice(command),
    }
    let program = program(&pod, &data_dir, Entrypoint::Enter)?;
    // Returns only if stage1 cannot be executed.
    Err(stage1::enter_program(program, &pod.path(), &arguments).into())
}

/// What only newer stage1s understand; given only if it was asked for.
fn options(pod: &Pod, flags: &Enter) -> anyhow::Result<Vec<String>> {
    let mut options = Vec::new();
    options.extend(flags.user.as_ref().map(|user| format!("--user={user}")));
    options.extend(flags.workingdirectory.as_ref().map(|dir| format!("--working-directory={dir}")));
    for variable in &flags.env {
        options.extend(assignment(variable)?.map(|variable| format!("--env={variable}")));
    }
    if !options.is_empty() {
        let version = Stage1::of_pod(&pod.path())?.version()?;
        anyhow::ensure!(
            version >= OPTIONS_SINCE,
            "--user, --workingdirectory and --env are not supported by this pod's stage1"
        );
    }
    Ok(options)
}

/// `NAME=VALUE`; a name alone takes its value from our environment, and is left out if it has none.
fn assignment(text: &str) -> anyhow::Result<Option<String>> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, std::env::var(text).ok()),
    };
    anyhow::ensure!(!name.is_empty(), "--env \"{text}\" has no name");
    Ok(value.map(|value| format!("{name}={value}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Enter {
        let words: Vec<_> = text.split(' ').map(str::to_owned).collect();
        parse::parse::<Enter>((VERB.command)(), &words).unwrap().own
    }

    #[test]
    fn flags_end_where_the_pod_is_named() {
        let enter = words("--app=web -u www --cwd /srv -e A=1 --env=B UUID ls --app=x -l -- -u");
        assert_eq!((enter.app.as_deref(), enter.user.as_deref()), (Some("web"), Some("www")));
        assert_eq!(enter.workingdirectory.as_deref(), Some("/srv"));
        assert_eq!(enter.env, ["A=1", "B"]);
        assert_eq!(enter.words, ["UUID", "ls", "--app=x", "-l", "--", "-u"]);
    }

    #[test]
    fn variables_come_with_a_value_or_from_here() {
        assert_eq!(assignment("A=b=c").unwrap().as_deref(), Some("A=b=c"));
        assert_eq!(assignment("A=").unwrap().as_deref(), Some("A="));
        assert_eq!(
            assignment("PATH").unwrap(),
            std::env::var("PATH").ok().map(|path| format!("PATH={path}"))
        );
        assert_eq!(assignment("NOT_SET_ANYWHERE").unwrap(), None);
        assert!(assignment("=x").is_err());
    }
}
