//! The command lines with which stage0 calls the entrypoints (`rkt-reference` §3.2).

mod app;
mod attach;
mod flag;
mod look;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use app::AppArguments;
pub use attach::{AttachArguments, AttachMode, Endpoints};
use flag::Flag;
pub use look::LookArguments;

/// What `run` is told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunArguments {
    /// Tell more, and show the guest's console.
    pub debug: bool,
    /// `--net`, as the user gave it: names with their arguments.
    pub networks: String,
    /// Standard input belongs to the app.
    pub interactive: bool,
    /// Where the distribution's network configurations are, if not where they usually are.
    pub system_config: Option<PathBuf>,
    /// Where the administrator's network configurations are.
    pub local_config: Option<PathBuf>,
    /// The host name, if the user chose one.
    pub hostname: Option<String>,
    /// Where resolv.conf and hosts come from.
    pub dns: DnsMode,
    /// `--disable-capabilities-restriction`.
    pub disable_capabilities: bool,
    /// `--disable-paths`.
    pub disable_paths: bool,
    /// `--disable-seccomp`.
    pub disable_seccomp: bool,
    /// Do not filter the VMM's own system calls.
    pub disable_seccomp_vmm: bool,
    /// Leave the VMM all its rights.
    pub disable_jail: bool,
    /// Apps come and go while the pod runs.
    pub mutable: bool,
    /// The pod's UUID.
    pub uuid: String,
}

/// What `gc` is told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GcArguments {
    /// Tell more.
    pub debug: bool,
    /// Where the administrator's network configurations are.
    pub local_config: Option<PathBuf>,
    /// The pod's UUID.
    pub uuid: String,
}

/// What `stop` is told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StopArguments {
    /// End the pod at once instead of ending its apps.
    pub force: bool,
    /// The pod's UUID.
    pub uuid: String,
}

/// What `enter` is told. The last three came with version 7 of the interface.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EnterArguments {
    /// Tell more.
    pub debug: bool,
    /// The app.
    pub app: String,
    /// The command and its arguments.
    pub command: Vec<String>,
    /// `USER[:GROUP]`; root if none.
    pub user: Option<String>,
    /// Where the command starts; where the app does if none.
    pub working_directory: Option<String>,
    /// Variables over those of the app.
    pub environment: Vec<(String, String)>,
}

/// `--dns-conf-mode`: where the two files of name resolution come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DnsMode {
    /// `/etc/resolv.conf`.
    pub resolv: FileSource,
    /// `/etc/hosts`; never [`FileSource::None`].
    pub hosts: FileSource,
}

/// Where a file of name resolution comes from (`rkt-reference` §8.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FileSource {
    /// The image's own, or what the network says.
    #[default]
    Default,
    /// The host's.
    Host,
    /// The one stage0 wrote into the pod.
    Stage0,
    /// Nowhere.
    None,
}

/// Why a command line is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentError {
    /// No flag of this entrypoint.
    #[error("Unknown flag {0:?}")]
    UnknownFlag(String),
    /// A flag without the value it needs.
    #[error("Flag {0} needs a value")]
    MissingValue(&'static str),
    /// A value that the flag does not know.
    #[error("Invalid value {value:?} of flag {flag}")]
    InvalidValue {
        /// The flag.
        flag: &'static str,
        /// What was given.
        value: String,
    },
    /// Not exactly one word besides the flags.
    #[error("Expected one pod UUID, got {0} words")]
    NotOneUuid(usize),
    /// Nothing after `--`.
    #[error("There is no command to run")]
    NoCommand,
    /// The last word is no UUID.
    #[error("Invalid pod UUID {0:?}")]
    InvalidUuid(String),
    /// User namespaces around a VM.
    #[error("A pod in a virtual machine has users of its own already (remove --private-users)")]
    PrivateUsers,
    /// IPC shared with the host.
    #[error("A virtual machine cannot share the host's IPC (try to remove --ipc)")]
    ParentIpc,
}

impl RunArguments {
    /// Reads the words after the program's name.
    pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Self, ArgumentError> {
        let mut arguments = RunArguments::default();
        let mut rest = Vec::new();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let Some(flag) = Flag::of(&word) else {
                rest.push(word);
                continue;
            };
            match flag.name {
                "--debug" => arguments.debug = flag.switch("--debug")?,
                "--net" => arguments.networks = flag.value("--net", &mut words)?,
                "--interactive" => arguments.interactive = flag.switch("--interactive")?,
                "--private-users" => return Err(ArgumentError::PrivateUsers),
                // Only pods with a network the host can be reached over have a metadata service.
                "--mds-token" => drop(flag.value("--mds-token", &mut words)?),
                "--local-config" => {
                    arguments.local_config = Some(flag.value("--local-config", &mut words)?.into());
                }
                "--system-config" => {
                    arguments.system_config = Some(flag.value("--system-config", &mut words)?.into());
                }
                "--hostname" => arguments.hostname = Some(hostname(flag.value("--hostname", &mut words)?)?),
                "--dns-conf-mode" => {
                    arguments.dns = DnsMode::parse(&flag.value("--dns-conf-mode", &mut words)?)?
                }
                "--disable-capabilities-restriction" => {
                    arguments.disable_capabilities = flag.switch("--disable-capabilities-restriction")?;
                }
                "--disable-paths" => arguments.disable_paths = flag.switch("--disable-paths")?,
                "--disable-seccomp" => arguments.disable_seccomp = flag.switch("--disable-seccomp")?,
                "--disable-seccomp-vmm" => {
                    arguments.disable_seccomp_vmm = flag.switch("--disable-seccomp-vmm")?;
                }
                "--disable-jail" => arguments.disable_jail = flag.switch("--disable-jail")?,
                "--mutable" => arguments.mutable = flag.switch("--mutable")?,
                "--ipc" => ipc(flag.value("--ipc", &mut words)?)?,
                _ => return Err(ArgumentError::UnknownFlag(word)),
            }
        }
        arguments.uuid = one_uuid(rest)?;
        Ok(arguments)
    }
}

