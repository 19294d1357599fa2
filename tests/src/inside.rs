//! Looks from inside an app: many of them in one pod, for a pod takes seconds to boot.

use crate::process::Finished;

/// A look: its name, and the command that makes it.
pub type Look<'a> = (&'a str, &'a str);

/// A shell script that makes every look, a name and a command, and says `prefix name: what the command said` on one
/// line each.
#[must_use]
pub fn script(prefix: &str, looks: &[Look<'_>]) -> String {
    let look =
        |(name, command): &Look<'_>| format!("echo \"{prefix} {name}: \"$({{ {command}; }} 2>&1 </dev/null)");
    looks.iter().map(look).collect::<Vec<_>>().join("\n")
}

/// What the looks of one script said, in their order: `name: answer`.
#[must_use]
pub fn answers(finished: &Finished, prefix: &str) -> Vec<String> {
    let text = finished.stdout_text();
    let lines = text.lines().filter_map(|line| line.strip_prefix(prefix)?.strip_prefix(' '));
    lines.map(|line| line.trim_end().to_owned()).collect()
}

/// Checks all answers at once, so that a failure shows every difference.
///
/// # Panics
/// When one is not as expected.
#[track_caller]
pub fn expect(finished: &Finished, prefix: &str, expected: &[&str]) {
    let found = answers(finished, prefix);
    assert!(
        found == expected,
        "{prefix} answered\n  {}\ninstead of\n  {}\nstderr: {}",
        found.join("\n  "),
        expected.join("\n  "),
        finished.stderr_text()
    );
}
