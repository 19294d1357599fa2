//! Images and servers that mean harm: each gets a clear error, and leaves nothing, neither in the store nor beside it.

#![allow(clippy::unwrap_used)] // A test that cannot go on says where.

mod loopback;

use loopback::Rkt;
use loopback::aci::aci;
use loopback::layout::forged;
use loopback::web::{Page, Web};
use stage0::archive::tar::{Entry, Kind, TarWriter};
use std::io::Write;

const MANIFEST: &str = r#"{"acKind":"ImageManifest","acVersion":"0.8.11","name":"example.com/a"}"#;

/// An archive under construction.
struct Archive(TarWriter<Vec<u8>>);

impl Archive {
    fn new() -> Self {
        Archive(TarWriter::new(Vec::new()))
    }

    /// An ACI whose manifest is written.
    fn aci() -> Self {
        Self::new().file("manifest", MANIFEST.as_bytes()).entry(b"rootfs", Kind::Directory, "")
    }

    fn entry(mut self, name: &[u8], kind: Kind, link: &str) -> Self {
        let entry = Entry::new(name, kind, 0o755).linked(link.as_bytes());
        self.0.entry(&entry, &mut std::io::empty()).unwrap();
        self
    }

    fn file(mut self, name: &str, content: &[u8]) -> Self {
        let entry = Entry::new(name.as_bytes(), Kind::File, 0o644).sized(content.len() as u64);
        self.0.entry(&entry, &mut &content[..]).unwrap();
        self
    }

    fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(name.as_bytes(), Kind::Symlink, target)
    }

    fn hardlink(self, name: &str, target: &str) -> Self {
        self.entry(name.as_bytes(), Kind::Hardlink, target)
    }

    fn finish(self) -> Vec<u8> {
        self.0.finish().unwrap()
    }
}

/// An entry whose header says what it likes.
fn raw(edit: impl FnOnce(&mut tar::Header)) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_path("rootfs/x").unwrap();
    header.set_mode(0o644);
    header.set_size(0);
    edit(&mut header);
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// The archive without its end marker, so that more can follow.
fn open_end(mut archive: Vec<u8>) -> Vec<u8> {
    archive.truncate(archive.len() - 1024);
    archive
}

/// A place to fetch from, where everything that appears is noticed.
struct Trap {
    rkt: Rkt,
}

impl Trap {
    fn new() -> Self {
        let rkt = Rkt::new();
        std::fs::write(rkt.dir.path().join("secret"), "untouched").unwrap();
        Trap { rkt }
    }

    /// Fetching must fail with this message.
    fn refuses(&self, image: &str, message: &str) {
        self.refuses_with(image, message, &[]);
    }

    fn refuses_with(&self, image: &str, message: &str, environment: &[(&str, &str)]) {
        let mut command = self.rkt.command(&["fetch", image]);
        let done = loopback::Done::of(command.envs(environment.iter().copied()).output().unwrap());
        let error = done.failed();
        assert!(error.contains(message), "{message}: {error}");
        assert_eq!(error.trim_end().lines().filter(|line| line.starts_with("fetch: ")).count(), 1, "{error}");
        self.check();
    }

    fn check(&self) {
        assert_eq!(self.rkt.run(&["image", "list", "--no-legend"]).ok(), "");
        assert_eq!(self.rkt.stored(), [] as [std::path::PathBuf; 0]);
        let trees = std::fs::read_dir(self.rkt.data().join("cas/tree")).unwrap().count();
        assert_eq!(trees, 0, "a tree is left");
        let secret = self.rkt.dir.path().join("secret");
        assert_eq!(std::fs::read_to_string(&secret).unwrap(), "untouched");
        assert_eq!(std::os::unix::fs::MetadataExt::nlink(&std::fs::metadata(&secret).unwrap()), 1);
        assert!(!self.rkt.dir.path().join("out").exists());
    }

    fn refuses_aci(&self, archive: &[u8], message: &str) {
        let file = self.rkt.dir.path().join("image.aci");
        std::fs::write(&file, archive).unwrap();
        self.refuses(file.to_str().unwrap(), message);
    }

    fn refuses_layers(&self, layers: &[Vec<u8>], message: &str) {
        let image = forged(&self.rkt.dir.path().join("forged"), layers);
        self.refuses(&image, message);
    }

    /// A path outside, as archives would name it.
    fn outside(&self, name: &str) -> String {
        self.rkt.dir.path().join(name).display().to_string()
    }
}

