//! Images from nginx: what a server that only has files and a configuration does.

#![allow(clippy::unwrap_used)] // A test that cannot go on says where.

mod loopback;

use loopback::aci::{Gpg, aci};
use loopback::certificate::Certificate;
use loopback::nginx::Nginx;
use loopback::{Done, Rkt, free_port};
use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const QUESTION: &str = "Are you sure you want to trust this key (yes/no)?";

fn loopback() -> String {
    format!("127.0.0.1:{}", free_port())
}

/// What was asked for and how it was answered.
fn answered(nginx: &Nginx) -> Vec<(String, u16)> {
    nginx.seen().into_iter().map(|logged| (logged.path, logged.status)).collect()
}

fn statuses(nginx: &Nginx) -> Vec<u16> {
    nginx.seen().into_iter().map(|logged| logged.status).collect()
}

#[test]
fn only_what_changed_is_sent_again() {
    let rkt = Rkt::new();
    let nginx = Nginx::start(&loopback(), None, "location /old/ { return 302 /a.aci; }");
    nginx.put("/a.aci", aci("a", "1", "one", ""));
    let url = nginx.url("/old/a.aci");
    let key = rkt.fetch(&url);
    assert_eq!(answered(&nginx), [("/old/a.aci".to_owned(), 302), ("/a.aci".to_owned(), 200)]);
    assert_eq!(rkt.fetch(&url), key);
    assert_eq!(statuses(&nginx), [302, 304]);
    // nginx tells versions apart by time and size.
    nginx.put("/a.aci", aci("a", "1", &"two".repeat(1000), ""));
    let other = rkt.fetch(&url);
    assert_ne!(other, key);
    assert_eq!(statuses(&nginx), [302, 200]);
    let loops = Nginx::start(&loopback(), None, "location / { return 301 $request_uri; }");
    let error = rkt.run(&["fetch", &loops.url("/a.aci")]).failed();
    assert!(error.contains("redirects more than 10 times"), "{error}");
}

