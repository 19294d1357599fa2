//! A registry that answers anything: status lines, headers, challenges, tokens, redirects, documents, blobs. It may
//! redirect anywhere: run it where there is no network but loopback (`unshare -n`).
#![no_main]

use std::io::Read;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use stage0::http::Client;
use stage0::registry::manifest::Document;
use stage0::registry::{Credentials, Digest, Registry};
use stage0_fuzz::Server;

static SERVER: LazyLock<Server> = LazyLock::new(Server::default);
static HTTP: LazyLock<Client> = LazyLock::new(|| Client::new(true));
const CONTENT: &[u8] = b"content";

fuzz_target!(|data: &[u8]| {
    let server = &*SERVER;
    // Replies are parted by a byte that HTTP's own words never hold.
    server.set(data.split(|byte| *byte == 0xff).take(12).map(<[u8]>::to_vec).collect());
    let Ok(reference) = format!("127.0.0.1:{}/a/b:c", server.port).parse() else { return };
    let credentials = Credentials { user: "u".to_owned(), password: "p".to_owned() };
    let Ok(registry) = Registry::connect(&HTTP, &reference, true, Some(credentials)) else { return };
    if let Ok(bytes) = registry.manifest("c") {
        let _ = Document::parse(&bytes);
    }
    let digest = Digest::of(CONTENT);
    if let Ok(bytes) = registry.small_blob(&digest, CONTENT.len() as u64) {
        assert_eq!(bytes, CONTENT, "wrong content got in");
    }
    if let Ok((body, start)) = registry.blob(&digest, 3) {
        assert!(start == 0 || start == 3);
        let _ = body.take(1 << 20).read_to_end(&mut Vec::new());
    }
});
