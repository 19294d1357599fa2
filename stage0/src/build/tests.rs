use super::recipe::{parse_mount_point, parse_port};
use super::*;

#[test]
fn words_of_a_recipe_are_understood() {
    let copy: Copy = "a:b:/etc/c".parse().unwrap();
    assert_eq!((copy.from.to_str(), copy.to.to_string().as_str()), (Some("a:b"), "etc/c"));
    for bad in ["x", "x:y", ":/y", "x:/../y"] {
        assert!(bad.parse::<Copy>().is_err(), "{bad}");
    }
    let port = parse_port("web:tcp:80").unwrap();
    assert_eq!((port.name.as_str(), port.protocol.as_str(), port.port), ("web", "tcp", 80));
    let point = parse_mount_point("data:/var/data:ro").unwrap();
    assert_eq!((point.path.as_str(), point.read_only), ("/var/data", true));
    assert!(parse_port("web:80").is_err() && parse_port("web:tcp:x").is_err());
    assert!(parse_mount_point("data:relative").is_err() && parse_mount_point("data").is_err());
}
