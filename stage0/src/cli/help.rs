//! `rkt help [COMMAND]`.

use std::path::PathBuf;

use anyhow::Context as _;

use super::{COMMANDS, Entry, GlobalFlags, Verb, output, parse, whole};

/// `rkt help`.
pub const VERB: Verb = Verb {
    name: "help",
    about: "Show a list of commands or help for one command",
    privileged: false,
    command: || parse::command::<Help>("help", VERB.about),
    run,
};

/// Flags of `rkt help`.
#[derive(Debug, clap::Args)]
pub struct Help {
    /// Write the manual pages of all commands into this directory
    #[arg(long, value_name = "DIR")]
    man: Option<PathBuf>,

    /// The command, or the group and its command
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
}

fn run(words: &[String]) -> anyhow::Result<u8> {
    let parsed = parse::parse::<Help>((VERB.command)(), words)?;
    if let Some(dir) = parsed.own.man {
        clap_mangen::generate_to(whole::command(), &dir)
            .with_context(|| format!("Cannot write manual pages to {dir:?}"))?;
        return Ok(0);
    }
    let mut path = parsed.own.command.iter();
    let Some(name) = path.next() else { return Ok(print_overview()) };
    match COMMANDS.iter().find(|entry| entry.name() == name) {
        Some(Entry::One(verb)) => print_verb(verb),
        Some(group @ Entry::Group { verbs, .. }) => match path.next() {
            None => Ok(print_group(group)),
            Some(name) => match verbs.iter().find(|verb| verb.name == name) {
                Some(verb) => print_verb(verb),
                None => anyhow::bail!("unknown command \"{} {name}\"", group.name()),
            },
        },
        None => anyhow::bail!("unknown command \"{name}\""),
    }
}

fn print_verb(verb: &Verb) -> anyhow::Result<u8> {
    output::print((verb.command)().render_long_help());
    Ok(0)
}

/// Prints what rkt is and every command.
pub fn print_overview() -> u8 {
    let names = COMMANDS.iter().flat_map(|entry| match entry {
        Entry::One(verb) => vec![(verb.name.to_owned(), verb.about)],
        Entry::Group { name, verbs, .. } => {
            verbs.iter().map(|verb| (format!("{name} {}", verb.name), verb.about)).collect()
        }
    });
    print_page("rkt", whole::ABOUT, &names.collect::<Vec<_>>())
}

/// Prints the commands of a group.
pub fn print_group(group: &Entry) -> u8 {
    let verbs = match group {
        Entry::One(verb) => std::slice::from_ref(verb),
        Entry::Group { verbs, .. } => verbs,
    };
    let names: Vec<_> = verbs.iter().map(|verb| (verb.name.to_owned(), verb.about)).collect();
    print_page(&format!("rkt {}", group.name()), group.about(), &names)
}

fn print_page(name: &str, about: &str, commands: &[(String, &str)]) -> u8 {
    output::print(page(name, about, commands));
    0
}

fn page(name: &str, about: &str, commands: &[(String, &str)]) -> String {
    let width = commands.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let list: String = commands.iter().map(|(name, about)| format!("\t{name:width$}  {about}\n")).collect();
    let globals =
        <GlobalFlags as clap::Args>::augment_args(clap::Command::new("rkt").disable_help_flag(true))
            .help_template("{options}")
            .render_help();
    let globals: String =
        globals.to_string().lines().map(|line| format!("\t{}\n", line.trim_start())).collect();
    format!(
        "NAME:\n\t{name} - {about}\n\nUSAGE:\n\t{name} [command]\n\nVERSION:\n\t{}\n\nCOMMANDS:\n{list}\nGLOBAL OPTIONS:\n{globals}",
        env!("CARGO_PKG_VERSION")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_the_sections_users_know() {
        let page = page("rkt", "about", &[("run".to_owned(), "Run"), ("image list".to_owned(), "List")]);
        for part in
            ["NAME:\n\trkt - about", "USAGE:", "VERSION:\n\t2", "\trun         Run\n\timage list  List\n"]
        {
            assert!(page.contains(part), "{page}");
        }
        assert!(page.contains("--insecure-options"), "{page}");
    }

    #[test]
    fn every_command_has_a_consistent_definition() {
        for entry in COMMANDS {
            let verbs = match entry {
                Entry::One(verb) => std::slice::from_ref(verb),
                Entry::Group { verbs, .. } => verbs,
            };
            verbs.iter().for_each(|verb| (verb.command)().debug_assert());
        }
    }
}
