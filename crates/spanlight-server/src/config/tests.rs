//! Configurations as people write them, right and wrong.

use insta::assert_snapshot;

use super::*;

fn load(toml: &str, environment: &[(&str, &str)], set: &[&str]) -> Result<Settings, ConfigError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spanlight.toml");
    std::fs::write(&path, toml).unwrap();
    Settings::load(&Sources {
        file: Some(path),
        environment: environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        overrides: set.iter().map(|text| Override::assignment(*text)).collect(),
    })
}

/// The message, with the temporary directory taken out.
fn message(toml: &str, environment: &[(&str, &str)], set: &[&str]) -> String {
    let message = load(toml, environment, set).unwrap_err().to_string();
    let start = message.find('/').unwrap_or(0);
    match message.find("spanlight.toml") {
        Some(end) => format!("{}{}", &message[..start], &message[end..]),
        None => message,
    }
}

#[test]
fn the_later_source_wins() {
    let file =
        "http = \"127.0.0.1:1\"\n[limits]\nspans_per_request = 5\nrequest_bytes = \"1MiB\"\n";
    let settings = load(
        file,
        &[
            ("SPANLIGHT_LIMITS__SPANS_PER_REQUEST", "6"),
            ("SPANLIGHT_HTTP", "off"),
        ],
        &["limits.spans_per_request=7"],
    )
    .unwrap();
    assert_eq!(settings.http, Address::Off);
    assert_eq!(settings.limits.spans_per_request, 7);
    assert_eq!(settings.limits.request_bytes, ByteSize::mebibytes(1));
}

#[test]
fn values_are_written_as_people_write_them() {
    let settings = load(
        "receivers.cors_origins = ['https://a.example', 'https://b.example']\n\
         storage = { retention = 'off', hot_window = '90s' }",
        &[],
        &["receivers.otlp_http=localhost:0"],
    )
    .unwrap();
    assert_eq!(settings.receivers.cors_origins.len(), 2);
    assert_eq!(settings.storage.retention, None);
    assert_eq!(settings.storage.hot_window.as_secs(), 90);
    assert_eq!(
        settings.receivers.otlp_http,
        Address::At("localhost:0".to_owned())
    );
}

