use proptest::prelude::*;

use super::*;

const PAGE: &str = r#"<!DOCTYPE html><html><head>
  <!-- <meta name="ac-discovery" content="example.com https://no.example/{name}.{ext}"> -->
  <META content='example.com https://storage.example.com/{os}/{arch}/{name}-{version}.{ext}?a=1&amp;b=2' name=ac-discovery>
  <meta name="ac-discovery" content="example.com/hello https://mirror.example.com/{name}.{ext}"/>
  <meta name="ac-discovery" content="example.com https://x/{channel}/{name}.{ext}">
  <meta name="ac-discovery" content="example.com https://same/{name}">
  <meta name="ac-discovery" content="example.org https://other/{name}.{ext}">
  <meta name="ac-discovery-pubkeys" content="example.com https://example.com/pubkeys.gpg">
  <metal name="ac-discovery" content="example.com https://metal/{ext}">
</head><body><p>2 < 3</p></body>"#;

fn image(text: &str) -> ImageName {
    text.parse().unwrap()
}

#[test]
fn a_page_names_endpoints() {
    let endpoints = image_endpoints(PAGE, &image("example.com/hello:1.0,os=linux,arch=amd64"));
    let urls: Vec<_> = endpoints.iter().map(|endpoint| endpoint.aci.as_str()).collect();
    assert_eq!(
        urls,
        [
            "https://storage.example.com/linux/amd64/example.com/hello-1.0.aci?a=1&b=2",
            "https://mirror.example.com/example.com/hello.aci",
        ]
    );
    assert_eq!(endpoints[1].signature, "https://mirror.example.com/example.com/hello.aci.asc");
    assert_eq!(key_endpoints(PAGE, &image("example.com/hello")), ["https://example.com/pubkeys.gpg"]);
    assert!(image_endpoints(PAGE, &image("example.net/a")).is_empty());
}

#[test]
fn the_version_defaults_to_latest() {
    assert_eq!(render("{name}-{version}", &image("a"), "aci").unwrap(), "a-latest");
    assert_eq!(render("{name}-{version}", &image("a:2"), "aci").unwrap(), "a-2");
}

#[test]
fn values_are_not_templates() {
    assert_eq!(render("{name}-{version}-{ext", &image("a:{os}"), "aci").unwrap(), "a-{os}-{ext");
    assert!(render("{os}", &image("a"), "aci").is_err());
}

#[test]
fn candidates_end_with_the_host() {
    assert_eq!(candidates("a.b/c/d").collect::<Vec<_>>(), ["a.b/c/d", "a.b/c", "a.b"]);
}

proptest! {
    #[test]
    fn no_page_panics_or_hangs(page in "(<meta |<!--|-->|name|content|[ =\"'/>é&a]){0,40}") {
        let _ = meta_tags(&page);
    }

    #[test]
    fn a_tag_is_found_in_any_noise(before in "[^<]{0,20}", value in "[a-z ]{0,10}") {
        let page = format!("{before}<meta  name = 'x'  content=\"{value}\" >");
        prop_assert_eq!(meta_tags(&page), vec![MetaTag { name: "x".to_owned(), content: value }]);
    }
}
