//! The network around pods: configurations, and other hosts that are network namespaces. What a test makes is taken away
//! at its end.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::host;

/// Runs a shell script on the host; what comes back is what it printed.
///
/// # Panics
/// When it fails, with everything it said.
#[track_caller]
pub fn sh(script: &str) -> String {
    let output =
        Command::new("bash").args(["-e", "-o", "pipefail", "-c", script]).output().expect("bash runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}\n  {}: {said}", output.status);
    String::from_utf8(output.stdout).expect("text")
}

/// A network on a bridge of the host's, whose first address is the host's.
pub fn bridge(name: &str, device: &str, subnet: &str) -> Value {
    json!({
        "cniVersion": "0.4.0", "name": name, "type": "bridge", "bridge": device, "isGateway": true,
        "ipam": { "type": "host-local", "subnet": subnet },
    })
}

/// A local configuration directory with networks.
#[derive(Debug)]
pub struct NetD {
    root: TempDir,
}

impl NetD {
    /// One without networks.
    ///
    /// # Panics
    /// Outside the KVM host.
    pub fn new() -> Self {
        let root =
            tempfile::Builder::new().prefix("config-").tempdir_in(host::data_dir()).expect("a directory");
        fs::create_dir(root.path().join("net.d")).expect("a directory for networks");
        Self { root }
    }

    /// With a network.
    ///
    /// # Panics
    /// When the file cannot be written.
    #[must_use]
    pub fn with(self, file: &str, config: &Value) -> Self {
        self.write(file, &config.to_string(), 0o644);
        self
    }

    /// Writes a file; with an executable mode it is a plugin.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, file: &str, text: &str, mode: u32) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.root.path().join("net.d").join(file);
        fs::write(&path, text).expect("write a configuration");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set its mode");
        path
    }

    /// The directory, for `--local-config`.
    pub fn path(&self) -> &Path {
        self.root.path()
    }
}

impl Default for NetD {
    fn default() -> Self {
        Self::new()
    }
}

/// Another host: a network namespace on a cable to this one, without a route to anything else.
#[derive(Debug)]
pub struct Peer {
    name: &'static str,
}

impl Peer {
    /// A host with a name of at most 12 letters. Both ends of the cable, `NAME0` here and `eth0` there, get addresses.
    ///
    /// # Panics
    /// When it cannot be made.
    #[track_caller]
    pub fn new(name: &'static str, here: &str, there: &str) -> Self {
        sh(&format!(
            "ip netns add {name}
             ip link add {name}0 type veth peer name eth0 netns {name}
             ip addr add {here} dev {name}0
             ip link set {name}0 up
             ip -n {name} addr add {there} dev eth0
             ip -n {name} link set lo up
             ip -n {name} link set eth0 up"
        ));
        Self { name }
    }

    /// A command in it. Only the network is another one.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.name)).arg(program);
        command
    }

    /// Runs a shell script in it.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn sh(&self, script: &str) -> String {
        sh(&format!(
            "nsenter --net=/run/netns/{} bash -e -o pipefail <<'SCRIPT'\n{script}\nSCRIPT",
            self.name
        ))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Processes in it first: they keep it.
        let name = self.name;
        let script =
            format!("ip netns pids {name} | xargs -r kill -9; ip netns del {name}; ip link del {name}0");
        let _ = Command::new("bash").args(["-c", &script]).stderr(std::process::Stdio::null()).status();
    }
}