#[test]
fn acis_that_reach_out_of_their_directory() {
    let trap = Trap::new();
    let (secret, out) = (trap.outside("secret"), trap.outside("out"));
    let dir = trap.outside("");
    let climb = "../".repeat(30);
    for (archive, message) in [
        (Archive::aci().file(&out, b"x"), "is absolute"),
        (Archive::aci().file("rootfs/../../../../out", b"x"), "has a '..' component"),
        (Archive::aci().file("rootfs/..", b"x"), "has a '..' component"),
        (Archive::aci().file("other", b"x"), "only manifest and rootfs/ are allowed"),
        (
            Archive::aci().symlink("rootfs/l", &format!("{climb}{dir}")).file("rootfs/l/out", b"x"),
            "leads outside",
        ),
        (Archive::aci().hardlink("rootfs/h", &secret), "is absolute"),
        (Archive::aci().hardlink("rootfs/h", "manifest"), "outside of rootfs"),
        (Archive::aci().hardlink("rootfs/h", "rootfs/none"), "has no target"),
        (Archive::aci().symlink("rootfs/l", &secret).hardlink("rootfs/h", "rootfs/l/x"), "has no target"),
        (Archive::aci().entry(b"rootfs", Kind::Symlink, &dir).file("rootfs/out", b"x"), "replaces its root"),
    ] {
        trap.refuses_aci(&archive.finish(), message);
    }
}

#[test]
fn links_stay_in_the_image() {
    // An absolute link is the image's own; a name through it lands in the image, and the root of the host is not touched.
    let rkt = Rkt::new();
    let file = rkt.dir.path().join("image.aci");
    let archive = Archive::aci().entry(b"rootfs/etc", Kind::Directory, "").symlink("rootfs/l", "/etc");
    let archive = archive.file("rootfs/l/made-by-a-test-of-rkt", b"x").hardlink("rootfs/h", "rootfs/l");
    std::fs::write(&file, archive.finish()).unwrap();
    let key = rkt.fetch(file.to_str().unwrap());
    assert!(rkt.show(&key).contains(&"etc/made-by-a-test-of-rkt=x".to_owned()));
    assert!(!std::path::Path::new("/etc/made-by-a-test-of-rkt").exists());
}

#[test]
fn layers_that_reach_out_through_each_other() {
    let trap = Trap::new();
    let dir = trap.outside("");
    let climb = "../".repeat(30);
    let base = |archive: Archive| archive.file("f", b"1").finish();
    for (lower, upper, message) in [
        (Archive::new(), Archive::new().file(&trap.outside("out"), b"x"), "is absolute"),
        (Archive::new(), Archive::new().file("a/../../out", b"x"), "has a '..' component"),
        (Archive::new(), Archive::new().hardlink("h", &trap.outside("secret")), "is absolute"),
        (Archive::new(), Archive::new().hardlink("h", "none"), "has no target"),
        (Archive::new().symlink("l", &dir), Archive::new().hardlink("h", "l/secret"), "has no target"),
        (
            Archive::new().symlink("l", &format!("{climb}{dir}")),
            Archive::new().hardlink("h", "l/secret"),
            "has no target",
        ),
        (
            Archive::new(),
            Archive::new().symlink("l", &format!("{climb}{dir}")).file("l/out", b"x"),
            "leads outside",
        ),
        (Archive::new(), Archive::new().file(".wh...", b""), "Bad whiteout"),
        (Archive::new(), Archive::new().file(".wh.", b""), "Bad whiteout"),
    ] {
        trap.refuses_layers(&[base(lower), upper.finish()], message);
    }
    // A link of a lower layer does not carry files of an upper one away.
    let through = [base(Archive::new().symlink("l", &dir)), Archive::new().file("l/out", b"x").finish()];
    let rkt = &trap.rkt;
    let key = rkt.fetch(&forged(&rkt.dir.path().join("forged"), &through));
    assert_eq!(rkt.show(&key), ["f=1", "l", "l/out=x"]);
    assert!(!rkt.dir.path().join("out").exists());
}