impl GcArguments {
    /// Reads the words after the program's name.
    pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Self, ArgumentError> {
        let mut arguments = GcArguments::default();
        let mut rest = Vec::new();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let Some(flag) = Flag::of(&word) else {
                rest.push(word);
                continue;
            };
            match flag.name {
                "--debug" => arguments.debug = flag.switch("--debug")?,
                "--local-config" => {
                    arguments.local_config = Some(flag.value("--local-config", &mut words)?.into());
                }
                _ => return Err(ArgumentError::UnknownFlag(word)),
            }
        }
        arguments.uuid = one_uuid(rest)?;
        Ok(arguments)
    }
}

impl StopArguments {
    /// Reads the words after the program's name.
    pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Self, ArgumentError> {
        let mut arguments = StopArguments::default();
        let mut rest = Vec::new();
        for word in words {
            match Flag::of(&word) {
                None => rest.push(word),
                Some(flag) if flag.name == "--force" => arguments.force = flag.switch("--force")?,
                Some(_) => return Err(ArgumentError::UnknownFlag(word)),
            }
        }
        arguments.uuid = one_uuid(rest)?;
        Ok(arguments)
    }
}

impl EnterArguments {
    /// Reads the words after the program's name.
    pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Self, ArgumentError> {
        let mut arguments = EnterArguments::default();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            if word == "--" {
                arguments.command = words.by_ref().collect();
                break;
            }
            let flag = Flag::of(&word).ok_or_else(|| ArgumentError::UnknownFlag(word.clone()))?;
            match flag.name {
                "--debug" => arguments.debug = flag.switch("--debug")?,
                // The process is inside the guest, where its number says nothing.
                "--pid" => drop(flag.value("--pid", &mut words)?),
                "--appname" => arguments.app = flag.value("--appname", &mut words)?,
                "--user" => arguments.user = Some(flag.value("--user", &mut words)?),
                "--working-directory" => {
                    arguments.working_directory = Some(flag.value("--working-directory", &mut words)?);
                }
                "--env" => arguments.environment.push(variable(flag.value("--env", &mut words)?)?),
                _ => return Err(ArgumentError::UnknownFlag(word)),
            }
        }
        match (arguments.app.is_empty(), arguments.command.is_empty()) {
            (true, _) => Err(ArgumentError::MissingValue("--appname")),
            (_, true) => Err(ArgumentError::NoCommand),
            _ => Ok(arguments),
        }
    }
}

impl DnsMode {
    fn parse(text: &str) -> Result<Self, ArgumentError> {
        let invalid = || ArgumentError::InvalidValue { flag: "--dns-conf-mode", value: text.to_owned() };
        let mut mode = DnsMode::default();
        for part in text.split(',') {
            let (file, source) = part.split_once('=').ok_or_else(invalid)?;
            let source = match source {
                "default" => FileSource::Default,
                "host" => FileSource::Host,
                "stage0" => FileSource::Stage0,
                "none" if file == "resolv" => FileSource::None,
                _ => return Err(invalid()),
            };
            match file {
                "resolv" => mode.resolv = source,
                "hosts" => mode.hosts = source,
                _ => return Err(invalid()),
            }
        }
        Ok(mode)
    }
}

fn variable(text: String) -> Result<(String, String), ArgumentError> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(ArgumentError::InvalidValue { flag: "--env", value: text }),
    }
}

/// Host names go into the guest's kernel and files: refused where those could not hold them.
fn hostname(name: String) -> Result<String, ArgumentError> {
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if (1..=64).contains(&name.len()) && name.chars().all(valid) {
        return Ok(name);
    }
    Err(ArgumentError::InvalidValue { flag: "--hostname", value: name })
}

fn ipc(mode: String) -> Result<(), ArgumentError> {
    match mode.as_str() {
        "" | "auto" | "private" => Ok(()),
        "parent" => Err(ArgumentError::ParentIpc),
        _ => Err(ArgumentError::InvalidValue { flag: "--ipc", value: mode }),
    }
}

fn one_uuid(rest: Vec<String>) -> Result<String, ArgumentError> {
    let [uuid] = <[String; 1]>::try_from(rest).map_err(|rest| ArgumentError::NotOneUuid(rest.len()))?;
    let dashes = [8, 13, 18, 23];
    let fits = |(at, byte): (usize, u8)| match dashes.contains(&at) {
        true => byte == b'-',
        false => byte.is_ascii_hexdigit(),
    };
    if uuid.len() == 36 && uuid.bytes().enumerate().all(fits) {
        return Ok(uuid);
    }
    Err(ArgumentError::InvalidUuid(uuid))
}
