//! Masquerading that a plugin fails to take away, because it was never made.
//!
//! A plugin that is killed early has made an interface and no masquerading of its address. Debian's plugins (1.1.1) then fail to undo that:
//! iptables does not look for a rule which leads to a chain that is not there, and what it says is no "not found" to them.

use std::path::Path;

use super::plugin::PluginError;

/// Whether that is why a plugin failed.
pub fn is_missing(error: &PluginError) -> bool {
    matches!(error, PluginError::Failed { message, .. } if misses_chain(message))
}

fn misses_chain(message: &str) -> bool {
    missing_chain(message).is_some_and(|chain| chain.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The name of the chain behind `CNI-`.
fn missing_chain(message: &str) -> Option<&str> {
    let (_, run) = message.split_once("running [")?;
    let (program, arguments) = run.split_once(' ')?;
    let name = Path::new(program).file_name()?;
    let (arguments, complaint) = arguments.split_once("]: exit status ")?;
    let (_, rest) = complaint.split_once("Chain 'CNI-")?;
    let (chain, rest) = rest.split_once('\'')?;
    let is_this = (name == "iptables" || name == "ip6tables")
        && arguments.starts_with("-t nat -D POSTROUTING ")
        && rest.starts_with(" does not exist");
    is_this.then_some(chain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_missing_chain_of_cnis_is_found() {
        let said = |command: &str, complaint: &str| {
            format!(
                "running [{command} -j CNI-2fc5 -m comment --comment name: \"n\" id: \"i\" --wait]: {complaint}"
            )
        };
        let delete = "/usr/sbin/ip6tables -t nat -D POSTROUTING -s fd00::2";
        let missing = "exit status 2: iptables v1.8.9 (nf_tables): Chain 'CNI-2fc5' does not exist\nTry";
        assert!(misses_chain(&said(delete, missing)));
        for (command, complaint) in [
            ("/usr/sbin/iptables -t nat -A POSTROUTING", missing),
            ("/usr/sbin/nft -t nat -D POSTROUTING", missing),
            (delete, "exit status 1: iptables: Bad rule (does a matching rule exist in that chain?)."),
            (delete, "exit status 2: iptables v1.8.9 (nf_tables): Chain 'DOCKER' does not exist"),
            (delete, "exit status 2: iptables v1.8.9 (nf_tables): Chain 'CNI-2fc5 --oh' does not exist"),
        ] {
            assert!(!misses_chain(&said(command, complaint)), "{command}: {complaint}");
        }
        assert!(!misses_chain("Chain 'CNI-2fc5' does not exist"));
    }
}
