//! Debian's docker-registry behind TLS, passwords, and a token server.

#![allow(clippy::unwrap_used)] // A test that cannot go on says where.

mod loopback;

use loopback::certificate::Certificate;
use loopback::layout::Layout;
use loopback::registry::{PASSWORD, Registry, USER};
use loopback::tokens::Tokens;
use loopback::{Done, Rkt};
use std::os::unix::fs::PermissionsExt;

/// Configures credentials for a registry.
fn log_in(rkt: &Rkt, host: &str, password: &str) {
    let auth = serde_json::json!({"rktKind": "dockerAuth", "rktVersion": "v1", "registries": [host],
                                  "credentials": {"user": USER, "password": password}});
    let dir = rkt.config().join("auth.d");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("registry.json"), auth.to_string()).unwrap();
}

#[test]
fn tls_is_checked_against_the_trusted_authorities() {
    let rkt = Rkt::with_options("image");
    let keys = tempfile::tempdir().unwrap();
    let certificate = Certificate::new(keys.path());
    let registry = Registry::tls(&certificate);
    let layout = Layout::new(rkt.dir.path());
    registry.push(&layout.image("a").layer("/etc", &[("f", "1")]), "a:1", &[]);
    let (name, host) = (registry.image("a:1"), format!("127.0.0.1:{}", registry.port));
    log_in(&rkt, &host, PASSWORD);
    let trusting = |image: &str| {
        let mut command = rkt.command(&["fetch", "--full", image]);
        Done::of(command.env("SSL_CERT_FILE", &certificate.certificate).output().unwrap())
    };
    let error = rkt.run(&["fetch", &name]).failed();
    assert!(
        error.contains(&format!("Cannot reach https://{host}")) && error.contains("certificate"),
        "{error}"
    );
    let key = trusting(&name).ok().trim().to_owned();
    assert_eq!(rkt.show(&key), ["etc", "etc/f=1"]);
    // The certificate is for the address, not for this name of the same machine.
    let error = trusting(&name.replace("127.0.0.1", "localhost")).failed();
    assert!(error.contains("certificate not valid for name"), "{error}");
    rkt.run(&["image", "rm", &key]).ok();
    let options = "--insecure-options=image,tls";
    assert_eq!(rkt.run(&[options, "fetch", "--full", &name]).ok().trim(), key);
    log_in(&rkt, &host, "wrong");
    assert!(trusting(&name).failed().contains("wants credentials"));
}

#[test]
fn tokens_open_registries() {
    let rkt = Rkt::new();
    let keys = tempfile::tempdir().unwrap();
    let certificate = Certificate::new(keys.path());
    let bundle = certificate.certificate.clone();
    let tokens = Tokens::start(certificate);
    let registry = Registry::with_tokens(tokens.port, &bundle);
    let layout = Layout::new(rkt.dir.path());
    registry.push(
        &layout.image("a").layer("/etc", &[("f", "1")]).layer("/opt", &[("g", "1")]),
        "team/a:1",
        &[],
    );
    let (name, host) = (registry.image("team/a:1"), format!("127.0.0.1:{}", registry.port));
    let pushed = tokens.asked().len();
    assert!(pushed > 0, "the registry asks for tokens");
    let error = rkt.run(&["fetch", &name]).failed();
    assert!(error.contains(&format!("Registry {host} wants credentials")), "{error}");
    log_in(&rkt, &host, "wrong");
    assert!(rkt.run(&["fetch", &name]).failed().contains("wants credentials"));
    log_in(&rkt, &host, PASSWORD);
    let key = rkt.fetch(&name);
    assert_eq!(rkt.show(&key), ["etc", "etc/f=1", "opt", "opt/g=1"]);
    let asked = &tokens.asked()[pushed..];
    assert!(
        asked[0].contains("repository") && asked[0].contains("pull") && !asked[0].contains("push"),
        "{asked:?}"
    );
    assert!(asked.len() <= 4, "a token is used again: {asked:?}");
}

#[test]
fn credential_helpers_are_asked_for_the_registry() {
    let rkt = Rkt::new();
    let registry = Registry::guarded();
    let layout = Layout::new(rkt.dir.path());
    registry.push(&layout.image("a").layer("/etc", &[("f", "1")]), "a:1", &[]);
    let (name, host) = (registry.image("a:1"), format!("127.0.0.1:{}", registry.port));
    let bin = rkt.dir.path().join("bin");
    let docker = rkt.dir.path().join(".docker");
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::create_dir_all(&docker).unwrap();
    let helper = |password: &str| {
        let program = bin.join("docker-credential-test");
        let text = format!(
            "#!/bin/sh\n[ \"$1\" = get ] && [ \"$(cat)\" = {host} ] || exit 1\n\
             echo '{{\"ServerURL\":\"{host}\",\"Username\":\"{USER}\",\"Secret\":\"{password}\"}}'\n"
        );
        std::fs::write(&program, text).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let fetch = |config: serde_json::Value| {
        std::fs::write(docker.join("config.json"), config.to_string()).unwrap();
        Done::of(rkt.command(&["fetch", "--full", &name]).env("PATH", &path).output().unwrap())
    };
    let for_host = |host: &str| serde_json::json!({"credHelpers": {host: "test"}});
    helper(PASSWORD);
    assert!(fetch(for_host("elsewhere.example.com")).failed().contains("wants credentials"));
    let key = fetch(for_host(&host)).ok();
    rkt.run(&["image", "rm", key.trim()]).ok();
    assert_eq!(fetch(serde_json::json!({"credsStore": "test"})).ok(), key);
    helper("wrong");
    assert!(fetch(for_host(&host)).failed().contains("wants credentials"));
}
