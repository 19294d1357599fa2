//! Which stage1 a pod gets: flags and configuration (reference §3.7).

use std::net::Ipv4Addr;

use crate::bed::{Bed, Done};
use crate::web::{Page, Web};

const NAME: &str = "example.com/stage1-v6";

/// Runs a pod with words that choose stage1, and the configuration in `etc`.
fn run(bed: &Bed, words: &[&str]) -> Done {
    run_with(bed, "image,http", words)
}

fn run_with(bed: &Bed, insecure: &str, words: &[&str]) -> Done {
    let local = format!("--local-config={}", bed.path("etc").display());
    let insecure = format!("--insecure-options={insecure}");
    bed.rkt(&[&["--debug", &local, &insecure, "run"], words, &["a.aci"]].concat())
}

/// Runs one that must get its stage1, and returns what rkt says about images before the app's.
fn chosen(bed: &Bed, words: &[&str]) -> String {
    let done = run(bed, words);
    assert_eq!(done.status, 0, "{words:?}: {}", done.stderr);
    let lines = done.stderr.lines().filter(|line| line.starts_with("image: ") && !line.ends_with(" a.aci"));
    let lines = lines.filter(|line| !line.contains("downloading"));
    lines.map(|line| format!("{line}\n")).collect()
}

fn refused(done: &Done, message: &str) {
    assert_eq!(done.status, 254, "{}", done.stderr);
    assert!(
        done.stderr.contains("error finding stage1 image") && done.stderr.contains(message),
        "{}",
        done.stderr
    );
}

fn configure(bed: &Bed, kind: &str, fields: &str) {
    let dir = bed.path("etc").join(format!("{kind}.d"));
    std::fs::create_dir_all(&dir).unwrap();
    let text = format!(r#"{{"rktKind":"{kind}","rktVersion":"v1",{fields}}}"#);
    std::fs::write(dir.join("test.json"), text).unwrap();
}

#[test]
fn files_are_taken_again_each_time() {
    let bed = Bed::new();
    let path = bed.path("stage1.aci").display().to_string();
    let from_file = format!("image: using image from file {path}\n");
    for words in [
        "--stage1-path=stage1.aci".to_owned(),
        format!("--stage1-path={path}"),
        format!("--stage1-url=file://{path}"),
    ] {
        for _ in 0..2 {
            assert_eq!(chosen(&bed, &[&words]), from_file, "{words}");
        }
    }
}

#[test]
fn urls_names_and_hashes_are_taken_from_the_store_the_second_time() {
    let bed = Bed::new();
    let image = std::fs::read(bed.path("stage1.aci")).unwrap();
    let web = Web::start();
    web.put("/stage1.aci", Page::of(image));
    let url = web.url("/stage1.aci");
    let flag = format!("--stage1-url={url}");
    assert_eq!(chosen(&bed, &[&flag]), format!("image: remote fetching from URL \"{url}\"\n"));
    assert_eq!(chosen(&bed, &[&flag]), format!("image: using image from local store for url {url}\n"));
    let named = Web::start_named(Ipv4Addr::new(127, 77, 0, 4));
    let name = format!("{}/stage1", named.host);
    let manifest = std::fs::read_to_string(bed.path("stage1.manifest")).unwrap();
    bed.stage1_from("named.aci", &manifest.replace(NAME, &name));
    named.put("/named-1.aci", Page::of(std::fs::read(bed.path("named.aci")).unwrap()));
    let template = format!("http://{}/named-{{version}}.{{ext}}", named.host);
    named.put("/", Page::of(format!(r#"<meta name="ac-discovery" content="{name} {template}">"#)));
    let flag = format!("--stage1-name={name}:1");
    let first = chosen(&bed, &[&flag]);
    assert!(first.starts_with(&format!("image: searching for app image {name}\n")), "{first}");
    let stored = format!("image: using image from local store for image name {name}:1\n");
    assert_eq!(chosen(&bed, &[&flag]), stored);
    let ids = bed.rkt(&["image", "list", "--fields=id,name", "--full", "--no-legend"]).stdout;
    let id = ids.lines().find(|line| line.contains(&name)).unwrap().split_whitespace().next().unwrap();
    assert_eq!(chosen(&bed, &[&format!("--stage1-hash={id}")]), "");
    refused(&run(&bed, &["--stage1-hash=sha512-0123456789"]), "no image IDs found");
}

#[test]
fn the_directory_of_images_can_be_configured() {
    let bed = Bed::new();
    let dir = bed.path("images");
    std::fs::create_dir(&dir).unwrap();
    std::fs::rename(bed.path("stage1.aci"), dir.join("mine.aci")).unwrap();
    refused(&run(&bed, &["--stage1-from-dir=mine.aci"]), "/stage1-images/mine.aci\"");
    configure(&bed, "paths", &format!(r#""stage1-images":"{}""#, dir.display()));
    let file = dir.join("mine.aci").display().to_string();
    assert_eq!(
        chosen(&bed, &["--stage1-from-dir=mine.aci"]),
        format!("image: using image from file {file}\n")
    );
    for path in ["../images/mine.aci", "..", "/mine.aci", "", "mine.aci/"] {
        refused(&run(&bed, &[&format!("--stage1-from-dir={path}")]), "takes the name of a file");
    }
    // Only what came with rkt is believed without a signature.
    let done = run_with(&bed, "none", &["--stage1-from-dir=mine.aci"]);
    refused(&done, "error opening signature file");
}

#[test]
fn the_default_can_be_configured() {
    let bed = Bed::new();
    let name = format!(r#""name":"{NAME}","version":"1""#);
    configure(&bed, "stage1", &name);
    refused(&run(&bed, &[]), &format!("{NAME}:1, which the configuration names, is not in the store"));
    let path = bed.path("stage1.aci").display().to_string();
    configure(&bed, "stage1", &format!(r#"{name},"location":"{path}""#));
    refused(&run_with(&bed, "none", &[]), "error opening signature file");
    assert_eq!(chosen(&bed, &[]), format!("image: using image from file {path}\n"));
    let stored = format!("image: using image from local store for image name {NAME}:1\n");
    assert_eq!(chosen(&bed, &[]), stored);
    assert_eq!(chosen(&bed, &["--stage1-name=kvm"]), stored, "the short name of the default");
    // A location alone replaces only where the image comes from.
    configure(&bed, "stage1", &format!(r#""location":"file://{path}""#));
    assert_eq!(chosen(&bed, &[]), format!("image: using image from file {path}\n"));
    configure(&bed, "stage1", r#""location":"/no/such.aci""#);
    refused(&run(&bed, &[]), "Cannot open stage1 image \"/no/such.aci\"");
    configure(&bed, "stage1", r#""location":"stage1.aci""#);
    let done = run(&bed, &[]);
    assert_eq!(done.status, 254);
    assert!(done.stderr.contains("either a relative path or a URL without scheme"), "{}", done.stderr);
}

#[test]
fn versions_of_unfinished_work_are_not_taken_from_the_store() {
    let bed = Bed::new();
    let manifest = std::fs::read_to_string(bed.path("stage1.manifest")).unwrap();
    let version = r#""name":"version","value":"#;
    bed.stage1_from(
        "dirty.aci",
        &manifest.replace(&format!("{version}\"1\""), &format!("{version}\"2-dirty\"")),
    );
    let path = bed.path("dirty.aci").display().to_string();
    configure(&bed, "stage1", &format!(r#""name":"{NAME}","version":"2-dirty","location":"{path}""#));
    for _ in 0..2 {
        assert_eq!(chosen(&bed, &[]), format!("image: using image from file {path}\n"));
    }
}
