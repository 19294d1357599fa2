//! Health checks as Docker's image configurations have them (`HealthConfig` of its API: times in nanoseconds, 0 is the
//! default).

use agent::protocol::HealthCheck;
use serde::Deserialize;

/// Docker's defaults (`HEALTHCHECK` of its Dockerfile reference), in milliseconds.
const INTERVAL_MS: u64 = 30_000;
const TIMEOUT_MS: u64 = 30_000;
const START_INTERVAL_MS: u64 = 5_000;
const RETRIES: u32 = 3;
/// The shortest time that Docker takes, in milliseconds.
const MIN_MS: u64 = 1;
const NS_PER_MS: u64 = 1_000_000;
/// What runs a command given as one text, unless the image says otherwise (`SHELL` of the same reference).
const SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// Why there is no health check.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// The annotation is something else.
    #[error("Annotation appc.io/docker/healthcheck is not Docker's JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The shell's annotation is something else.
    #[error("Annotation appc.io/docker/shell is not a JSON list of words: {0}")]
    Shell(#[source] serde_json::Error),
    /// A kind of test nobody knows.
    #[error("Its test is neither NONE, CMD nor CMD-SHELL but {0:?}")]
    Kind(String),
    /// Nothing to run.
    #[error("Its test names no command")]
    NoCommand,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Written {
    test: Vec<String>,
    interval: u64,
    timeout: u64,
    start_period: u64,
    start_interval: u64,
    retries: u32,
}

/// The check that an annotation describes; none if it says that there is none. `shell` is the annotation of the words
/// that come before a command given as one text.
pub fn check(text: &str, shell: Option<&str>) -> Result<Option<HealthCheck>, HealthError> {
    let written: Written = serde_json::from_str(text)?;
    let exec = match written.test.split_first() {
        None => return Ok(None),
        Some((kind, words)) => match (kind.as_str(), words) {
            ("NONE", _) => return Ok(None),
            ("CMD", [_, ..]) => words.to_vec(),
            ("CMD-SHELL", [command]) => {
                let mut exec = shell_words(shell)?;
                exec.push(command.clone());
                exec
            }
            ("CMD" | "CMD-SHELL", _) => return Err(HealthError::NoCommand),
            (other, _) => return Err(HealthError::Kind(other.to_owned())),
        },
    };
    let or = |ns: u64, default: u64| if ns == 0 { default } else { (ns / NS_PER_MS).max(MIN_MS) };
    Ok(Some(HealthCheck {
        exec,
        interval_ms: or(written.interval, INTERVAL_MS),
        timeout_ms: or(written.timeout, TIMEOUT_MS),
        start_period_ms: or(written.start_period, 0),
        start_interval_ms: or(written.start_interval, START_INTERVAL_MS),
        retries: if written.retries == 0 { RETRIES } else { written.retries },
    }))
}

fn shell_words(written: Option<&str>) -> Result<Vec<String>, HealthError> {
    let words: Vec<String> =
        written.map_or(Ok(Vec::new()), serde_json::from_str).map_err(HealthError::Shell)?;
    if words.is_empty() { Ok(SHELL.map(str::to_owned).into()) } else { Ok(words) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_dockers() {
        let found =
            check(r#"{"Test": ["CMD-SHELL", "curl -f localhost || exit 1"]}"#, None).unwrap().unwrap();
        assert_eq!(found.exec, ["/bin/sh", "-c", "curl -f localhost || exit 1"]);
        assert_eq!((found.interval_ms, found.timeout_ms, found.retries), (30_000, 30_000, 3));
        assert_eq!((found.start_period_ms, found.start_interval_ms), (0, 5_000));
        let text = r#"{"Test": ["CMD", "/check", "it"], "Interval": 1500000000, "Timeout": 1, "Retries": 1,
            "StartPeriod": 60000000000, "StartInterval": 2000000, "Later": true}"#;
        let found = check(text, None).unwrap().unwrap();
        assert_eq!(found.exec, ["/check", "it"]);
        assert_eq!((found.interval_ms, found.timeout_ms, found.retries), (1_500, 1, 1));
        assert_eq!((found.start_period_ms, found.start_interval_ms), (60_000, 2));
    }

    #[test]
    fn the_images_shell_runs_what_is_one_text() {
        let exec = |text, shell| check(text, shell).map(|found| found.unwrap().exec);
        let one_text = r#"{"Test": ["CMD-SHELL", "a | b"]}"#;
        let bash = Some(r#"["/bin/bash", "-o", "pipefail", "-c"]"#);
        assert_eq!(exec(one_text, bash).unwrap(), ["/bin/bash", "-o", "pipefail", "-c", "a | b"]);
        assert_eq!(exec(one_text, Some("[]")).unwrap(), ["/bin/sh", "-c", "a | b"]);
        assert_eq!(exec(r#"{"Test": ["CMD", "/a"]}"#, bash).unwrap(), ["/a"]);
        let line = exec(one_text, Some("/bin/bash")).unwrap_err().to_string();
        assert!(line.starts_with("Annotation appc.io/docker/shell is not a JSON list of words: "), "{line}");
    }

    #[test]
    fn there_may_be_none_and_nonsense_is_told() {
        for none in ["{}", r#"{"Test": ["NONE"]}"#, r#"{"Test": []}"#] {
            assert_eq!(check(none, None).unwrap(), None, "{none}");
        }
        for (text, line) in [
            (r#"{"Test": ["CMD"]}"#, "Its test names no command"),
            (r#"{"Test": ["CMD-SHELL"]}"#, "Its test names no command"),
            (r#"{"Test": ["HTTP", "x"]}"#, "Its test is neither NONE, CMD nor CMD-SHELL but \"HTTP\""),
        ] {
            assert_eq!(check(text, None).unwrap_err().to_string(), line);
        }
        assert!(check(r#"{"Test": ["CMD", "x"], "Interval": -1}"#, None).is_err());
        assert!(check("[", None).is_err());
    }
}
