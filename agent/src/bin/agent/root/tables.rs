//! The files under `/etc` that the pod gives its apps (`rkt-reference` §8.6).

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use agent::protocol::Dns;

/// Names and contents of the files.
pub fn files(hostname: &str, dns: &Dns) -> Vec<(&'static str, String)> {
    let mut files = vec![("hostname", format!("{hostname}\n"))];
    files.push(("hosts", dns.hosts.clone().unwrap_or_else(|| loopback_hosts(hostname))));
    if let Some(text) = &dns.resolv_conf {
        files.push(("resolv.conf", text.clone()));
    }
    files
}

/// The table of an app whose image has none.
fn loopback_hosts(hostname: &str) -> String {
    format!(
        "127.0.0.1 localhost localhost.domain localhost4 localhost4.localdomain4 {hostname}\n\
         ::1 localhost localhost.domain localhost6 localhost6.localdomain6\n"
    )
}

/// Writes the files into a directory, readable for everyone.
pub fn write(directory: &Path, files: &[(&'static str, String)]) -> io::Result<()> {
    for (name, content) in files {
        let path = directory.join(name);
        fs::write(&path, content)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_that_says_nothing_knows_itself() {
        let found = files("rkt-1", &Dns::default());
        assert_eq!(found[0], ("hostname", "rkt-1\n".to_owned()));
        let first = "127.0.0.1 localhost localhost.domain localhost4 localhost4.localdomain4 rkt-1\n";
        assert!(found[1].1.starts_with(first));
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn what_the_pod_says_is_taken_as_it_is() {
        let dns = Dns { resolv_conf: Some("nameserver 1.1.1.1\n".into()), hosts: Some("::1 me\n".into()) };
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), &files("h", &dns)).unwrap();
        let read = |name| fs::read_to_string(directory.path().join(name)).unwrap();
        assert_eq!(read("hosts"), "::1 me\n");
        assert_eq!(read("resolv.conf"), "nameserver 1.1.1.1\n");
        let mode = fs::metadata(directory.path().join("hostname")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
    }
}
