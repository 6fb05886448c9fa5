//! The server's own counters, from `/metrics`.

use std::{collections::BTreeMap, net::SocketAddr};

use anyhow::{Result, bail};

use crate::http::Client;

/// Each sample by its name and labels, as written.
pub(super) fn read(address: SocketAddr) -> Result<BTreeMap<String, f64>> {
    let answer = Client::new(address).get_as("/metrics", "text/plain")?;
    if answer.status != 200 {
        bail!("/metrics says {}: {}", answer.status, answer.text());
    }
    Ok(parse(&String::from_utf8_lossy(&answer.body)))
}

fn parse(text: &str) -> BTreeMap<String, f64> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read() {
        let samples = parse("# HELP a b\na_total{x=\"y z\"} 7\nb 1.5\n# EOF\n");
        assert_eq!(samples["a_total{x=\"y z\"}"], 7.0);
        assert_eq!(samples["b"], 1.5);
    }
}
