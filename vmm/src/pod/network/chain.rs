//! Joining and leaving one network: its plugins one after the other (CNI specification, "Execution of network
//! configurations").

use std::path::Path;

use serde_json::{Value, json};

use super::{
    config::PluginConfig,
    masquerade,
    plugin::{Action, Call, PluginError, Plugins},
    record::Attachment,
};
use crate::pod::signals::Signals;

/// The capability through which plugins learn of forwarded ports.
const PORT_MAPPINGS: &str = "portMappings";

/// Calls every plugin to join, each with the answer of the one before it. The last one's is kept. A signal that asks for
/// the pod's end ends this.
pub fn add(
    attachment: &mut Attachment,
    plugins: &Plugins,
    container: &str,
    namespace: &Path,
    signals: Option<&Signals>,
) -> Result<(), PluginError> {
    let mut result = None;
    for plugin in &attachment.plugins {
        let config = config(attachment, plugin, result.as_ref());
        let call = Call { signals, ..call(attachment, Action::Add, container, Some(namespace)) };
        result = Some(plugins.add(Attachment::kind(plugin), &config, &call)?);
    }
    attachment.result = result;
    Ok(())
}

/// Calls every plugin to leave, the last one first, whatever the others say. The first error is told.
pub fn del(
    attachment: &Attachment,
    plugins: &Plugins,
    container: &str,
    namespace: Option<&Path>,
    mut say: impl FnMut(&str),
) -> Result<(), PluginError> {
    let mut outcome = Ok(());
    for plugin in attachment.plugins.iter().rev() {
        let kind = Attachment::kind(plugin);
        say(&format!("teardown - executing net-plugin {kind}"));
        let config = config(attachment, plugin, attachment.result.as_ref());
        let leave = || plugins.del(kind, &config, &call(attachment, Action::Del, container, namespace));
        // It has removed the interface before it failed, and does not look for masquerading without one.
        let left = leave().or_else(|error| if masquerade::is_missing(&error) { leave() } else { Err(error) });
        outcome = outcome.and(left);
    }
    outcome
}

/// Whether a plugin takes forwarded ports.
pub fn takes_ports(plugin: &PluginConfig) -> bool {
    plugin.get("capabilities").and_then(|all| all.get(PORT_MAPPINGS)) == Some(&Value::Bool(true))
}

fn call<'a>(
    attachment: &'a Attachment,
    command: Action,
    container: &'a str,
    namespace: Option<&'a Path>,
) -> Call<'a> {
    let Attachment { interface, arguments, .. } = attachment;
    Call { command, container, namespace, interface, arguments, signals: None }
}

/// A plugin's configuration with what is known at run time.
fn config(attachment: &Attachment, plugin: &PluginConfig, result: Option<&Value>) -> Value {
    let mut config = plugin.clone();
    if takes_ports(plugin) && !attachment.ports.is_empty() {
        config.insert("runtimeConfig".into(), json!({ PORT_MAPPINGS: attachment.ports }));
    }
    if let Some(result) = result {
        config.insert("prevResult".into(), result.clone());
    }
    Value::Object(config)
}
