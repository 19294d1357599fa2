//! What will be done for a pod's networks, decided before anything is.

use std::path::{Path, PathBuf};

use appc::PodManifest;
use serde_json::{Value, json};

use super::{
    NetworkError,
    chain::takes_ports,
    choice::Choice,
    config::{self, Network, PluginConfig},
    flannel,
    plugin::{LIMIT, Plugins},
    ports::{self, PortMapping},
    record::Attachment,
};

/// What the stage1 image brings, relative to a pod's directory.
const STAGE1: &str = "stage1/rootfs";
/// What the distribution configures, unless the user says where.
const SYSTEM_CONFIG: &str = "/usr/lib/rkt";
/// Where rkt's own plugins are, on the host and in the stage1 image.
const OWN_PLUGINS: &str = "/usr/lib/rkt/plugins/net";
/// Where others install plugins: their authors, and Debian.
const COMMON_PLUGINS: [&str; 2] = ["/opt/cni/bin", "/usr/lib/cni"];

/// A pod's networks, none of which has been joined yet.
#[derive(Debug)]
pub struct Plan {
    /// The networks in the order they will be joined.
    pub attachments: Vec<Attachment>,
    /// Where their plugins are.
    pub plugins: Plugins,
}

/// Where plugins are looked for, on behalf of the pod in directory `pod`.
pub fn plugins(pod: &Path, local_config: Option<&Path>) -> Plugins {
    let own = [PathBuf::from(OWN_PLUGINS), pod.join(STAGE1).join(OWN_PLUGINS.trim_start_matches('/'))];
    let local = local_config.map(|directory| directory.join("net.d"));
    let directories = local.into_iter().chain(own).chain(COMMON_PLUGINS.map(PathBuf::from)).collect();
    Plugins { directories, limit: LIMIT }
}

/// Where networks are configured, the least important first.
pub fn configurations(pod: &Path, system_config: Option<&Path>, local_config: Option<&Path>) -> Vec<PathBuf> {
    let built_in = pod.join(STAGE1).join("etc/rkt");
    let system = system_config.unwrap_or(Path::new(SYSTEM_CONFIG));
    let directories = [built_in.as_path(), system].into_iter().chain(local_config);
    directories.map(|directory| directory.join("net.d")).collect()
}

impl Plan {
    /// Decides from `--net` and the forwarded ports of the manifest.
    pub fn new(
        choice: &Choice,
        manifest: &PodManifest,
        configurations: &[PathBuf],
        plugins: Plugins,
    ) -> Result<Self, NetworkError> {
        let mut attachments = Vec::new();
        if !choice.is_none() {
            for (index, network) in chosen(choice, configurations)?.into_iter().enumerate() {
                let arguments = choice.named.get(&network.name).cloned().unwrap_or_default();
                attachments.push(attachment(network, index, arguments)?);
            }
        }
        forward(&mut attachments, ports::mappings(manifest)?)?;
        for attachment in &attachments {
            check_plugins(attachment, &plugins)?;
        }
        Ok(Plan { attachments, plugins })
    }
}

/// The configurations of the networks asked for, in the order of their files.
fn chosen(choice: &Choice, configurations: &[PathBuf]) -> Result<Vec<Network>, NetworkError> {
    let mut networks = config::load(configurations)?;
    let missing: Vec<_> = choice
        .named
        .keys()
        .filter(|name| !networks.iter().any(|network| network.name == **name))
        .cloned()
        .collect();
    if !missing.is_empty() {
        return Err(NetworkError::Unknown { names: missing, directories: configurations.to_vec() });
    }
    networks.retain(|network| choice.all || choice.named.contains_key(&network.name));
    Ok(networks)
}

fn attachment(network: Network, index: usize, arguments: String) -> Result<Attachment, NetworkError> {
    let expand = |plugin: PluginConfig| match Attachment::kind(&plugin) {
        "flannel" => flannel::delegate(&plugin)
            .map_err(|source| NetworkError::Flannel { network: network.name.clone(), source }),
        _ => Ok(plugin),
    };
    let plugins = network.plugins.into_iter().map(expand).collect::<Result<_, _>>()?;
    Ok(Attachment {
        network: network.name,
        file: network.file,
        interface: format!("eth{index}"),
        arguments,
        plugins,
        ports: Vec::new(),
        result: None,
    })
}

/// Leads ports over the first network that masquerades, else over the last (`rkt-reference` §8.5).
fn forward(attachments: &mut [Attachment], ports: Vec<PortMapping>) -> Result<(), NetworkError> {
    if ports.is_empty() {
        return Ok(());
    }
    let masquerades = |attachment: &Attachment| {
        attachment.plugins.iter().any(|plugin| plugin.get("ipMasq") == Some(&Value::Bool(true)))
    };
    let index = attachments.iter().position(masquerades).or(attachments.len().checked_sub(1));
    let target = index.and_then(|index| attachments.get_mut(index)).ok_or(NetworkError::NoWay)?;
    if !target.plugins.iter().any(takes_ports) {
        let mut portmap = PluginConfig::new();
        portmap.insert("type".into(), "portmap".into());
        portmap.insert("capabilities".into(), json!({ "portMappings": true }));
        portmap.insert("snat".into(), true.into());
        portmap.insert("name".into(), target.network.clone().into());
        let version = target.plugins.first().and_then(|plugin| plugin.get("cniVersion"));
        portmap.extend(version.map(|version| ("cniVersion".to_owned(), version.clone())));
        target.plugins.push(portmap);
    }
    target.ports = ports;
    Ok(())
}

/// Plugins that are missing are told before anything is made.
fn check_plugins(attachment: &Attachment, plugins: &Plugins) -> Result<(), NetworkError> {
    for plugin in &attachment.plugins {
        let address_manager = plugin.get("ipam").and_then(Value::as_object).cloned().map(config::spelled);
        let address_manager = address_manager.as_ref().map(Attachment::kind).filter(|kind| !kind.is_empty());
        for name in [Attachment::kind(plugin)].into_iter().chain(address_manager) {
            plugins
                .find(name)
                .map_err(|source| NetworkError::Join { network: attachment.network.clone(), source })?;
        }
    }
    Ok(())
}