#[test]
fn streams_that_lie_about_themselves() {
    let trap = Trap::new();
    let whole = Archive::aci().file("rootfs/f", &[7; 3000]).finish();
    let aci = || open_end(Archive::aci().finish());
    let end = [0; 1024];
    for (archive, message) in [
        (whole[..whole.len() - 1500].to_vec(), "truncated"),
        (whole[..2000].to_vec(), "truncated"),
        ([aci(), raw(|header| header.set_size(1 << 40))].concat(), "truncated"),
        ([aci(), raw(|header| header.as_old_mut().size = [0xff; 12]), end.to_vec()].concat(), "bad size"),
        ([aci(), vec![b'x'; 512], end.to_vec()].concat(), "No valid tar header"),
        (
            [aci(), raw(|header| header.set_entry_type(tar::EntryType::new(b'?'))), end.to_vec()].concat(),
            "unknown entry type",
        ),
        (
            [
                aci(),
                raw(|header| {
                    header.set_entry_type(tar::EntryType::XHeader);
                    header.set_size(100 << 20);
                }),
            ]
            .concat(),
            "longer than 1048576",
        ),
        (
            [
                aci(),
                raw(|header| {
                    header.set_entry_type(tar::EntryType::GNUSparse);
                    let gnu = header.as_gnu_mut().unwrap();
                    gnu.realsize = *b"00000001000\0";
                    for run in [0, 1] {
                        gnu.sparse[run].offset = *b"00000000000\0";
                        gnu.sparse[run].numbytes = *b"00000000000\0";
                    }
                    gnu.sparse[0].numbytes = *b"00000001000\0";
                    gnu.sparse[1].numbytes = *b"00000001000\0";
                }),
                end.to_vec(),
            ]
            .concat(),
            "Bad sparse map",
        ),
        (Archive::aci().file("manifest", b"{}").finish(), "several manifests"),
        (Archive::new().file("manifest", b"{}").finish(), "no rootfs"),
        (Archive::new().file("rootfs/f", b"").finish(), "no manifest"),
        (b"".to_vec(), "not a valid ACI"),
    ] {
        trap.refuses_aci(&archive, message);
    }
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&whole).unwrap();
    let packed = packed.finish().unwrap();
    trap.refuses_aci(&packed[..packed.len() - 30], "Cannot read");
    trap.refuses_aci(&[&packed[..], b"more"].concat(), "Cannot read");
    // What follows the archive's end is no part of it: it must not become visible.
    let rkt = Rkt::new();
    let file = rkt.dir.path().join("image.aci");
    std::fs::write(&file, [&whole[..], &Archive::aci().file("rootfs/late", b"").finish()].concat()).unwrap();
    assert_eq!(rkt.show(&rkt.fetch(file.to_str().unwrap())).len(), 1);
}

#[test]
fn images_without_measure() {
    let trap = Trap::new();
    let file = trap.rkt.dir.path().join("image.aci");
    let mut many = Archive::aci();
    for number in 0..2000 {
        many = many.file(&format!("rootfs/{number}"), b"");
    }
    std::fs::write(&file, many.finish()).unwrap();
    let name = file.to_str().unwrap();
    trap.refuses_with(name, "raise RKT_IMAGE_MAX_ENTRIES", &[("RKT_IMAGE_MAX_ENTRIES", "1000")]);
    // A thousand to one: stopped at the bound, not at the end.
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let aci = Archive::aci().finish();
    bomb.write_all(&open_end(aci)).unwrap();
    bomb.write_all(&raw(|header| header.set_size(8 << 20))).unwrap();
    for _ in 0..8 {
        bomb.write_all(&vec![0; 1 << 20]).unwrap();
    }
    bomb.write_all(&[0; 1024]).unwrap();
    std::fs::write(&file, bomb.finish().unwrap()).unwrap();
    trap.refuses_with(name, "raise RKT_IMAGE_MAX_SIZE", &[("RKT_IMAGE_MAX_SIZE", "1000000")]);
    trap.refuses_aci(
        &Archive::aci().file(&format!("rootfs/{}", "d/".repeat(2500)), b"").finish(),
        "longer than 4095",
    );
    trap.refuses_aci(
        &Archive::aci().file(&format!("rootfs/{}", "n".repeat(300)), b"").finish(),
        "File name too long",
    );
    let layers = vec![Archive::new().file("f", b"").finish(); 401];
    trap.refuses_layers(&layers, "at most 400 are supported");
}

#[test]
fn manifests_of_any_size_and_shape() {
    let trap = Trap::new();
    let with = |manifest: &[u8]| {
        Archive::new().file("manifest", manifest).entry(b"rootfs", Kind::Directory, "").finish()
    };
    trap.refuses_aci(&with(&vec![b' '; 100 << 20]), "is longer than");
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let nested = MANIFEST.replace("\"example.com/a\"", &deep);
    let unknown = MANIFEST.replace('}', &format!(",\"unknown\":{deep}}}"));
    let mut latin = MANIFEST.as_bytes().to_vec();
    *latin.iter_mut().rfind(|byte| **byte == b'a').unwrap() = 0xe9;
    for manifest in [nested.as_bytes(), unknown.as_bytes(), &latin, b"", b"null", b"{}", b"{\"acKind\":7}"] {
        trap.refuses_aci(&with(manifest), "Image has an invalid manifest");
    }
}

