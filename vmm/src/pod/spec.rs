//! What the guest is told about its pod.

use std::{io, path::Path};

use agent::protocol::{AppSpec, Disabled, Dns, PodSpec, Stdio, VolumeMount};
use appc::{PodManifest, RuntimeApp};
use rustix::rand::{GetRandomFlags, getrandom};

use super::{
    arguments::{FileSource, RunArguments},
    clock::now_ns,
    directory::{DirectoryError, PodDirectory},
    hints::Hints,
    network::GuestNetwork,
    terminal,
};

/// The annotation that says what an app's standard input is (`rkt-reference` §2.7).
const STDIN: &str = "coreos.com/rkt/stage2/stdin";
/// How many random bytes the guest's pool starts with: a seed for any generator there is.
const ENTROPY: usize = 64;

/// Why a pod cannot be described to its guest.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// An app does not say what it runs.
    #[error("App {0} of the pod manifest has no app section")]
    NoAppSection(String),
    /// Standard input cannot be shared.
    #[error("Only a pod with one app can be interactive, this one has {0}")]
    NotOneInteractive(usize),
    /// resolv.conf or hosts.
    #[error("Cannot provide the files of name resolution")]
    NameFile(#[source] DirectoryError),
    /// The host has no random numbers.
    #[error("Cannot get random bytes")]
    Entropy(#[source] io::Error),
}

/// How an app's standard streams are connected: with ours in an interactive pod, else as its annotation says for those
/// who attach.
pub fn stdio(interactive: bool, app: &RuntimeApp) -> Stdio {
    match interactive {
        false => match app.annotations.get(STDIN) {
            Some("stream") => Stdio::Pipes,
            Some("tty") => Stdio::Terminal { size: terminal::DEFAULT_SIZE },
            _ => Stdio::Output,
        },
        true if terminal::is_terminal() => Stdio::Terminal { size: terminal::size() },
        true => Stdio::Pipes,
    }
}

/// What the guest learns of an app beside its manifest.
pub fn describe(app: &RuntimeApp, interactive: bool, hints: &Hints, mounts: &[VolumeMount]) -> AppSpec {
    AppSpec {
        notify: hints.notify,
        stop_signal: hints.stop_signal,
        health: hints.health.clone(),
        make_directory: hints.from_docker,
        mounts: mounts.to_vec(),
        ..app_spec(app.name.as_str(), stdio(interactive, app))
    }
}

/// What the guest learns of an app of which nothing is known but its name.
pub fn app_spec(name: &str, stdio: Stdio) -> AppSpec {
    AppSpec {
        name: name.to_owned(),
        rootfs: format!("{name}/rootfs"),
        stdio,
        notify: false,
        stop_signal: None,
        health: None,
        make_directory: false,
        mounts: Vec::new(),
        sockets: Vec::new(),
    }
}

/// Checks what the manifest cannot say wrong by itself.
pub fn check(arguments: &RunArguments, manifest: &PodManifest) -> Result<(), SpecError> {
    if arguments.interactive && manifest.apps.len() != 1 {
        return Err(SpecError::NotOneInteractive(manifest.apps.len()));
    }
    match manifest.apps.iter().find(|app| app.app.is_none()) {
        Some(app) => Err(SpecError::NoAppSection(app.name.to_string())),
        None => Ok(()),
    }
}

/// Describes the pod. Clock and entropy are of this moment.
pub fn pod_spec(
    arguments: &RunArguments,
    manifest: &PodManifest,
    apps: &[AppSpec],
    dns: &Dns,
    network: &GuestNetwork,
) -> Result<PodSpec, SpecError> {
    Ok(PodSpec {
        uuid: arguments.uuid.clone(),
        hostname: arguments.hostname.clone().unwrap_or_else(|| format!("rkt-{}", arguments.uuid)),
        manifest: manifest.clone(),
        apps: apps.to_vec(),
        clock_ns: now_ns(),
        entropy: entropy().map_err(SpecError::Entropy)?,
        interfaces: network.interfaces.clone(),
        dns: dns.clone(),
        disabled: Disabled {
            capabilities: arguments.disable_capabilities,
            paths: arguments.disable_paths,
            seccomp: arguments.disable_seccomp,
        },
        mutable: arguments.mutable,
        debug: arguments.debug,
    })
}

/// What apps find of name resolution.
pub fn dns(
    arguments: &RunArguments,
    directory: &PodDirectory,
    network: &GuestNetwork,
) -> Result<Dns, SpecError> {
    let mode = arguments.dns;
    let file = |source, host, stage0_name| {
        directory.name_file(source, Path::new(host), stage0_name).map_err(SpecError::NameFile)
    };
    Ok(Dns {
        resolv_conf: match mode.resolv {
            FileSource::Default => network.resolv_conf.clone(),
            source => file(source, "/etc/resolv.conf", "rkt-resolv.conf")?,
        },
        hosts: file(mode.hosts, "/etc/hosts", "rkt-hosts")?,
    })
}

fn entropy() -> io::Result<String> {
    let mut bytes = [0; ENTROPY];
    // Requests of up to 256 bytes are answered whole (random(4)).
    getrandom(&mut bytes, GetRandomFlags::empty())?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
