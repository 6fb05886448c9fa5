//! What the help says.

use crate::process::run;

fn help(arguments: &[&str]) -> String {
    let ended = run(&[arguments, &["--help"]].concat());
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    ended.stdout
}

#[test]
fn spanlight() {
    insta::assert_snapshot!(help(&[]), @"");
}

#[test]
fn serve() {
    insta::assert_snapshot!(help(&["serve"]), @"");
}

#[test]
fn demo() {
    insta::assert_snapshot!(help(&["demo"]), @"");
}

#[test]
fn query() {
    insta::assert_snapshot!(help(&["query"]), @"");
}

#[test]
fn trace() {
    insta::assert_snapshot!(help(&["trace"]), @"");
}

#[test]
fn config() {
    insta::assert_snapshot!(help(&["config"]), @"");
}