#[test]
fn interrupted_downloads_go_on_where_they_ended() {
    let nginx = Nginx::start(&loopback(), None, "limit_rate 200k;");
    let url = nginx.url("/a.aci");
    let interrupt = |rkt: &Rkt| {
        nginx.put("/a.aci", aci("a", "1", &"x".repeat(500_000), ""));
        let mut child =
            rkt.command(&["fetch", &url]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let start = Instant::now();
        while !rkt.partial().is_some_and(|path| path.metadata().is_ok_and(|file| file.len() > 0)) {
            assert!(start.elapsed() < Duration::from_secs(20), "nothing arrives");
            std::thread::sleep(Duration::from_millis(10));
        }
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        assert_eq!(child.wait().unwrap().code(), None);
    };
    let rkt = Rkt::new();
    interrupt(&rkt);
    let key = rkt.fetch(&url);
    assert_eq!(statuses(&nginx), [200, 206]);
    assert_eq!(rkt.show(&key), [format!("content={}", "x".repeat(500_000))]);
    let rkt = Rkt::new();
    interrupt(&rkt);
    nginx.put("/a.aci", aci("a", "2", "other", ""));
    assert_eq!(rkt.show(&rkt.fetch(&url)), ["content=other"]);
    assert_eq!(statuses(&nginx), [200, 200]);
}

/// An image of one host, signed, with the page that says where it is.
struct Published {
    rkt: Rkt,
    gpg: Gpg,
    name: String,
    nginx: Nginx,
}

impl Published {
    fn new(nginx: Nginx, options: &str) -> Self {
        let (rkt, gpg, name) = (Rkt::with_options(options), Gpg::new(), format!("{}/team/app", nginx.host));
        let template = nginx.url("/images/{name}-{version}.{ext}");
        let keys = nginx.url("/keys.gpg");
        // Of a directory: nginx redirects to its name with a slash.
        nginx.put(
            "/team/index.html",
            format!(
                r#"<html><head><meta name="ac-discovery" content="{name} {template}">
                   <meta name="ac-discovery-pubkeys" content="{name} {keys}"></head></html>"#
            ),
        );
        let path = format!("/images/{name}-1.aci");
        nginx.put(&path, aci(&name, "1", "x", ""));
        gpg.key("signer", "ed25519", "sign", &[]);
        gpg.sign("signer", &nginx.file(&path), &["--armor"]);
        let key = gpg.export("signer", rkt.dir.path());
        std::fs::copy(key, nginx.file("/keys.gpg")).unwrap();
        Published { rkt, gpg, name, nginx }
    }

    fn image(&self) -> String {
        format!("{}:1", self.name)
    }

    fn trusted(&self) -> std::path::PathBuf {
        let keys = self.rkt.config().join("trustedkeys/prefix.d").join(&self.name);
        keys.join(self.gpg.fingerprint("signer"))
    }
}

#[test]
fn names_lead_to_images_whose_signatures_come_later() {
    let server =
        "location ~ [.]asc$ { limit_req zone=once; error_page 429 =200 @signature; try_files /none @later; }
                  location @later { return 202; }
                  location @signature { try_files $uri =404; }";
    let published = Published::new(Nginx::start("127.77.0.4", None, server), "http");
    let (rkt, name, nginx) = (&published.rkt, &published.name, &published.nginx);
    let key = nginx.url("/keys.gpg");
    let prefix = format!("--prefix={name}");
    let trust = ["trust", &prefix, "--insecure-allow-http", "--skip-fingerprint-review", &key];
    rkt.run(&trust).ok();
    nginx.seen();
    let done = rkt.run(&["fetch", &published.image()]);
    assert!(done.err.contains("server requested deferring the signature download"), "{done:?}");
    assert!(done.err.contains("image: signature verified:"), "{done:?}");
    done.ok();
    let (image, signature) = (format!("/images/{name}-1.aci"), format!("/images/{name}-1.aci.asc"));
    let expected = [
        ("/team/app?ac-discovery=1", 404),
        ("/team?ac-discovery=1", 301),
        ("/team/?ac-discovery=1", 200),
        (&signature, 202),
        (&image, 200),
        (&signature, 200),
    ];
    assert_eq!(answered(nginx), expected.map(|(path, status)| (path.to_owned(), status)));
}

#[test]
fn keys_from_https_are_trusted_if_the_user_says_so() {
    let keys = tempfile::tempdir().unwrap();
    let certificate = Certificate::of(keys.path(), &["127.77.0.5"]);
    let published = Published::new(Nginx::start("127.77.0.5", Some(&certificate), ""), "none");
    let (rkt, nginx) = (&published.rkt, &published.nginx);
    let fetch = |flags: &[&str]| {
        let mut command = rkt.command(&[flags, &["fetch", &published.image()]].concat());
        command.env("SSL_CERT_FILE", &certificate.certificate);
        command
    };
    let run = |flags: &[&str]| Done::of(fetch(flags).output().unwrap());
    let untouched = || assert!(rkt.stored().is_empty() && !published.trusted().exists());
    let flag = "--trust-keys-from-https";
    // The server is nobody without the authority, and a key by plain http is not one by https.
    let unknown = rkt.run(&[flag, "fetch", &published.image()]).failed();
    assert!(unknown.contains("Cannot reach https://127.77.0.5"), "{unknown}");
    let page = std::fs::read_to_string(nginx.file("/team/index.html")).unwrap();
    nginx.put("/team/index.html", page.replace("https://127.77.0.5/keys", "http://127.77.0.5/keys"));
    let plain = run(&[flag]).failed();
    assert!(plain.contains("plain http"), "{plain}");
    nginx.put("/team/index.html", page);
    // Without the flag somebody has to be asked.
    let nobody = run(&[]).failed();
    assert!(nobody.contains("unable to ask user to review fingerprint due to lack of tty"), "{nobody}");
    untouched();
    let no = rkt.answer(&fetch(&[]), QUESTION, "no\n");
    assert!(no.status == Some(254) && no.out.contains("signature made by unknown entity"), "{no:?}");
    untouched();
    let done = run(&[flag]);
    assert!(done.err.contains("image: signature verified:"), "{done:?}");
    done.ok();
    assert!(published.trusted().exists());
    // A key that covers the image is there now; another's signature is not accepted by finding another key.
    rkt.run(&["image", "rm", &published.name]).ok();
    rkt.run(&["image", "gc"]).ok();
    published.gpg.key("other", "ed25519", "sign", &[]);
    let image = nginx.file(&format!("/images/{}-1.aci", published.name));
    published.gpg.sign("other", &image, &["--armor"]);
    std::fs::copy(published.gpg.export("other", rkt.dir.path()), nginx.file("/keys.gpg")).unwrap();
    assert!(run(&[flag]).failed().contains("signature made by unknown entity"));
    assert!(rkt.stored().is_empty());
    // Discovered and found to be the right one by a human.
    published.gpg.sign("signer", &image, &["--armor"]);
    std::fs::copy(published.gpg.export("signer", keys.path()), nginx.file("/keys.gpg")).unwrap();
    std::fs::remove_file(published.trusted()).unwrap();
    let yes = rkt.answer(&fetch(&[]), QUESTION, "yes\n");
    assert!(yes.status == Some(0) && yes.out.contains("signature verified:"), "{yes:?}");
    assert!(published.trusted().exists());
}

#[test]
fn keys_are_reviewed_on_a_terminal() {
    let (rkt, gpg) = (Rkt::with_options("none"), Gpg::new());
    let fingerprint = gpg.key("me", "ed25519", "sign", &[]);
    let key = gpg.export("me", rkt.dir.path());
    let command = rkt.command(&["trust", "--prefix=example.com", key.to_str().unwrap()]);
    let place = rkt.config().join("trustedkeys/prefix.d/example.com").join(&fingerprint);
    let no = rkt.answer(&command, QUESTION, "no\n");
    assert!(no.status == Some(254) && no.out.contains("not trusting"), "{no:?}");
    assert!(!place.exists());
    let yes = rkt.answer(&command, QUESTION, "y\nyes\n");
    assert_eq!(yes.status, Some(0), "{yes:?}");
    for shown in [&fingerprint[..4], "Please enter 'yes' or 'no'", "Added key for prefix \"example.com\""] {
        assert!(yes.out.to_lowercase().contains(&shown.to_lowercase()), "{yes:?}");
    }
    assert!(place.exists());
}

/// Configures credentials for a web server.
fn log_in(rkt: &Rkt, host: &str, kind: &str, credentials: &serde_json::Value) {
    let auth = serde_json::json!({"rktKind": "auth", "rktVersion": "v1", "domains": [host], "type": kind,
                                  "credentials": credentials});
    let dir = rkt.config().join("auth.d");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("domain.json"), auth.to_string()).unwrap();
}