#[test]
fn odd_names_and_rights_are_kept() {
    let rkt = Rkt::new();
    let file = rkt.dir.path().join("image.aci");
    let mut archive = Archive::aci();
    let long = format!("rootfs/{}{}f", "d/".repeat(100), format!("{}/", "n".repeat(250)).repeat(15));
    let mut setuid = Entry::new(b"rootfs/setuid", Kind::File, 0o6755);
    setuid.xattrs =
        vec![(b"user.kept".to_vec(), b"1".to_vec()), (b"trusted.overlay.opaque".to_vec(), b"y".to_vec())];
    archive.0.entry(&setuid, &mut std::io::empty()).unwrap();
    let mut device = Entry::new(b"rootfs/null", Kind::Char, 0o666);
    device.device = (1, 3);
    archive.0.entry(&device, &mut std::io::empty()).unwrap();
    let archive = archive.file(&long, b"x").entry(b"rootfs/\xff\xfe", Kind::Fifo, "");
    std::fs::write(&file, archive.file("rootfs/twice", b"1").file("rootfs/twice", b"2").finish()).unwrap();
    let key = rkt.fetch(file.to_str().unwrap());
    let to = rkt.dir.path().join("rendered");
    rkt.run(&["image", "render", "--rootfs-only", &key, to.to_str().unwrap()]).ok();
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let metadata = |name: &[u8]| to.join(std::ffi::OsStr::from_bytes(name)).symlink_metadata().unwrap();
    assert_eq!(metadata(b"setuid").permissions().mode() & 0o7777, 0o6755);
    assert_eq!(metadata(b"null").rdev(), rustix::fs::makedev(1, 3));
    assert!(std::os::unix::fs::FileTypeExt::is_fifo(&metadata(b"\xff\xfe").file_type()));
    assert_eq!(std::fs::read_to_string(to.join("twice")).unwrap(), "2");
    let attributes = loopback::tool("getfattr", "attr", &["-d", "-m-", to.join("setuid").to_str().unwrap()]);
    assert!(attributes.contains("user.kept=\"1\"") && !attributes.contains("opaque"), "{attributes}");
}

#[test]
fn dependencies_that_cannot_be_unpacked_go_with_what_needs_them() {
    let trap = Trap::new();
    let web = Web::start_named(std::net::Ipv4Addr::new(127, 77, 0, 5));
    let host = web.host.clone();
    web.put(
        "/",
        Page::of(format!(r#"<meta name="ac-discovery" content="{host} http://{host}/{{name}}.{{ext}}">"#)),
    );
    let mut bad = open_end(aci(&format!("{host}/bad"), "1", "x", ""));
    bad.extend(Archive::new().hardlink("rootfs/h", "rootfs/none").finish());
    web.put(&format!("/{host}/bad.aci"), Page::of(bad));
    let rest = format!(r#","dependencies":[{{"imageName":"{host}/bad"}}]"#);
    trap.refuses_aci(&aci("example.com/top", "1", "x", &rest), "has no target");
}

#[test]
fn servers_that_send_without_end() {
    let trap = Trap::new();
    let web = Web::start();
    web.put("/endless.aci", Page { endless: true, ..Page::default() });
    let url = web.url("/endless.aci");
    trap.refuses_with(&url, "is longer than 300000 bytes", &[("RKT_IMAGE_MAX_SIZE", "300000")]);
    // A registry's document is read up to its bound, then refused.
    web.put("/v2/", Page::default());
    web.put("/v2/a/b/manifests/latest", Page { endless: true, ..Page::default() });
    trap.refuses(&format!("docker://{}/a/b", web.host), "Response is longer than 4194304 bytes");
    let named = Web::start_named(std::net::Ipv4Addr::new(127, 77, 0, 6));
    named.put("/", Page { endless: true, ..Page::default() });
    trap.refuses(&named.host, "Response is longer than 1048576 bytes");
}

#[test]
fn secrets_do_not_follow_redirects_to_other_hosts() {
    let trap = Trap::new();
    let (home, elsewhere) = (Web::start(), Web::start());
    let body = aci("a", "1", "x", "");
    elsewhere.put("/blob", Page::of(body));
    home.put("/v2/", Page::default());
    let challenge = Page { statuses: vec![401, 307], ..Page::default() }
        .header("WWW-Authenticate", "Basic realm=\"x\"")
        .header("Location", &elsewhere.url("/blob"));
    home.put("/v2/a/b/manifests/latest", challenge);
    let config = trap.rkt.config().join("auth.d");
    std::fs::create_dir_all(&config).unwrap();
    let auth = format!(
        r#"{{"rktKind":"dockerAuth","rktVersion":"v1","registries":["{}"],"credentials":{{"user":"u","password":"p"}}}}"#,
        home.host
    );
    std::fs::write(config.join("a.json"), auth).unwrap();
    trap.refuses(&format!("docker://{}/a/b", home.host), "Cannot parse image manifest");
    let sent =
        |web: &Web| web.seen().iter().filter(|seen| seen.headers.contains_key("authorization")).count();
    assert_eq!((sent(&home), sent(&elsewhere)), (1, 0));
}
