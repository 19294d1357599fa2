//! The pod's networks (`rkt-reference` §8): CNI plugins make interfaces in a network namespace of the pod on the host,
//! and each is joined to a tap that the guest's network device is the other end of.
//!
//! ```text
//!  --net, net.d ──▶ Plan ──▶ Networks::prepare   namespace, ports, record in the pod's directory
//!                            Networks::set_up    plugins, taps ──▶ devices of the machine, PodSpec of the guest
//!                            Networks::tear_down plugins again, in reverse
//!           gc (after a crash) ──────▶ tear_down_left
//! ```

mod chain;
mod choice;
mod config;
mod error;
mod flannel;
mod join;
mod link;
mod masquerade;
mod namespace;
mod neighbours;
mod plan;
mod plugin;
mod ports;
mod record;
mod result;
#[cfg(test)]
mod tests;

use std::{fs::File, os::fd::OwnedFd, path::Path};

use agent::protocol::Interface;
use appc::PodManifest;
use serde::{Deserialize, Serialize};

pub use error::NetworkError;
pub use join::Port;

use self::{
    choice::Choice,
    namespace::Namespace,
    plan::Plan,
    plugin::Plugins,
    record::{Attachment, Record},
    result::Outcome,
};
use super::{arguments::RunArguments, directory::PodDirectory, signals::Signals};

/// What the guest learns of its networks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestNetwork {
    /// Its interfaces.
    pub interfaces: Vec<Interface>,
    /// What the networks say about name servers, as resolv.conf.
    pub resolv_conf: Option<String>,
}

/// The networks of a pod that runs.
#[derive(Debug)]
pub struct Networks {
    uuid: String,
    directory: PodDirectory,
    debug: bool,
    plugins: Plugins,
    record: Record,
    /// None without networks.
    namespace: Option<Namespace>,
    set_up: bool,
}

impl Networks {
    /// Decides what to do, and makes what must be among the host's mounts. Nothing is left behind when this fails; after
    /// it, [`Networks::tear_down`] must be called.
    pub fn prepare(
        arguments: &RunArguments,
        manifest: &PodManifest,
        directory: &PodDirectory,
    ) -> Result<Self, NetworkError> {
        let local_config = arguments.local_config.as_deref();
        let choice = Choice::parse(&arguments.networks)?;
        let configurations =
            plan::configurations(directory.root(), arguments.system_config.as_deref(), local_config);
        let plugins = plan::plugins(directory.root(), local_config);
        let plan = Plan::new(&choice, manifest, &configurations, plugins)?;
        Self::of_plan(plan, &arguments.uuid, directory, arguments.debug)
    }

    fn of_plan(plan: Plan, uuid: &str, directory: &PodDirectory, debug: bool) -> Result<Self, NetworkError> {
        let mut networks = Networks {
            uuid: uuid.to_owned(),
            directory: directory.clone(),
            debug,
            plugins: plan.plugins,
            record: Record { attachments: plan.attachments, left: false },
            namespace: None,
            set_up: false,
        };
        if !networks.record.attachments.is_empty() {
            neighbours::reserve(&networks.record, directory)?;
            if let Err(error) = networks.make_namespace() {
                networks.tear_down();
                return Err(error);
            }
        }
        Ok(networks)
    }

    fn make_namespace(&mut self) -> Result<(), NetworkError> {
        let namespace = Namespace::create(&self.uuid)?;
        let path = format!("{}\n", namespace.path().display());
        self.namespace = Some(namespace);
        Ok(self.directory.write_file(record::NAMESPACE, &path)?)
    }

    /// A way into the pod's network namespace, if it has one.
    pub fn namespace(&self) -> std::io::Result<Option<OwnedFd>> {
        self.namespace.as_ref().map(|namespace| Ok(File::open(namespace.path())?.into())).transpose()
    }

