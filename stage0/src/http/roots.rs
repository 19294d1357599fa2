//! Certificate authorities that are trusted: the host's, else a built-in set.

use std::path::PathBuf;
use ureq::tls::{PemItem, RootCerts, parse_pem};

/// Where distributions keep them (Debian, Fedora, openSUSE, Alpine).
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The host's bundle, or the one `SSL_CERT_FILE` names; without any, the set that comes with the TLS library.
pub(super) fn trusted() -> RootCerts {
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let bundle =
        named.into_iter().chain(BUNDLES.map(PathBuf::from)).find_map(|path| std::fs::read(path).ok());
    let Some(pem) = bundle else { return RootCerts::WebPki };
    let certificates: Vec<_> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() { RootCerts::WebPki } else { RootCerts::new_with_certs(&certificates) }
}
