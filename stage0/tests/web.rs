//! Images from web servers: by URL and by name.

#![allow(clippy::unwrap_used)] // A test that cannot go on says where.

mod loopback;

use loopback::Rkt;
use loopback::aci::aci;
use loopback::web::{Page, Web};
use std::net::Ipv4Addr;

fn tagged(body: Vec<u8>, tag: &str) -> Page {
    Page { etag: Some(format!("\"{tag}\"")), ..Page::of(body) }
}

#[test]
fn unchanged_images_are_not_sent_again() {
    let (rkt, web) = (Rkt::new(), Web::start());
    let url = web.url("/a.aci");
    web.put("/a.aci", tagged(aci("a", "1", "x", ""), "one"));
    let key = rkt.fetch(&url);
    assert_eq!(rkt.fetch(&url), key);
    let seen = web.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[1].headers["if-none-match"], "\"one\"");
    web.put("/a.aci", tagged(aci("a", "1", "y", ""), "two").header("Cache-Control", "public, max-age=3600"));
    let other = rkt.fetch(&url);
    assert_ne!(other, key);
    web.seen();
    let fresh = rkt.run(&["fetch", "--full", &url]);
    assert!(fresh.err.contains("isn't expired, not fetching."), "{fresh:?}");
    assert_eq!((fresh.ok().trim(), web.seen().len()), (other.as_str(), 0));
    assert_eq!(rkt.run(&["fetch", "--full", "--pull-policy=new", &url]).ok().trim(), other);
    let never = rkt.run(&["fetch", "--pull-policy=never", &web.url("/b.aci")]).failed();
    assert!(never.contains("unable to fetch"), "{never}");
}

#[test]
fn interrupted_downloads_resume_if_the_image_is_the_same() {
    let (rkt, web) = (Rkt::new(), Web::start());
    let url = web.url("/a.aci");
    let body = aci("a", "1", &"x".repeat(300_000), "");
    web.put("/a.aci", Page { cut: Some(100_000), ..tagged(body.clone(), "one") });
    assert!(rkt.run(&["fetch", &url]).failed().contains("Cannot download"));
    assert!(rkt.run(&["image", "list", "--no-legend"]).ok().is_empty());
    web.seen();
    rkt.fetch(&url);
    let seen = web.seen();
    assert_eq!(seen[0].headers["range"], "bytes=100000-");
    // Another version of the image meanwhile: all of it is sent, and what was there is forgotten.
    let rkt = Rkt::new();
    web.put("/a.aci", Page { cut: Some(100_000), ..tagged(body, "one") });
    rkt.run(&["fetch", &url]).failed();
    web.put("/a.aci", tagged(aci("a", "2", "y", ""), "two"));
    assert_eq!(rkt.show(&rkt.fetch(&url)), ["content=y"]);
    let left: Vec<_> = std::fs::read_dir(rkt.data().join("cas/tmp")).unwrap().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn bad_answers_are_named() {
    let (rkt, web) = (Rkt::new(), Web::start());
    let fails = |path: &str| rkt.run(&["fetch", &web.url(path)]).failed();
    assert!(fails("/none.aci").contains("bad HTTP status code: 404"));
    assert!(fails("/x.tar").contains("must end in .aci"));
    web.put("/loop.aci", Page { statuses: vec![302; 20], ..Page::default() }.header("Location", "/loop.aci"));
    assert!(fails("/loop.aci").contains("redirects more than 10 times"));
    web.put("/guarded.aci", Page { statuses: vec![401], ..Page::default() });
    assert!(fails("/guarded.aci").contains("bad HTTP status code: 401"));
    web.put("/noise.aci", Page::of(vec![7; 5000]));
    assert!(fails("/noise.aci").contains("not a valid ACI"));
    web.put("/big.aci", Page::of(aci("a", "1", &"x".repeat(9000), "")));
    let done =
        rkt.command(&["fetch", &web.url("/big.aci")]).env("RKT_IMAGE_MAX_SIZE", "5000").output().unwrap();
    assert!(loopback::Done::of(done).failed().contains("longer than 5000 bytes"));
    web.put("/moved.aci", Page { statuses: vec![301], ..Page::default() }.header("Location", "/a.aci"));
    web.put("/a.aci", Page::of(aci("a", "1", "x", "")));
    rkt.fetch(&web.url("/moved.aci"));
}

#[test]
fn names_are_discovered() {
    let rkt = Rkt::new();
    let web = Web::start_named(Ipv4Addr::new(127, 77, 0, 2));
    let host = web.host.clone();
    let template = format!("http://{host}/images/{{name}}-{{version}}.{{ext}}");
    let html = format!(r#"<meta name="ac-discovery" content="{host} {template}">"#);
    // Nothing at the name itself: the page of a parent is asked.
    web.put("/", Page::of(html));
    let name = format!("{host}/team/app");
    let put =
        |version: &str, body: Vec<u8>| web.put(&format!("/images/{name}-{version}.aci"), Page::of(body));
    put("1", aci(&name, "1", "one", ""));
    put("2", aci(&name, "1", "lie", ""));
    put("3", aci("other", "3", "lie", ""));
    put("latest", aci(&name, "7", "latest", ""));
    assert_eq!(rkt.show(&rkt.fetch(&format!("{name}:1"))), ["content=one"]);
    let error = rkt.run(&["fetch", &format!("{name}:2")]).failed();
    let message = "requested value for label \"version\": \"2\" differs from fetched aci label value: \"1\"";
    assert!(error.contains(message), "{error}");
    assert!(rkt.run(&["fetch", &format!("{name}:3")]).failed().contains("but the fetched one is \"other\""));
    assert!(
        rkt.run(&["fetch", &format!("{name}:4")]).failed().contains("unable to fetch image from image name")
    );
    let key = rkt.fetch(&name);
    assert_eq!(rkt.show(&key), ["content=latest"]);
    assert_eq!(rkt.run(&["fetch", "--full", "--pull-policy=new", &name]).ok().trim(), key);
    let pages: Vec<_> =
        web.seen().into_iter().map(|s| s.path).filter(|p| p.contains("ac-discovery")).collect();
    assert_eq!(&pages[..3], ["/team/app?ac-discovery=1", "/team?ac-discovery=1", "/?ac-discovery=1"]);
    let refused = Rkt::with_options("image").run(&["fetch", &name]).failed();
    assert!(refused.contains("Cannot reach https://127.77.0.2"), "{refused}");
}

#[test]
fn dependencies_are_fetched_too() {
    let rkt = Rkt::new();
    let web = Web::start_named(Ipv4Addr::new(127, 77, 0, 3));
    let host = web.host.clone();
    let html = format!(r#"<meta name="ac-discovery" content="{host} http://{host}/{{name}}.{{ext}}">"#);
    web.put("/", Page::of(html));
    let base = format!("{host}/base");
    web.put(&format!("/{base}.aci"), Page::of(aci(&base, "1", "base", "")));
    let rest = format!(r#","dependencies":[{{"imageName":"{base}"}}],"pathWhitelist":["/content"]"#);
    let file = rkt.dir.path().join("top.aci");
    std::fs::write(&file, aci("top", "1", "top", &rest)).unwrap();
    let key = rkt.fetch(file.to_str().unwrap());
    assert_eq!(rkt.show(&key), ["content=top"]);
    assert_eq!(rkt.run(&["image", "list", "--no-legend"]).ok().lines().count(), 2);
}