    /// Joins the networks: plugins first, then a tap of so many queue pairs for each interface they made. A signal that
    /// asks for the pod's end ends the plugins, and this with [`NetworkError::stopped`].
    pub fn set_up(
        &mut self,
        queue_pairs: u16,
        signals: Option<&Signals>,
    ) -> Result<(Vec<Port>, GuestNetwork), NetworkError> {
        let Some(namespace) = &self.namespace else { return Ok(Default::default()) };
        let mut outcomes = Vec::new();
        for index in 0..self.record.attachments.len() {
            let attachment = &mut self.record.attachments[index];
            let network = attachment.network.clone();
            let kind = attachment.plugins.first().map(Attachment::kind).unwrap_or_default();
            say(self.debug, &format!("loading network {network} with type {kind}"));
            chain::add(attachment, &self.plugins, &self.uuid, namespace.path(), signals)
                .map_err(|source| NetworkError::Join { network: network.clone(), source })?;
            let result = attachment.result.clone().unwrap_or_default();
            let outcome = Outcome::of(&result);
            outcomes.push(outcome.map_err(|what| NetworkError::Result { network, what })?);
            // Plugins want their answer back when they undo what they did.
            self.record.save(&self.directory)?;
        }
        let ports = join::join(namespace, &self.record.attachments, queue_pairs)?;
        let joined: Vec<_> = self.record.attachments.iter().zip(&outcomes).collect();
        record::write_net_info(&self.directory, &joined, |name| self.plugins.find(name).ok())?;
        self.set_up = true;
        let interfaces = ports.iter().map(|port| port.interface.clone()).collect();
        let named = joined.iter().find(|(_, outcome)| !outcome.dns.is_empty());
        let resolv_conf = named.map(|(attachment, outcome)| outcome.dns.resolv_conf(&attachment.network));
        Ok((ports, GuestNetwork { interfaces, resolv_conf }))
    }

    /// Leaves the networks. What cannot be undone is told, and left to `gc`.
    pub fn tear_down(mut self) {
        if self.record.attachments.is_empty() {
            return;
        }
        let path = self.namespace.as_ref().map(Namespace::path);
        // Plugins that failed to join have said why; they are called for what they may have done before.
        let heard = |attachment: &Attachment| attachment.result.is_some();
        let left = leave(&self.record, &self.plugins, &self.uuid, path, heard, self.debug);
        let removed = self.namespace.take().map_or(Ok(()), Namespace::remove).map_err(NetworkError::from);
        let noted = match left.and(removed) {
            // A pod that never had its networks is none that has left them.
            Ok(()) if !self.set_up => Record::remove(&self.directory),
            Ok(()) => {
                self.record.left = true;
                self.record.save(&self.directory)
            }
            Err(error) => {
                super::report(&error, self.debug);
                Ok(())
            }
        };
        if let Err(error) = noted {
            super::report(&error, self.debug);
        }
    }
}

/// Leaves the networks of a pod whose process is gone, as far as it had joined them. May be called again.
pub fn tear_down_left(
    directory: &PodDirectory,
    uuid: &str,
    local_config: Option<&Path>,
    debug: bool,
) -> Result<(), NetworkError> {
    let mut left = Ok(());
    // Before the plugins are called: their lines are the last ones `rkt gc --debug` shows (`rkt-reference` §4.4).
    let namespace = Namespace::find(uuid);
    if let Some(mut record) = Record::load(directory)? {
        let plugins = plan::plugins(directory.root(), local_config);
        left = leave(&record, &plugins, uuid, namespace.as_deref(), |_| true, debug);
        record.left |= left.is_ok();
        record.save(directory)?;
    }
    Namespace::remove_left(uuid)?;
    left
}

/// Leaves every network, the last one joined first, whatever the others say. The first error is told, of those
/// networks whose plugins are heard.
fn leave(
    record: &Record,
    plugins: &Plugins,
    uuid: &str,
    namespace: Option<&Path>,
    heard: impl Fn(&Attachment) -> bool,
    debug: bool,
) -> Result<(), NetworkError> {
    let mut outcome = Ok(());
    for attachment in record.attachments.iter().rev() {
        let left = chain::del(attachment, plugins, uuid, namespace, |line| say(debug, line));
        let left = left.map_err(|source| NetworkError::Leave { network: attachment.network.clone(), source });
        if heard(attachment) {
            outcome = outcome.and(left);
        }
    }
    outcome
}

/// Tells those who want to know (`rkt-reference` §8.3).
fn say(debug: bool, line: &str) {
    if debug {
        super::diagnostics::print_line(&format!("networking: {line}"));
    }
}
