//! `rkt version`.

use super::{Verb, output, parse};

/// `rkt version`.
pub const VERB: Verb = Verb {
    name: "version",
    about: "Print the version and exit",
    privileged: false,
    command: || parse::command::<Version>("version", VERB.about),
    run,
};

/// Flags of `rkt version`: none.
#[derive(Debug, clap::Args)]
pub struct Version {}

fn run(words: &[String]) -> anyhow::Result<u8> {
    parse::parse::<Version>((VERB.command)(), words)?;
    output::print(text());
    Ok(0)
}

/// The lines the original prints, with the toolchain that built this rkt in place of Go's.
fn text() -> String {
    format!(
        "rkt Version: {}\nappc Version: {}\nGo Version: none (written in Rust)\nGo OS/Arch: {}/{}\nFeatures: -TPM -SDJOURNAL\n",
        env!("CARGO_PKG_VERSION"),
        appc::SemVer::of_spec(),
        std::env::consts::OS,
        go_arch(),
    )
}

fn go_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn scripts_find_their_five_lines() {
        let text = super::text();
        let keys: Vec<_> = text.lines().map(|line| line.split_once(": ").unwrap().0).collect();
        assert_eq!(keys, ["rkt Version", "appc Version", "Go Version", "Go OS/Arch", "Features"]);
        assert!(text.contains("appc Version: 0.8.11\n"));
    }
}
