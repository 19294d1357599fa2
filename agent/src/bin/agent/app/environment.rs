//! The environment of an app (appc specification, "Execution Environment").

use appc::Environment;

use super::users::Credentials;
use crate::root::NOTIFY_SOCKET;

/// The search path of an app that does not say.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The variables of an app: what every app gets, then what the manifest says. With `notify` it learns where to say that
/// it is ready.
pub fn variables(app: &str, user: &Credentials, notify: bool, manifest: &Environment) -> Environment {
    let mut variables = Environment::default();
    variables.set("PATH", DEFAULT_PATH);
    variables.set("SHELL", "/bin/sh");
    // The original named root whoever the user was. Programs of other users then fail in a home they cannot enter.
    let (name, home) = match user.uid {
        0 => ("root", "/root"),
        _ => (user.name.as_deref().unwrap_or("root"), user.home.as_deref().unwrap_or("/")),
    };
    variables.set("USER", name);
    variables.set("LOGNAME", name);
    variables.set("HOME", home);
    variables.set("AC_APP_NAME", app);
    if notify {
        variables.set("NOTIFY_SOCKET", NOTIFY_SOCKET);
    }
    for variable in manifest.iter() {
        variables.set(&variable.name, &variable.value);
    }
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_wins_over_defaults() {
        let mut manifest = Environment::default();
        manifest.set("PATH", "/opt/bin");
        manifest.set("EMPTY", "");
        manifest.set("A", "b=c");
        let found = variables("db", &Credentials::root(), false, &manifest);
        let expected = [
            ("PATH", "/opt/bin"),
            ("SHELL", "/bin/sh"),
            ("USER", "root"),
            ("LOGNAME", "root"),
            ("HOME", "/root"),
            ("AC_APP_NAME", "db"),
            ("EMPTY", ""),
            ("A", "b=c"),
        ];
        let found: Vec<_> = found.iter().map(|v| (v.name.as_str(), v.value.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn other_users_have_their_own_home() {
        let user = Credentials {
            uid: 999,
            gid: 999,
            groups: vec![999],
            name: Some("postgres".into()),
            home: Some("/var/lib/postgresql".into()),
        };
        let found = variables("db", &user, true, &Environment::default());
        assert_eq!(found.get("HOME"), Some("/var/lib/postgresql"));
        assert_eq!(found.get("NOTIFY_SOCKET"), Some("/run/systemd/notify"));
        assert_eq!(found.get("LOGNAME"), Some("postgres"));
        let unknown = Credentials { name: None, home: None, ..user };
        assert_eq!(variables("db", &unknown, false, &Environment::default()).get("HOME"), Some("/"));
    }
}