#[test]
fn origins_are_read_as_browsers_send_them() {
    let origins = |toml: &str, set: &[&str]| {
        let settings = load(toml, &[], set).unwrap();
        let origins = settings.receivers.cors_origins;
        origins
            .iter()
            .map(|it| it.as_str().to_owned())
            .collect::<Vec<_>>()
            .join(" ")
    };
    let set = |value: &str| origins("", &[&format!("receivers.cors_origins={value}")]);
    assert_eq!(set(""), "");
    assert_eq!(set("*"), "*");
    assert_eq!(
        set("https://a.example, http://[::1]:3000"),
        "https://a.example http://[::1]:3000"
    );
    assert_eq!(
        set(r#"["https://a.example", "http://b:81"]"#),
        "https://a.example http://b:81"
    );
    assert_eq!(set("HTTPS://Shop.Example:443/"), "https://shop.example");
    assert_eq!(
        origins("receivers.cors_origins = 'http://localhost:3000'", &[]),
        "http://localhost:3000"
    );
}

#[test]
fn what_is_no_origin_is_refused() {
    assert_snapshot!(message("", &[], &["receivers.cors_origins=shop.example"]), @r#"--set: receivers.cors_origins is "shop.example", expected origins such as https://shop.example or http://localhost:3000, or * for any"#);
    assert_snapshot!(message("[receivers]\ncors_origins = ['*', 'a.example']", &[], &[]), @r#"spanlight.toml:2:1: receivers.cors_origins is ["*", "a.example"], expected origins such as https://shop.example or http://localhost:3000, or * for any"#);
    for wrong in [
        "null",
        "https://",
        "https://*.example",
        "https://a.example/page",
        "https://a.example//",
        "https://me@a.example",
        "https://a.example:70000",
        "https://a.example?x",
        "http://[::1",
        "1://a.example",
        "['https://a.example'",
        "[1]",
        "'https://a.example'",
    ] {
        let set = format!("receivers.cors_origins={wrong}");
        assert!(load("", &[], &[&set]).is_err(), "{wrong}");
    }
}

#[test]
fn errors_say_where_and_what() {
    assert_snapshot!(message("[receivers]\notlp_htp = 'off'", &[], &[]), @r#"spanlight.toml:2:1: no setting is called "receivers.otlp_htp"; did you mean "receivers.otlp_http"?"#);
    assert_snapshot!(message("[receiver]\notlp_http = 'off'", &[], &[]), @r#"spanlight.toml:1:2: no setting is called "receiver"; did you mean "receivers"?"#);
    assert_snapshot!(message("otlp_http = 'off'", &[], &[]), @r#"spanlight.toml:1:1: no setting is called "otlp_http"; did you mean "receivers.otlp_http"?"#);
    assert_snapshot!(message("receivers = 3", &[], &[]), @r#"spanlight.toml:1:1: no setting is called "receivers"; did you mean "receivers.otlp_http"?"#);
    assert_snapshot!(message("[limits]\n\n  request_bytes = '12 parsecs'", &[], &[]), @r#"spanlight.toml:3:3: limits.request_bytes is "12 parsecs", expected a size such as 64MiB, at least 1B"#);
    assert_snapshot!(message("[limits]\nvalue_depth = 0", &[], &[]), @r#"spanlight.toml:2:1: limits.value_depth is "0", expected a whole number, at least 1"#);
    assert_snapshot!(message("[limits]\nvalue_depth = [1, 2]", &[], &[]), @r#"spanlight.toml:2:1: limits.value_depth is ["1", "2"], expected a whole number, at least 1"#);
    assert_snapshot!(message("[storage]\nfsync = true", &[], &[]), @r#"spanlight.toml:2:1: storage.fsync is "true", expected one of always, never"#);
    assert_snapshot!(message("http = \"127.0.0.1:70000\"", &[], &[]), @r#"spanlight.toml:1:1: http is "127.0.0.1:70000", expected an address such as 127.0.0.1:4318, or off"#);
    assert_snapshot!(message("[limits\nvalue_depth = 0", &[], &[]), @"spanlight.toml:1:8: not TOML: unclosed table, expected `]`");
    assert_snapshot!(message("", &[("SPANLIGHT_STORAGE__RETENTION", "soon")], &[]), @r#"environment variable SPANLIGHT_STORAGE__RETENTION: storage.retention is "soon", expected a duration such as 500ms, 10s, 15m, 6h or 30d, or off"#);
    assert_snapshot!(message("", &[("SPANLIGHT_STORAGE__HOTWINDOW", "1m")], &[]), @r#"environment variable SPANLIGHT_STORAGE__HOTWINDOW: no setting is called "storage.hotwindow"; did you mean "storage.hot_window"?"#);
    assert_snapshot!(message("", &[], &["log.level=loud"]), @r#"--set: log.level is "loud", expected one of error, warn, info, debug, trace"#);
    assert_snapshot!(message("", &[], &["log.level"]), @r#"--set: "log.level" is not of the form section.key=value"#);
    assert_snapshot!(message("", &[], &["limits.in_flight_bytes=1MiB"]), @"limits.in_flight_bytes is 1MiB, but one request of the largest size needs 80MiB: raise it, or lower limits.request_bytes and limits.request_bytes_decompressed");
    assert_snapshot!(message("", &[], &["quite.different=1"]), @r#"--set: no setting is called "quite.different"; `spanlight config` lists all settings"#);
}

#[test]
fn variables_of_others_are_passed_over() {
    assert!(
        load(
            "",
            &[
                ("SPANLIGHT_SERVER", "http://localhost"),
                ("SPANLIGHT_PORT", "tcp://10.0.0.1:80"),
                ("HTTP_PROXY", "x")
            ],
            &[]
        )
        .is_ok()
    );
}

#[test]
fn the_printed_configuration_is_a_configuration() {
    let settings = load("", &[], &["storage.retention=off", "log.format=json"]).unwrap();
    let printed = settings.effective_toml();
    let mut again = load(&printed, &[], &[]).unwrap();
    again.places = settings.places.clone();
    assert_eq!(again, settings);
    let lines: Vec<&str> = printed
        .lines()
        .filter(|line| line.starts_with("retention") || line.starts_with("http"))
        .collect();
    assert_snapshot!(lines.join("\n"), @r#"
    http = "127.0.0.1:7900" # default
    retention = "off" # from --set
    "#);
}

#[test]
fn the_page_about_the_configuration_has_every_setting_and_its_default() {
    let page = include_str!("../../../../docs/configuration.md");
    for entry in Settings::default().entries() {
        let row = page
            .lines()
            .find(|line| line.starts_with(&format!("| `{}` |", entry.name)));
        let row = row.unwrap_or_else(|| panic!("{} is not on the page", entry.name));
        let default = match entry.value.trim_matches('"') {
            "[]" => "| none |".to_owned(),
            value => format!("| `{value}` |"),
        };
        assert!(row.contains(&default), "{row} is not {default}");
    }
}
