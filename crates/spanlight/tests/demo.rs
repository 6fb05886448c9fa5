//! `demo`: traffic that can be looked at, and nothing left behind.

use tempfile::TempDir;

use crate::process::{FREE_PORTS, Running, run_in, spanlight};

#[test]
fn demo_shows_three_things_and_cleans_up() {
    let directory = TempDir::new().unwrap();
    let temporary = TempDir::new().unwrap();
    let arguments = [&["demo", "--seed", "11", "--rate", "1"], &FREE_PORTS[..]].concat();
    let mut command = spanlight(directory.path(), &arguments);
    command.env("TMPDIR", temporary.path());
    let demo = Running::start(command);
    let base = demo.address("Spanlight demo").to_owned();

    assert_eq!(demo.banner.matches("?q=%7B").count(), 2, "{}", demo.banner);
    let id = demo.banner.split_once("/trace/").unwrap().1;
    let id = &id[..32];
    let shown = run_in(directory.path(), &["trace", id, "--server", &base]);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert!(shown.stdout.contains("Forward Event"), "{shown:?}");
    let cold = "{ span.faas.coldstart = true }";
    let found = run_in(directory.path(), &["query", cold, "--server", &base]);
    assert!(found.stdout.contains('❄'), "{found:?}");

    assert_eq!(demo.stop("-INT").0, Some(0));
    assert_eq!(temporary.path().read_dir().unwrap().count(), 0);
    assert_eq!(directory.path().read_dir().unwrap().count(), 0);
}
