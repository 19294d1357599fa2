//! Network configurations: the files of `net.d` (`rkt-reference` §8.2).

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

/// The configuration of one plugin.
pub type PluginConfig = Map<String, Value>;

/// The largest configuration that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;
/// Keys that are read here, as CNI spells them; users write them in any case, as Go's decoder always let them.
const KEYS: [&str; 11] = [
    "name",
    "type",
    "cniVersion",
    "plugins",
    "capabilities",
    "ipMasq",
    "ipam",
    "subnetFile",
    "delegate",
    "prevResult",
    "runtimeConfig",
];

/// A network that pods can join.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// The file it is configured in.
    pub file: PathBuf,
    /// Its plugins in the order of their calls, each with the network's name and version. Never empty.
    pub plugins: Vec<PluginConfig>,
}

/// Why the networks cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file or directory.
    #[error("Cannot read network configuration {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No JSON.
    #[error("Invalid network configuration {}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// JSON that configures no network.
    #[error("Invalid network configuration {}: {what}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

/// Loads every network configured in the directories, the later of which override the earlier. In the order of the
/// files' names.
pub fn load(directories: &[PathBuf]) -> Result<Vec<Network>, ConfigError> {
    let mut networks: BTreeMap<String, Network> = BTreeMap::new();
    for directory in directories {
        let mut here = BTreeMap::new();
        for file in files(directory)? {
            let network = read(&file)?;
            // As rkt did: the first file of a directory has the name.
            here.entry(network.name.clone()).or_insert(network);
        }
        networks.extend(here);
    }
    let mut networks: Vec<Network> = networks.into_values().collect();
    networks.sort_by(|a, b| a.file.file_name().cmp(&b.file.file_name()));
    Ok(networks)
}

/// The configurations in a directory, by name. A directory that is not there has none.
fn files(directory: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let failed = |source| ConfigError::Read { path: directory.to_owned(), source };
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let is_configuration = matches!(path.extension().and_then(OsStr::to_str), Some("conf" | "conflist"));
        if is_configuration && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> Result<Network, ConfigError> {
    let failed = |source| ConfigError::Read { path: path.to_owned(), source };
    let mut text = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut text)).map_err(failed)?;
    if text.len() as u64 > MAX_FILE {
        return Err(failed(io::ErrorKind::FileTooLarge.into()));
    }
    let json = serde_json::from_slice(&text)
        .map_err(|source| ConfigError::Json { path: path.to_owned(), source })?;
    network(path, json).map_err(|what| ConfigError::Content { path: path.to_owned(), what })
}

/// A network from its configuration: one plugin's, or a list.
fn network(path: &Path, json: Value) -> Result<Network, String> {
    let Value::Object(top) = json else { return Err("it is no JSON object".into()) };
    let mut top = spelled(top);
    let name = text(&top, "name")?.ok_or("it has no name")?;
    check_word("network name", &name)?;
    let version = text(&top, "cniVersion")?;
    let plugins = match top.remove("plugins") {
        None => vec![Value::Object(top)],
        Some(Value::Array(plugins)) => plugins,
        Some(_) => return Err("\"plugins\" is no list".into()),
    };
    let plugins = plugins.into_iter().map(|plugin| complete(plugin, &name, version.as_deref()));
    let plugins = plugins.collect::<Result<Vec<_>, _>>()?;
    if plugins.is_empty() {
        return Err("\"plugins\" is empty".into());
    }
    Ok(Network { name, file: path.to_owned(), plugins })
}

/// A plugin's configuration with what the network adds to it.
fn complete(plugin: Value, network: &str, version: Option<&str>) -> Result<PluginConfig, String> {
    let Value::Object(plugin) = plugin else { return Err("a plugin is no JSON object".into()) };
    let mut plugin = spelled(plugin);
    check_word("plugin type", &text(&plugin, "type")?.ok_or("it has no plugin type")?)?;
    plugin.insert("name".into(), network.into());
    if let Some(version) = version {
        plugin.insert("cniVersion".into(), version.into());
    }
    Ok(plugin)
}

/// The object with the keys that are read here as CNI spells them.
pub fn spelled(object: Map<String, Value>) -> Map<String, Value> {
    let spell = |key: String| match KEYS.iter().find(|known| known.eq_ignore_ascii_case(&key)) {
        Some(known) => (*known).to_owned(),
        None => key,
    };
    object.into_iter().map(|(key, value)| (spell(key), value)).collect()
}

