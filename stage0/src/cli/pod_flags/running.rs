//! Flags of commands that start pods: `run` and `run-prepared`.

use uuid::Uuid;

use crate::cli::GlobalFlags;
use crate::dns::DnsFlags;
use crate::launch::Start;
use crate::net::NetList;
use crate::stage1::RunArguments;

/// The longest hostname Linux takes.
const MAX_HOSTNAME: usize = 64;

/// Flags of commands that start pods.
#[derive(Debug, Clone, clap::Args)]
pub struct RunningFlags {
    /// Networks of the pod, separated by commas, each with arguments: NAME[:KEY=VALUE[;KEY=VALUE…]]; none for
    /// loopback only
    #[arg(long, value_name = "LIST", num_args = 0..=1, require_equals = true, default_missing_value = "default",
          action = clap::ArgAction::Append)]
    pub net: Vec<String>,

    #[command(flatten)]
    pub(crate) dns: DnsFlags,

    /// Hostname of the pod [default: rkt-UUID]
    #[arg(long, value_name = "NAME", value_parser = hostname)]
    pub hostname: Option<String>,

    /// Connect the terminal to the app; the pod can have only one
    #[arg(long)]
    pub interactive: bool,

    /// Refused: there is no metadata service
    #[arg(long, hide = true)]
    pub mds_register: bool,

    /// How IPC is shared with the host: auto, private, parent
    #[arg(long, value_name = "MODE", value_parser = ["auto", "private", "parent"])]
    pub ipc: Option<String>,
}

fn hostname(text: &str) -> Result<String, &'static str> {
    let valid = text.len() <= MAX_HOSTNAME
        && text.split('.').all(|label| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-'))
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    if valid || text.is_empty() {
        Ok(text.to_owned())
    } else {
        Err("must be letters, digits, dots and inner dashes, at most 64")
    }
}

/// How a pod is to run, checked and complete but for the pod itself.
#[derive(Debug)]
pub struct Running {
    arguments: RunArguments,
    resolv_conf: Option<String>,
    dns: DnsFlags,
}

impl RunningFlags {
    /// Checks the flags and turns them into what stage1 is told.
    pub fn running(&self, global: &GlobalFlags) -> anyhow::Result<Running> {
        if self.mds_register {
            anyhow::ensure!(
                !self.net_list()?.is_none(),
                "--mds-register flag does not work with --net=none. Please use 'default' or an equivalent network"
            );
            anyhow::bail!("--mds-register flag does not work: this rkt has no metadata service yet");
        }
        let (dns, resolv_conf) = self.dns.resolv_conf()?;
        let (hosts, _) = self.dns.hosts("")?;
        let arguments = RunArguments {
            debug: global.debug,
            net: self.net_list()?.as_str().to_owned(),
            interactive: self.interactive,
            system_config: global.system_config_elsewhere(),
            local_config: global.local_config.clone(),
            hostname: self.hostname.clone().filter(|name| !name.is_empty()),
            dns,
            hosts,
            insecure: global.insecure_options,
            mutable: false,
            ipc: self.ipc.clone(),
            uuid: Uuid::nil(),
        };
        Ok(Running { arguments, resolv_conf, dns: self.dns.clone() })
    }

    /// The pod's networks.
    pub fn net_list(&self) -> anyhow::Result<NetList> {
        Ok(NetList::new(&self.net)?)
    }
}

impl Running {
    /// The same for a pod whose apps come and go while it runs.
    #[must_use]
    pub fn mutable(mut self) -> Self {
        self.arguments.mutable = true;
        self
    }

    /// Completes this with the pod, and passes it on.
    pub fn with_pod<R>(mut self, uuid: Uuid, start: impl FnOnce(&Start<'_>) -> R) -> anyhow::Result<R> {
        let hostname = self.arguments.hostname.clone().unwrap_or_else(|| format!("rkt-{uuid}"));
        let (_, hosts) = self.dns.hosts(&hostname)?;
        self.arguments.uuid = uuid;
        Ok(start(&Start {
            arguments: &self.arguments,
            resolv_conf: self.resolv_conf.as_deref(),
            hosts: hosts.as_deref(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostnames_are_what_the_kernel_takes() {
        for good in ["", "a", "web-1.example.com"] {
            assert_eq!(hostname(good).as_deref(), Ok(good));
        }
        for bad in ["-a", "a-", "a..b", ".", "a b", "a_b", &"a".repeat(65)] {
            assert!(hostname(bad).is_err(), "{bad}");
        }
    }
}
