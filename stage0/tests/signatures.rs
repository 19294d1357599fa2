//! Images signed by real gpg, in files and on a web server.

#![allow(clippy::unwrap_used)] // A test that cannot go on says where.

mod loopback;

use loopback::Rkt;
use loopback::aci::{Gpg, aci};
use loopback::web::{Page, Web};
use std::net::Ipv4Addr;
use std::path::PathBuf;

const NAME: &str = "example.com/app";

struct Signed {
    rkt: Rkt,
    gpg: Gpg,
    file: PathBuf,
}

impl Signed {
    fn new() -> Self {
        let rkt = Rkt::with_options("http");
        let file = rkt.dir.path().join("app.aci");
        std::fs::write(&file, zstd::encode_all(&aci(NAME, "1", "x", "")[..], 1).unwrap()).unwrap();
        Signed { rkt, gpg: Gpg::new(), file }
    }

    fn trust(&self, user: &str, scope: &str) -> String {
        let key = self.gpg.export(user, self.rkt.dir.path());
        self.rkt.run(&["trust", scope, "--skip-fingerprint-review", key.to_str().unwrap()]).err
    }

    fn fetch(&self) -> loopback::Done {
        self.rkt.run(&["fetch", self.file.to_str().unwrap()])
    }

    fn refused(&self, message: &str) {
        let error = self.fetch().failed();
        assert!(error.contains(message), "{error}");
        assert!(self.rkt.stored().is_empty(), "nothing unverified enters the store");
    }
}

#[test]
fn keys_of_every_kind_sign() {
    let signed = Signed::new();
    signed.refused("error opening signature file");
    for (user, algorithm) in [("rsa", "rsa2048"), ("curve", "ed25519")] {
        signed.gpg.key(user, algorithm, "sign", &[]);
    }
    let primary = signed.gpg.key("parent", "ed25519", "cert", &[]);
    signed.gpg.subkey(&primary, "ed25519");
    signed.gpg.sign("rsa", &signed.file, &["--armor"]);
    signed.refused("openpgp: signature made by unknown entity");
    for (user, flags) in [("rsa", &["--armor"][..]), ("curve", &[]), ("parent", &["--armor"])] {
        let added = signed.trust(user, "--prefix=example.com");
        assert!(added.contains("Added key for prefix \"example.com\" at"), "{added}");
        signed.gpg.sign(user, &signed.file, flags);
        let done = signed.fetch();
        assert!(done.err.contains("image: signature verified:") && done.err.contains(user), "{done:?}");
        done.ok();
    }
    let mut bytes = std::fs::read(&signed.file).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&signed.file, &bytes).unwrap();
    assert_eq!(signed.fetch().status, Some(254));
    bytes[last] ^= 1;
    // A zstd skippable frame: the image is the same, the file is not.
    bytes.extend_from_slice(&[0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]);
    std::fs::write(&signed.file, &bytes).unwrap();
    let error = signed.fetch().failed();
    assert!(error.contains("it does not match the image"), "{error}");
}

#[test]
fn keys_that_must_not_sign_are_refused() {
    let signed = Signed::new();
    let (gpg, prefix) = (&signed.gpg, "--prefix=example.com/app");
    let old = ["--faked-system-time", "20200101T000000"];
    gpg.key("expired", "rsa2048", "sign", &old);
    signed.trust("expired", prefix);
    gpg.sign("expired", &signed.file, &old);
    signed.refused("the key has expired");
    let revoked = gpg.key("revoked", "rsa2048", "sign", &[]);
    gpg.sign("revoked", &signed.file, &[]);
    gpg.revoke(&revoked);
    signed.trust("revoked", prefix);
    signed.refused("the key is revoked");
    gpg.key("weak", "rsa2048", "sign", &[]);
    signed.trust("weak", prefix);
    gpg.sign("weak", &signed.file, &["--digest-algo", "SHA1"]);
    signed.refused("it uses the broken hash algorithm SHA1");
    gpg.key("elsewhere", "rsa2048", "sign", &[]);
    signed.trust("elsewhere", "--prefix=example.com/other");
    gpg.sign("elsewhere", &signed.file, &[]);
    signed.refused("openpgp: signature made by unknown entity");
    gpg.key("brief", "rsa2048", "sign", &[]);
    signed.trust("brief", prefix);
    gpg.sign("brief", &signed.file, &["--default-sig-expire", "seconds=1"]);
    std::thread::sleep(std::time::Duration::from_millis(2100));
    signed.refused("it has expired");
    signed.trust("elsewhere", "--root");
    gpg.sign("elsewhere", &signed.file, &[]);
    signed.fetch().ok();
}

