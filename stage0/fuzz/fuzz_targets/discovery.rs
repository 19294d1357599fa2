//! Pages of strangers: what they say about where images and keys are.
#![no_main]

use appc::discovery::{candidates, image_endpoints, key_endpoints};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str)| {
    let (name, html) = input;
    let Ok(image) = name.parse::<appc::ImageName>().or_else(|_| "example.com/a:1".parse()) else { return };
    for endpoint in image_endpoints(html, &image) {
        assert_ne!(endpoint.aci, endpoint.signature);
        let _ = stage0::http::parse_url(&endpoint.aci).map(|url| stage0::http::shown(&url));
    }
    let _ = key_endpoints(html, &image);
    assert!(candidates(image.name.as_str()).count() >= 1);
    let _ = stage0::fetch::ImageArg::parse(name);
});