fn text(object: &Map<String, Value>, key: &str) -> Result<Option<String>, String> {
    match object.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(format!("{key:?} is no string")),
    }
}

/// What CNI allows as a name; a plugin's type becomes a file name, and a network's a directory.
fn check_word(what: &str, word: &str) -> Result<(), String> {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    match word.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric()) && word.bytes().all(inner) {
        true => Ok(()),
        false => Err(format!("{what} {word:?} is not letters, digits, dots, dashes and underscores")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(directory.path().join(name), text).unwrap();
        }
        directory
    }

    fn names(directories: &[&tempfile::TempDir]) -> Vec<String> {
        let paths: Vec<_> = directories.iter().map(|directory| directory.path().to_owned()).collect();
        load(&paths).unwrap().into_iter().map(|network| network.name).collect()
    }

    #[test]
    fn the_networks_that_ship_are_there() {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../resources/net.d");
        let networks = load(&[shipped]).unwrap();
        let [restricted, default] = &networks[..] else { panic!("{networks:?}") };
        assert_eq!((restricted.name.as_str(), default.name.as_str()), ("default-restricted", "default"));
        assert_eq!(default.plugins[0]["ipam"]["subnet"], "172.16.28.0/24");
    }

    #[test]
    fn files_are_ordered_by_name_and_later_directories_override() {
        let low = directory(&[
            ("99-a.conf", r#"{"name": "a", "type": "ptp"}"#),
            ("10-b.conf", r#"{"name": "b", "type": "ptp"}"#),
            ("10-b.conf.bak", "no configuration"),
        ]);
        let high = directory(&[("05-a.conf", r#"{"name": "a", "type": "bridge"}"#)]);
        assert_eq!(names(&[&low]), ["b", "a"]);
        assert_eq!(names(&[&low, &high]), ["a", "b"]);
        let networks = load(&[low.path().into(), high.path().into(), "/nonexistent".into()]).unwrap();
        assert_eq!(networks[0].plugins[0]["type"], "bridge");
    }

    #[test]
    fn keys_are_known_in_any_case_and_the_others_stay() {
        let files = directory(&[(
            "a.conf",
            r#"{"Name": "a", "Type": "ptp", "IpMasq": true, "Ipam": {"Type": "x"}, "MTU": 9}"#,
        )]);
        let plugin = load(&[files.path().into()]).unwrap().remove(0).plugins.remove(0);
        let expected = serde_json::json!({
            "name": "a", "type": "ptp", "ipMasq": true, "ipam": {"Type": "x"}, "MTU": 9
        });
        assert_eq!(Value::Object(plugin), expected);
    }

    #[test]
    fn a_list_gives_its_plugins_name_and_version() {
        let files = directory(&[(
            "a.conflist",
            r#"{"cniVersion": "1.0.0", "name": "a", "plugins": [{"type": "bridge"}, {"type": "tuning"}]}"#,
        )]);
        let network = load(&[files.path().into()]).unwrap().remove(0);
        let plugins: Vec<Value> = network.plugins.into_iter().map(Value::Object).collect();
        let expected = serde_json::json!([
            {"cniVersion": "1.0.0", "name": "a", "type": "bridge"},
            {"cniVersion": "1.0.0", "name": "a", "type": "tuning"},
        ]);
        assert_eq!(Value::Array(plugins), expected);
    }

    #[test]
    fn what_configures_no_network_is_named_with_its_file() {
        for (text, word) in [
            ("{", "EOF"),
            ("[]", "no JSON object"),
            ("{}", "no name"),
            (r#"{"name": "a"}"#, "no plugin type"),
            (r#"{"name": 7, "type": "x"}"#, "\"name\" is no string"),
            (r#"{"name": "a", "type": "../x"}"#, "plugin type \"../x\""),
            (r#"{"name": "a b", "type": "x"}"#, "network name \"a b\""),
            (r#"{"name": "a", "plugins": []}"#, "empty"),
            (r#"{"name": "a", "plugins": {}}"#, "no list"),
            (r#"{"name": "a", "plugins": [1]}"#, "no JSON object"),
        ] {
            let files = directory(&[("bad.conf", text)]);
            let error = load(&[files.path().into()]).unwrap_err();
            let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            let line = format!("{error}: {source}");
            assert!(line.contains("bad.conf") && line.contains(word), "{line}");
        }
    }
}