#[test]
fn the_local_layer_disables_keys_of_the_system() {
    let signed = Signed::new();
    let fingerprint = signed.gpg.key("system", "ed25519", "sign", &[]);
    let key = signed.gpg.export("system", signed.rkt.dir.path());
    let place = format!("trustedkeys/prefix.d/example.com/{fingerprint}");
    let system = signed.rkt.dir.path().join("system").join(&place);
    std::fs::create_dir_all(system.parent().unwrap()).unwrap();
    std::fs::copy(key, &system).unwrap();
    signed.gpg.sign("system", &signed.file, &[]);
    signed.fetch().ok();
    let local = signed.rkt.config().join(&place);
    std::fs::create_dir_all(local.parent().unwrap()).unwrap();
    std::fs::write(&local, "").unwrap();
    assert!(signed.fetch().failed().contains("unknown entity"));
}

#[test]
fn trust_is_given_deliberately() {
    let signed = Signed::new();
    signed.gpg.key("me <me@x>", "ed25519", "sign", &[]);
    let key = signed.gpg.export("me <me@x>", signed.rkt.dir.path());
    let (rkt, key) = (&signed.rkt, key.to_str().unwrap());
    for (args, message) in [
        (&["trust", key][..], "aborting due to implicit unbounded trust"),
        (&["trust", "--root", "--prefix=a", key], "mutually exclusive"),
        (&["trust", "--prefix=https://a", key], "not a URL"),
        (&["trust", "--root", key], "unable to ask user to review fingerprint due to lack of tty"),
        (&["trust", "--root", "--skip-fingerprint-review", "http://127.0.0.1:1/key"], "plain http"),
        (&["trust", "--root", "--skip-fingerprint-review", "/no/such/key"], "error opening public key"),
    ] {
        let done = rkt.run(args);
        assert!(done.err.contains(message), "{done:?}");
        assert_eq!(done.status, Some(254));
    }
    let shown = rkt.run(&["trust", "--root", key]).out;
    assert!(shown.starts_with("gpg key fingerprint is: ") && shown.contains("\tme <me@x>\n"), "{shown}");
    let web = Web::start();
    web.put("/key", Page::of(std::fs::read(key).unwrap()));
    let added =
        rkt.run(&["trust", "--root", "--insecure-allow-http", "--skip-fingerprint-review", &web.url("/key")]);
    assert!(added.err.contains("Added root key at"), "{added:?}");
    signed.gpg.sign("me <me@x>", &signed.file, &[]);
    signed.fetch().ok();
}

#[test]
fn discovered_images_are_verified() {
    let signed = Signed::new();
    let web = Web::start_named(Ipv4Addr::new(127, 77, 0, 1));
    let name = format!("{}/app", web.host);
    std::fs::write(&signed.file, aci(&name, "1", "x", "")).unwrap();
    signed.gpg.key("signer", "ed25519", "sign", &[]);
    let signature = signed.gpg.sign("signer", &signed.file, &["--armor"]);
    let template = format!("http://{}/{{name}}-{{version}}-{{os}}-{{arch}}.{{ext}}", web.host);
    let html = format!(r#"<html><head><meta name="ac-discovery" content="{name} {template}"></head></html>"#);
    web.put("/app", Page::of(html));
    let base = format!("/{name}-1-linux-amd64");
    web.put(&format!("{base}.aci"), Page::of(std::fs::read(&signed.file).unwrap()));
    web.put(
        &format!("{base}.aci.asc"),
        Page { statuses: vec![202], ..Page::of(std::fs::read(signature).unwrap()) },
    );
    let image = format!("{name}:1");
    let error = signed.rkt.run(&["fetch", &image]).failed();
    assert!(error.contains("openpgp: signature made by unknown entity"), "{error}");
    signed.trust("signer", &format!("--prefix={name}"));
    web.put(
        &format!("{base}.aci.asc"),
        Page {
            statuses: vec![202],
            ..Page::of(std::fs::read(format!("{}.asc", signed.file.display())).unwrap())
        },
    );
    let done = signed.rkt.run(&["fetch", &image]);
    assert!(done.err.contains("server requested deferring the signature download"), "{done:?}");
    done.ok();
}