fn with_authority(mut command: Command, certificate: &Path) -> Done {
    Done::of(command.env("SSL_CERT_FILE", certificate).output().unwrap())
}

#[test]
fn credentials_open_domains_and_stay_there() {
    let rkt = Rkt::with_options("image");
    let keys = tempfile::tempdir().unwrap();
    let certificate = Certificate::of(keys.path(), &["127.0.0.1", "127.0.0.2"]);
    let passwords = keys.path().join("passwords");
    std::fs::write(&passwords, "user:{PLAIN}word\n").unwrap();
    let elsewhere = Nginx::start(&format!("127.0.0.2:{}", free_port()), Some(&certificate), "");
    let away = elsewhere.url("/a.aci");
    let server = format!(
        "location /basic/ {{ auth_basic images; auth_basic_user_file {}; }}
         location /bearer/ {{ if ($http_authorization != 'Bearer t0ken') {{ return 401; }} }}
         location /away/ {{ return 302 {away}; }}",
        passwords.display()
    );
    let home = Nginx::start(&loopback(), Some(&certificate), &server);
    let body = |content: &str| aci("a", "1", content, "");
    home.put("/basic/a.aci", body("basic"));
    home.put("/bearer/a.aci", body("bearer"));
    elsewhere.put("/a.aci", body("elsewhere"));
    let fetch = |path: &str| {
        with_authority(rkt.command(&["fetch", "--full", &home.url(path)]), &certificate.certificate)
    };
    let content = |path: &str| rkt.show(fetch(path).ok().trim());
    for path in ["/basic/a.aci", "/bearer/a.aci"] {
        assert!(fetch(path).failed().contains("bad HTTP status code: 401"));
    }
    let basic = |password: &str| serde_json::json!({"user": "user", "password": password});
    log_in(&rkt, &home.host, "basic", &basic("wrong"));
    assert!(fetch("/basic/a.aci").failed().contains("bad HTTP status code: 401"));
    log_in(&rkt, &home.host, "basic", &basic("word"));
    assert_eq!(content("/basic/a.aci"), ["content=basic"]);
    home.seen();
    assert_eq!(content("/away/a.aci"), ["content=elsewhere"]);
    let sent =
        |nginx: &Nginx| nginx.seen().into_iter().map(|logged| logged.authorization).collect::<Vec<_>>();
    assert_eq!((sent(&home), sent(&elsewhere)), (vec!["Basic dXNlcjp3b3Jk".into()], vec!["-".into()]));
    log_in(&rkt, &home.host, "oauth", &serde_json::json!({"token": "t0ken"}));
    assert_eq!(content("/bearer/a.aci"), ["content=bearer"]);
}
