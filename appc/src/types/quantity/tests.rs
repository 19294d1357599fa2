use proptest::prelude::*;

use super::*;

fn quantity(text: &str) -> Quantity {
    text.parse().unwrap()
}

#[test]
fn suffixes_scale() {
    for (text, value, milli) in [
        ("0", 0, 0),
        ("500m", 1, 500),
        ("1500m", 2, 1500),
        ("2", 2, 2000),
        ("0.5", 1, 500),
        (".25", 1, 250),
        ("1.", 1, 1000),
        ("+3", 3, 3000),
        ("-1500m", -1, -1500),
        ("1k", 1000, 1_000_000),
        ("1K", 1000, 1_000_000),
        ("192M", 192_000_000, 192_000_000_000),
        ("192Mi", 192 << 20, (192 << 20) * 1000),
        ("1.5Gi", 3 << 29, (3_i64 << 29) * 1000),
        ("1E", 1_000_000_000_000_000_000, i64::MAX),
        ("0.000001", 1, 1),
        ("0.123456789012345678E", 123_456_789_012_345_678, i64::MAX),
    ] {
        assert_eq!((quantity(text).value(), quantity(text).milli_value()), (value, milli), "{text}");
    }
}

#[test]
fn the_rest_is_refused() {
    for bad in ["", ".", "-", "m", "1.2.3", "1x", "1 M", "1MM", "0x10", "1e3", "१"] {
        assert_eq!(bad.parse::<Quantity>(), Err(ValueError::Quantity(bad.to_owned())), "{bad}");
    }
    for large in ["10E", "9223372036854775808", "99999999999999999999", "8Ei", "0.1234567890123456789"] {
        assert_eq!(large.parse::<Quantity>(), Err(ValueError::QuantityRange(large.to_owned())), "{large}");
    }
}

#[test]
fn the_canonical_form_has_the_largest_suffix() {
    for (text, canonical) in [
        ("1024Mi", "1Gi"),
        ("500M", "500M"),
        ("0.5", "500m"),
        ("1000", "1k"),
        ("1500k", "1500k"),
        ("0", "0"),
        ("0Mi", "0"),
        ("1.0001Ki", "1024103m"),
        ("-2K", "-2k"),
    ] {
        assert_eq!(quantity(text).to_string(), canonical, "{text}");
    }
}

#[test]
fn json_may_be_text_or_number() {
    assert_eq!(serde_json::from_str::<Quantity>("\"1G\"").unwrap(), quantity("1000M"));
    assert_eq!(serde_json::from_str::<Quantity>("4096").unwrap(), quantity("4096"));
    assert_eq!(serde_json::to_string(&quantity("1G")).unwrap(), "\"1G\"");
    assert!(serde_json::from_str::<Quantity>("[]").is_err());
}

proptest! {
    #[test]
    fn parsing_never_panics(text in "[-+]?[0-9]{0,22}[.]?[0-9]{0,22}[a-zA-Z]{0,2}") {
        let _ = text.parse::<Quantity>();
    }

    #[test]
    fn printing_keeps_the_amount(milli in -1_000_000_000_000_i64..1_000_000_000_000, suffix in "m|Ki|Mi|k|M|") {
        if let Ok(amount) = format!("{milli}{suffix}").parse::<Quantity>() {
            prop_assert_eq!(quantity(&amount.to_string()), amount);
        }
    }
}
