//! The table of crates in ARCHITECTURE.md, read as a rule.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};

const PREFIX: &str = "spanlight-";

/// For each crate, those that it may use.
#[derive(Debug)]
pub(super) struct Table(BTreeMap<String, BTreeSet<String>>);

impl Table {
    /// Reads the table whose header is `crate | one responsibility | may use`.
    ///
    /// The last cell lists crates, without their common prefix. It may also say `–` (none), `all above`, or end in
    /// `and what they use`.
    pub(super) fn parse(page: &str) -> Result<Self> {
        let mut rows = page
            .lines()
            .skip_while(|line| !is_header(line))
            .skip(2)
            .peekable();
        if rows.peek().is_none() {
            bail!("has no table with the header `crate | one responsibility | may use`");
        }
        let mut table = Self(BTreeMap::new());
        for row in rows.take_while(|line| line.starts_with('|')) {
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            let [name, _, may_use] = cells.as_slice() else {
                bail!(
                    "a row of the table has {} cells instead of 3: {row}",
                    cells.len()
                );
            };
            let name = name.trim_matches('`');
            let allowed = table
                .read(may_use)
                .with_context(|| format!("the row of `{name}`"))?;
            table.0.insert(name.to_owned(), allowed);
        }
        Ok(table)
    }

    /// What a crate may use; `None` for one that is not listed.
    pub(super) fn allowed(&self, name: &str) -> Option<&BTreeSet<String>> {
        self.0.get(name)
    }

    /// Reads the last cell of a row. Only rows above can be named: so no arrow points up.
    fn read(&self, may_use: &str) -> Result<BTreeSet<String>> {
        if may_use == "–" {
            return Ok(BTreeSet::new());
        }
        if may_use == "all above" {
            return Ok(self.0.keys().cloned().collect());
        }
        let (names, deep) = match may_use.strip_suffix("and what they use") {
            Some(names) => (names.trim().trim_end_matches(','), true),
            None => (may_use, false),
        };
        let mut allowed = BTreeSet::new();
        for name in names.split(',') {
            let full = format!("{PREFIX}{}", name.trim());
            let used = self
                .0
                .get(&full)
                .with_context(|| format!("`{full}` has no row above"))?;
            if deep {
                allowed.extend(used.iter().cloned());
            }
            allowed.insert(full);
        }
        Ok(allowed)
    }
}

fn is_header(line: &str) -> bool {
    let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
    cells == ["crate", "one responsibility", "may use"]
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "# A\n\n| crate | one responsibility | may use |\n|---|---|---|\n";

    fn parse(rows: &str) -> Result<Table> {
        Table::parse(&format!("{HEADER}{rows}\ntext\n"))
    }

    fn allowed(table: &Table, name: &str) -> Vec<String> {
        table.allowed(name).unwrap().iter().cloned().collect()
    }

    #[test]
    fn cells_are_names_or_one_of_three_phrases() {
        let table = parse(
            "| `spanlight-model` | m | – |\n| `spanlight-wire` | w | model |\n\
             | `spanlight-server` | s | all above |\n| `spanlight` | c | wire, and what they use |\n",
        )
        .unwrap();
        assert_eq!(allowed(&table, "spanlight-model"), [""; 0]);
        assert_eq!(allowed(&table, "spanlight-wire"), ["spanlight-model"]);
        assert_eq!(
            allowed(&table, "spanlight-server"),
            ["spanlight-model", "spanlight-wire"]
        );
        assert_eq!(
            allowed(&table, "spanlight"),
            ["spanlight-model", "spanlight-wire"]
        );
        assert!(table.allowed("text").is_none());
    }

    #[test]
    fn a_row_can_name_only_rows_above() {
        let error = parse("| `spanlight-wire` | w | model |\n| `spanlight-model` | m | – |\n");
        assert!(format!("{:#}", error.unwrap_err()).contains("`spanlight-model` has no row above"));
    }

    #[test]
    fn a_page_without_the_table_is_an_error() {
        assert!(Table::parse("# A\n\ntext\n").is_err());
    }
}
