//! Which crate may use which. ARCHITECTURE.md's table is the rule itself, not a copy of it, so it cannot go stale.

mod table;

use std::{collections::BTreeMap, fs};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use table::Table;

use crate::{process, repository};

/// Libraries that one crate keeps from all others, so that they can be replaced in one place.
/// Dev-dependencies are free: a test may look at what another crate wrote.
const BOUNDARIES: [(&str, &[&str]); 7] = [
    ("datafusion", &["spanlight-query"]),
    ("deltalake-core", &["spanlight-store"]),
    ("parquet", &["spanlight-store"]),
    ("object_store", &["spanlight-store"]),
    // The demo of the command line sends as any client does.
    ("opentelemetry-proto", &["spanlight-wire", "spanlight"]),
    ("tonic", &["spanlight-server"]),
    ("axum", &["spanlight-server"]),
];

/// A crate and what it uses, outside of its tests.
type Uses = BTreeMap<String, Vec<String>>;

pub(crate) fn run() -> Result<()> {
    let page = fs::read_to_string(repository::root().join("ARCHITECTURE.md"))
        .context("cannot read ARCHITECTURE.md, which says which crate may use which")?;
    let table = Table::parse(&page).context("ARCHITECTURE.md")?;
    let uses = uses(&metadata()?)?;
    let mut problems = upwards(&table, &uses);
    problems.extend(leaks(&uses));
    for problem in &problems {
        eprintln!("{problem}");
    }
    if !problems.is_empty() {
        bail!("{} arrows point where they may not", problems.len());
    }
    println!("{} crates use only what ARCHITECTURE.md lists", uses.len());
    Ok(())
}

fn metadata() -> Result<Value> {
    let mut command = repository::cargo();
    command.args([
        "metadata",
        "--format-version",
        "1",
        "--no-deps",
        "--offline",
    ]);
    Ok(serde_json::from_str(&process::output(&mut command)?)?)
}

/// Reads `cargo metadata`.
fn uses(metadata: &Value) -> Result<Uses> {
    let packages = metadata["packages"]
        .as_array()
        .context("cargo metadata lists no packages")?;
    let mut uses = Uses::new();
    for package in packages {
        let name = package["name"]
            .as_str()
            .context("a package without a name")?;
        let dependencies = package["dependencies"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let used = dependencies
            .iter()
            .filter(|dependency| dependency["kind"].as_str() != Some("dev"))
            .filter_map(|dependency| dependency["name"].as_str().map(str::to_owned))
            .collect();
        uses.insert(name.to_owned(), used);
    }
    Ok(uses)
}

/// Arrows between our crates that the table does not list.
fn upwards(table: &Table, uses: &Uses) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, used) in uses {
        let Some(allowed) = table.allowed(name) else {
            problems.push(format!(
                "{name}: has no row in ARCHITECTURE.md: say what it is for"
            ));
            continue;
        };
        for other in used.iter().filter(|other| uses.contains_key(*other)) {
            if !allowed.contains(other) {
                problems.push(format!("{name}: may not use {other} (ARCHITECTURE.md)"));
            }
        }
    }
    problems
}

/// Libraries that are used outside of the crate which keeps them.
fn leaks(uses: &Uses) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, used) in uses {
        for (library, owners) in BOUNDARIES {
            if used.iter().any(|other| other == library) && !owners.contains(&name.as_str()) {
                let owners = owners.join(", ");
                problems.push(format!("{name}: may not use {library}; {owners} keeps it"));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn crates(list: &[(&str, &[&str])]) -> Uses {
        list.iter()
            .map(|(name, used)| {
                (
                    (*name).to_owned(),
                    used.iter().map(|other| (*other).to_owned()).collect(),
                )
            })
            .collect()
    }

    #[test]
    fn an_arrow_that_is_not_listed_is_a_problem() {
        let table = Table::parse(
            "| crate | one responsibility | may use |\n|---|---|---|\n\
             | `spanlight-model` | spans | – |\n| `spanlight-store` | disk | model |\n",
        )
        .unwrap();
        let down = crates(&[
            ("spanlight-model", &["serde"]),
            ("spanlight-store", &["spanlight-model"]),
        ]);
        assert_eq!(upwards(&table, &down), Vec::<String>::new());
        let up = crates(&[
            ("spanlight-model", &["spanlight-store"]),
            ("spanlight-store", &[]),
        ]);
        assert_eq!(
            upwards(&table, &up),
            ["spanlight-model: may not use spanlight-store (ARCHITECTURE.md)"]
        );
        let unknown = crates(&[("spanlight-new", &[])]);
        assert_eq!(upwards(&table, &unknown).len(), 1);
    }

    #[test]
    fn a_kept_library_stays_with_its_keeper() {
        assert_eq!(
            leaks(&crates(&[("spanlight-query", &["datafusion"])])).len(),
            0
        );
        assert_eq!(
            leaks(&crates(&[("spanlight-server", &["datafusion"])])),
            ["spanlight-server: may not use datafusion; spanlight-query keeps it"]
        );
    }

    #[test]
    fn what_only_tests_use_is_free() {
        let metadata = json!({"packages": [{"name": "spanlight-query", "dependencies": [
            {"name": "parquet", "kind": "dev"},
            {"name": "datafusion", "kind": null},
        ]}]});
        assert_eq!(
            uses(&metadata).unwrap(),
            crates(&[("spanlight-query", &["datafusion"])])
        );
    }
}
