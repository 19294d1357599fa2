//! `rkt completion`.

use clap_complete::{Shell, generate};

use super::{Verb, output, parse, whole};

/// `rkt completion`.
pub const VERB: Verb = Verb {
    name: "completion",
    about: "Print completion code for a shell: bash, zsh, fish",
    privileged: false,
    command: || parse::command::<Completion>("completion", VERB.about),
    run,
};

/// Flags of `rkt completion`.
#[derive(Debug, clap::Args)]
pub struct Completion {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Vec<String>,
}

fn run(words: &[String]) -> anyhow::Result<u8> {
    let parsed = parse::parse::<Completion>((VERB.command)(), words)?;
    let shell = match parsed.own.shell.as_slice() {
        [] => anyhow::bail!("shell type is not specified"),
        [name] => known(name).ok_or_else(|| anyhow::anyhow!("'{name}' shell is not supported"))?,
        _ => anyhow::bail!("too many arguments, only shell type is expected"),
    };
    let mut script = Vec::new();
    generate(shell, &mut whole::command(), "rkt", &mut script);
    output::print(String::from_utf8_lossy(&script));
    Ok(0)
}

fn known(name: &str) -> Option<Shell> {
    match name {
        "bash" => Some(Shell::Bash),
        "zsh" => Some(Shell::Zsh),
        "fish" => Some(Shell::Fish),
        _ => None,
    }
}
