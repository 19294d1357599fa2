//! How a converted image runs.

use crate::registry::manifest::Execution;
use appc::{AcName, App, Environment, EnvironmentVariable, MountPoint, Port, ValueError};

/// The app section of a converted image.
pub(super) fn app(execution: &Execution) -> Result<App, ValueError> {
    let (user, group) = owner(execution.user.as_deref().unwrap_or_default());
    let mut exec = execution.entrypoint.clone().unwrap_or_default();
    exec.extend(execution.cmd.clone().unwrap_or_default());
    Ok(App {
        exec,
        user,
        group,
        working_directory: absolute(execution.working_dir.as_deref().unwrap_or_default()),
        environment: environment(execution.env.as_deref().unwrap_or_default()),
        ports: ports(execution)?,
        mount_points: mount_points(execution)?,
        ..App::default()
    })
}

/// `user[:group]`: nothing is root, no group is the user's name or number again.
fn owner(text: &str) -> (String, String) {
    let (user, group) = text.split_once(':').unwrap_or((text, ""));
    let user = if user.is_empty() { "0" } else { user };
    (user.to_owned(), if group.is_empty() { user } else { group }.to_owned())
}

/// Docker resolves relative working directories from the root.
fn absolute(path: &str) -> String {
    if path.is_empty() || path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

/// Later values win; names the specification does not allow are left out.
fn environment(list: &[String]) -> Environment {
    let mut out = Environment::default();
    for item in list {
        let (name, value) = item.split_once('=').unwrap_or((item, ""));
        let one = EnvironmentVariable { name: name.to_owned(), value: value.to_owned() };
        if Environment(vec![one]).validate().is_ok() {
            out.set(name, value);
        } else {
            tracing::warn!(target: "image", "leaving out environment variable {name:?}: not a valid name");
        }
    }
    out
}

/// `80`, `80/tcp`, `8000-8010/udp`; what is none of these is left out.
fn ports(execution: &Execution) -> Result<Vec<Port>, ValueError> {
    let mut out: Vec<Port> = Vec::new();
    for text in execution.exposed_ports.iter().flatten().map(|(text, _)| text) {
        let (numbers, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
        let (Ok(first), Ok(last)) = (first.parse::<u16>(), last.parse::<u16>()) else {
            tracing::warn!(target: "image", "leaving out port {text:?}: not a valid port");
            continue;
        };
        let port = Port {
            name: AcName::sanitize(&format!("{numbers}-{protocol}"))?,
            protocol: protocol.to_ascii_lowercase(),
            port: first.into(),
            count: (u32::from(last) + 1).saturating_sub(first.into()),
            socket_activated: false,
        };
        if port.validate().is_ok() && !out.iter().any(|known| known.name == port.name) {
            out.push(port);
        }
    }
    Ok(out)
}

/// `/var/lib` is mount point `volume-var-lib`; paths that make the same name are numbered.
fn mount_points(execution: &Execution) -> Result<Vec<MountPoint>, ValueError> {
    let mut out: Vec<MountPoint> = Vec::new();
    for path in execution.volumes.iter().flatten().map(|(path, _)| path) {
        let base = AcName::sanitize(&format!("volume{path}")).or_else(|_| AcName::sanitize("volume"))?;
        let mut name = base.clone();
        for number in 1.. {
            if !out.iter().any(|known| known.name == name) {
                break;
            }
            name = AcName::sanitize(&format!("{base}-{number}"))?;
        }
        out.push(MountPoint { name, path: absolute(path), read_only: false });
    }
    // Without a path there is nothing to mount.
    out.retain(|point| !point.path.is_empty());
    Ok(out)
}
