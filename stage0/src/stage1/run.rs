//! The arguments of stage1's `run` entrypoint (reference §3.2).

use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::insecure::InsecureOptions;

/// Who provides the pod's resolv.conf.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DnsMode {
    /// The image, or the network if it has a name server.
    #[default]
    Default,
    /// The host.
    Host,
    /// stage0, from flags.
    Stage0,
    /// Nobody.
    None,
}

/// Who provides the pod's hosts file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HostsMode {
    /// The image, or stage1 if it has none.
    #[default]
    Default,
    /// The host.
    Host,
    /// stage0, from flags.
    Stage0,
}

impl DnsMode {
    fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Host => "host",
            Self::Stage0 => "stage0",
            Self::None => "none",
        }
    }
}

impl HostsMode {
    fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Host => "host",
            Self::Stage0 => "stage0",
        }
    }
}

/// What stage1's `run` entrypoint is told.
#[derive(Debug, Clone)]
pub struct RunArguments {
    /// Show what happens.
    pub debug: bool,
    /// The networks.
    pub net: String,
    /// Connect the terminal.
    pub interactive: bool,
    /// Where the distribution's networks are configured, if not where stage1 expects them.
    pub system_config: Option<PathBuf>,
    /// Where the user's networks are configured.
    pub local_config: PathBuf,
    /// The pod's hostname, if the user gave one.
    pub hostname: Option<String>,
    /// Who provides resolv.conf.
    pub dns: DnsMode,
    /// Who provides the hosts file.
    pub hosts: HostsMode,
    /// Protections given up.
    pub insecure: InsecureOptions,
    /// Whether apps come and go while the pod runs.
    pub mutable: bool,
    /// How IPC is shared, if the user said so.
    pub ipc: Option<String>,
    /// The pod.
    pub uuid: Uuid,
}

impl RunArguments {
    /// The arguments a stage1 with this interface version takes, and the options it is too old for.
    pub fn for_version(&self, version: u32) -> (Vec<String>, Vec<&'static str>) {
        let mut arguments = Vec::new();
        let mut dropped = Vec::new();
        let mut add = |wanted: bool, since: u32, option: &'static str, argument: String| match wanted {
            true if version >= since => arguments.push(argument),
            true => dropped.push(option),
            false => {}
        };
        add(self.debug, 1, "--debug", "--debug".to_owned());
        add(true, 1, "--net", format!("--net={}", self.net));
        add(self.interactive, 1, "--interactive", "--interactive".to_owned());
        add(true, 1, "--local-config", format!("--local-config={}", self.local_config.display()));
        let hostname = self.hostname.as_deref().unwrap_or_default();
        add(!hostname.is_empty(), 2, "--hostname", format!("--hostname={hostname}"));
        let generated = self.dns != DnsMode::Default || self.hosts != HostsMode::Default;
        let modes = format!("--dns-conf-mode=resolv={},hosts={}", self.dns.as_str(), self.hosts.as_str());
        add(generated, 4, "--dns-conf-mode", modes);
        for (wanted, option) in [
            (self.insecure.capabilities(), "--disable-capabilities-restriction"),
            (self.insecure.paths(), "--disable-paths"),
            (self.insecure.seccomp(), "--disable-seccomp"),
        ] {
            add(wanted, 3, option, option.to_owned());
        }
        for (wanted, option) in
            [(self.insecure.seccomp_vmm(), "--disable-seccomp-vmm"), (self.insecure.jail(), "--disable-jail")]
        {
            add(wanted, 9, option, option.to_owned());
        }
        add(self.mutable, 1, "--mutable", "--mutable".to_owned());
        let ipc = self.ipc.as_deref().unwrap_or_default();
        add(!ipc.is_empty(), 6, "--ipc", format!("--ipc={ipc}"));
        let system = self.system_config.as_deref().unwrap_or(Path::new(""));
        let argument = format!("--system-config={}", system.display());
        add(self.system_config.is_some(), 7, "--system-config", argument);
        arguments.push(self.uuid.to_string());
        (arguments, dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn everything() -> RunArguments {
        RunArguments {
            debug: true,
            net: "none".to_owned(),
            interactive: true,
            system_config: Some("/usr/share/rkt".into()),
            local_config: "/etc/rkt".into(),
            hostname: Some("h".to_owned()),
            dns: DnsMode::Stage0,
            hosts: HostsMode::Default,
            insecure: "all-run,seccomp-vmm,jail".parse().unwrap(),
            mutable: true,
            ipc: Some("private".to_owned()),
            uuid: Uuid::nil(),
        }
    }

    const NIL: &str = "00000000-0000-0000-0000-000000000000";

    #[test]
    fn the_order_is_fixed() {
        let (arguments, dropped) = everything().for_version(9);
        assert_eq!(
            arguments,
            [
                "--debug",
                "--net=none",
                "--interactive",
                "--local-config=/etc/rkt",
                "--hostname=h",
                "--dns-conf-mode=resolv=stage0,hosts=default",
                "--disable-capabilities-restriction",
                "--disable-paths",
                "--disable-seccomp",
                "--disable-seccomp-vmm",
                "--disable-jail",
                "--mutable",
                "--ipc=private",
                "--system-config=/usr/share/rkt",
                NIL,
            ]
        );
        assert!(dropped.is_empty());
    }

    #[test]
    fn what_is_not_wanted_is_not_said() {
        let plain = RunArguments {
            debug: false,
            net: "default".to_owned(),
            interactive: false,
            system_config: None,
            hostname: None,
            dns: DnsMode::Default,
            insecure: InsecureOptions::default(),
            mutable: false,
            ipc: None,
            ..everything()
        };
        assert_eq!(plain.for_version(6).0, ["--net=default", "--local-config=/etc/rkt", NIL]);
    }

    #[test]
    fn an_old_stage1_is_spared_what_it_does_not_know() {
        let (arguments, dropped) = everything().for_version(1);
        assert_eq!(
            arguments,
            ["--debug", "--net=none", "--interactive", "--local-config=/etc/rkt", "--mutable", NIL]
        );
        assert_eq!(dropped.len(), 9);
        let unknown = ["--disable-seccomp-vmm", "--disable-jail", "--ipc", "--system-config"];
        assert_eq!(everything().for_version(5).1, unknown);
    }
}
