//! Origins of pages, as browsers name them.

use std::net::Ipv6Addr;

use super::value::{Kind, Raw, list, quote};

/// An origin: `scheme://host`, with the port where it is not the scheme's own; or `*`, every origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

impl Origin {
    /// As browsers send it: in lower case, without a final slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it stands for every origin.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.0 == "*"
    }

    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self(text.to_owned()));
        }
        let text = text.strip_suffix('/').unwrap_or(text).to_ascii_lowercase();
        let (scheme, authority) = text.split_once("://")?;
        let (host, port) = match authority.rsplit_once(':') {
            // The colons in brackets are the address's own.
            Some((host, port)) if !port.ends_with(']') => (host, Some(port.parse::<u16>().ok()?)),
            _ => (authority, None),
        };
        if !is_scheme(scheme) || !is_host(host) {
            return None;
        }
        // Browsers leave out the port that the scheme stands for.
        let port = match (scheme, port) {
            ("http", Some(80)) | ("https", Some(443)) | (_, None) => String::new(),
            (_, Some(port)) => format!(":{port}"),
        };
        Some(Self(format!("{scheme}://{host}{port}")))
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || "+-.".contains(character))
}

fn is_host(text: &str) -> bool {
    let in_brackets = text.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    match in_brackets {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => {
            !text.is_empty()
                && text
                    .chars()
                    .all(|character| character.is_ascii_alphanumeric() || "-._".contains(character))
        }
    }
}

impl Kind for Vec<Origin> {
    fn read(raw: &Raw) -> Result<Self, String> {
        let origins = list(raw).iter().map(|item| Origin::parse(item)).collect();
        Option::ok_or_else(origins, || {
            "origins such as https://shop.example or http://localhost:3000, or * for any".to_owned()
        })
    }

    fn write(&self) -> String {
        let items: Vec<String> = self.iter().map(|origin| quote(&origin.0)).collect();
        format!("[{}]", items.join(", "))
    }
}
