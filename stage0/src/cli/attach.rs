//! `rkt attach`.

use std::str::FromStr;

use super::running::{app, program, started};
use super::{Verb, parse, uuid_arg::PodArg};
use crate::pod::Pods;
use crate::stage1::{self, Entrypoint};

/// `rkt attach`.
pub const VERB: Verb = Verb {
    name: "attach",
    about: "Attach to the standard streams of a running app",
    privileged: true,
    command: || parse::command::<Attach>("attach", VERB.about).after_help(EXAMPLES),
    run,
};

const EXAMPLES: &str = "\
Everything the app writes from then on is shown, until it ends; others may be attached at the same time. What is typed goes
to the app if its standard input is open (an image's flag --stdin=stream or --stdin=tty, or rkt run --interactive). Ctrl-C
leaves, or where the app has a terminal Ctrl-] three times; the app goes on.

Examples:
  rkt attach 6b2c                          all streams there are
  rkt attach --mode=list 6b2c              which those are
  echo reload | rkt attach --mode=stdin --app=web 6b2c";

/// Flags of `rkt attach`.
#[derive(Debug, clap::Args)]
pub struct Attach {
    /// The app; can be left out if the pod has one
    #[arg(long, value_name = "NAME")]
    app: Option<String>,

    /// auto, list, some of stdin,stdout,stderr, or one of tty, tty-in, tty-out
    #[arg(long, value_name = "MODE", default_value = "auto")]
    mode: Mode,

    #[command(flatten)]
    pod: PodArg,
}

/// What to attach to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Mode {
    action: Action,
    tty_in: bool,
    tty_out: bool,
    stdin: bool,
    stdout: bool,
    stderr: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Action {
    #[default]
    Auto,
    List,
    Custom,
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut mode = Self { action: Action::Custom, ..Self::default() };
        match text {
            "" | "auto" => return Ok(Self::default()),
            "list" => return Ok(Self { action: Action::List, ..Self::default() }),
            _ => {}
        }
        for endpoint in text.split(',') {
            match endpoint {
                "tty" => (mode.tty_in, mode.tty_out) = (true, true),
                "tty-in" => mode.tty_in = true,
                "tty-out" => mode.tty_out = true,
                "stdin" => mode.stdin = true,
                "stdout" => mode.stdout = true,
                "stderr" => mode.stderr = true,
                other => return Err(format!("unknown endpoint \"{other}\"")),
            }
        }
        if (mode.tty_in || mode.tty_out) && (mode.stdin || mode.stdout || mode.stderr) {
            return Err("a terminal and other streams cannot be attached to together".to_owned());
        }
        Ok(mode)
    }
}

impl Mode {
    /// The arguments of stage1's `attach` entrypoint (reference §3.2).
    fn arguments(&self, app: &str, debug: bool) -> Vec<String> {
        let action = match self.action {
            Action::Auto => "auto-attach",
            Action::List => "list",
            Action::Custom => "custom-attach",
        };
        let Self { tty_in, tty_out, stdin, stdout, stderr, .. } = self;
        vec![
            format!("--action={action}"),
            format!("--tty-in={tty_in}"),
            format!("--tty-out={tty_out}"),
            format!("--stdin={stdin}"),
            format!("--stdout={stdout}"),
            format!("--stderr={stderr}"),
            format!("--app={app}"),
            format!("--debug={debug}"),
        ]
    }
}

fn run(words: &[String]) -> anyhow::Result<u8> {
    let parsed = parse::parse::<Attach>((VERB.command)(), words)?;
    let flags = parsed.own;
    let data_dir = parsed.global.data_dir()?;
    let pod = flags.pod.find(&Pods::new(&data_dir))?;
    let (pod, _) = started(pod)?;
    let app = app(&pod, flags.app.as_deref(), VERB.name)?;
    let program = program(&pod, &data_dir, Entrypoint::Attach)?;
    let arguments = flags.mode.arguments(&app, parsed.global.debug);
    // Returns only if stage1 cannot be executed.
    Err(stage1::enter_program(program, &pod.path(), &arguments).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_become_stage1s_arguments() {
        let arguments = |mode: &str| mode.parse::<Mode>().unwrap().arguments("web", false).join(" ");
        assert_eq!(
            arguments("stdin,stderr"),
            "--action=custom-attach --tty-in=false --tty-out=false --stdin=true --stdout=false --stderr=true \
             --app=web --debug=false"
        );
        assert!(arguments("tty-out").contains("--tty-in=false --tty-out=true"));
        assert!(arguments("auto").starts_with("--action=auto-attach "));
        assert!(arguments("list").starts_with("--action=list "));
        for wrong in ["tty,stdin", "stdio", "stdin,"] {
            assert!(wrong.parse::<Mode>().is_err(), "{wrong}");
        }
    }
}
