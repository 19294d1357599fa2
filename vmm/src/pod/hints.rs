//! What images say about how their apps are run, in annotations.

mod health;

use agent::protocol::HealthCheck;
use appc::{Annotations, ImageManifest, RuntimeApp};

/// An app with this annotation says when it is ready (`rkt-reference` §3.5).
const NOTIFY: &str = "appc.io/executor/supports-systemd-notify";
/// The signal that asks an app to end, by name or number.
const STOP_SIGNAL: &str = "appc.io/docker/stopsignal";
/// How to find out whether an app is well, in Docker's JSON.
const HEALTH_CHECK: &str = "appc.io/docker/healthcheck";
/// The words before a health check's command that is one text, in Docker's JSON.
const SHELL: &str = "appc.io/docker/shell";

/// Names of signals without `SIG` (signal(7), x86-64).
const SIGNALS: [(&str, i32); 31] = [
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ILL", libc::SIGILL),
    ("TRAP", libc::SIGTRAP),
    ("ABRT", libc::SIGABRT),
    ("BUS", libc::SIGBUS),
    ("FPE", libc::SIGFPE),
    ("KILL", libc::SIGKILL),
    ("USR1", libc::SIGUSR1),
    ("SEGV", libc::SIGSEGV),
    ("USR2", libc::SIGUSR2),
    ("PIPE", libc::SIGPIPE),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    ("STKFLT", libc::SIGSTKFLT),
    ("CHLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("STOP", libc::SIGSTOP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("URG", libc::SIGURG),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("VTALRM", libc::SIGVTALRM),
    ("PROF", libc::SIGPROF),
    ("WINCH", libc::SIGWINCH),
    ("IO", libc::SIGIO),
    ("PWR", libc::SIGPWR),
    ("SYS", libc::SIGSYS),
];
/// Real-time signals as programs see them: the C library keeps the first two (signal(7)).
const RT_MIN: i32 = 34;
const RT_MAX: i32 = 64;

/// The annotation by which images converted from Docker's format are known (`appc-schema` §8).
pub const DOCKER_REPOSITORY: &str = "appc.io/docker/repository";

/// Whether an image was converted from Docker's format.
pub fn from_docker(image: &ImageManifest) -> bool {
    image.annotations.get(DOCKER_REPOSITORY).is_some()
}

/// How an app is run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hints {
    /// It says when it is ready.
    pub notify: bool,
    /// The signal that asks it to end.
    pub stop_signal: Option<i32>,
    /// How to find out whether it is well.
    pub health: Option<HealthCheck>,
    /// Its image was made for Docker.
    pub from_docker: bool,
    /// Lines for the user.
    pub warnings: Vec<String>,
}

impl Hints {
    /// What the annotations of an app and, where it has none, of its image say.
    pub fn of(app: &RuntimeApp, image: &ImageManifest) -> Self {
        let say = |name| get(&app.annotations, name).or_else(|| get(&image.annotations, name));
        let notify = say(NOTIFY).is_some_and(|value| value == "true");
        let mut warnings = Vec::new();
        let stop_signal = say(STOP_SIGNAL).and_then(|text| {
            signal(text).or_else(|| {
                let line = "is none, SIGTERM it is";
                warnings.push(format!("warning: stop signal \"{text}\" of app {} {line}", app.name));
                None
            })
        });
        let health = say(HEALTH_CHECK).and_then(|text| {
            health::check(text, say(SHELL)).unwrap_or_else(|error| {
                warnings.push(format!("warning: app {} has no health check: {error}", app.name));
                None
            })
        });
        Hints { notify, stop_signal, health, from_docker: from_docker(image), warnings }
    }
}

fn get<'a>(annotations: &'a Annotations, name: &str) -> Option<&'a str> {
    annotations.get(name).filter(|value| !value.is_empty())
}

/// `SIGQUIT`, `quit`, `3`, `SIGRTMIN+3`, `RTMAX-1`.
fn signal(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse() {
        return (1..=RT_MAX).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some((_, number)) = SIGNALS.iter().find(|(known, _)| *known == name) {
        return Some(*number);
    }
    let offset = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<u8>().ok().map(i32::from) };
    let number = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(rest), _) => RT_MIN + offset(rest.strip_prefix('+').unwrap_or(rest))?,
        (_, Some(rest)) => RT_MAX - offset(rest.strip_prefix('-').unwrap_or(rest))?,
        _ => return None,
    };
    (RT_MIN..=RT_MAX).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_names_numbers_and_distances() {
        for (text, expected) in [
            ("SIGQUIT", Some(3)),
            ("quit", Some(3)),
            ("15", Some(15)),
            ("SIGWINCH", Some(28)),
            ("SIGRTMIN+3", Some(37)),
            ("rtmax-1", Some(63)),
            ("SIGRTMIN", Some(34)),
            ("0", None),
            ("65", None),
            ("-9", None),
            ("SIGRTMIN+31", None),
            ("RTMAX-255", None),
            ("RTMIN+999", None),
            ("SIG", None),
            ("", None),
        ] {
            assert_eq!(signal(text), expected, "{text}");
        }
    }

    #[test]
    fn the_pod_is_asked_before_the_image() {
        let manifest = |own: &str| {
            let app = format!(
                r#"{{"name": "a", "image": {{"id": "sha512-{}"}}, "annotations": {own}}}"#,
                "0".repeat(128)
            );
            serde_json::from_str::<RuntimeApp>(&app).unwrap()
        };
        let image = r#"{"acKind": "ImageManifest", "acVersion": "0.8.11", "name": "x", "annotations": [
            {"name": "appc.io/docker/stopsignal", "value": "SIGQUIT"},
            {"name": "appc.io/executor/supports-systemd-notify", "value": "true"}]}"#;
        let image = ImageManifest::from_slice(image.as_bytes()).unwrap();
        let expected = Hints { notify: true, stop_signal: Some(3), ..Hints::default() };
        assert_eq!(Hints::of(&manifest("[]"), &image), expected);
        let own = r#"[{"name": "appc.io/docker/stopsignal", "value": "SIGFLY"},
            {"name": "appc.io/docker/healthcheck", "value": "true"}]"#;
        let hints = Hints::of(&manifest(own), &image);
        assert_eq!(hints.stop_signal, None);
        let lines = [
            "warning: stop signal \"SIGFLY\" of app a is none, SIGTERM it is",
            "warning: app a has no health check: Annotation appc.io/docker/healthcheck is not Docker's JSON: invalid type: \
             boolean `true`, expected struct Written at line 1 column 4",
        ];
        assert_eq!(hints.warnings, lines);
    }
}
