//! The kinds of settings that say where the cold table is.

use std::collections::BTreeMap;

use spanlight_store::{ColdLocation, LocationError};

use super::registry::Storage;
use super::value::{Kind, Raw, list, quote, text};

/// Options of an object store, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColdOptions(pub BTreeMap<String, String>);

impl Kind for ColdOptions {
    fn read(raw: &Raw) -> Result<Self, String> {
        let options = list(raw).into_iter().map(|item| {
            let expected = || format!("name=value instead of {item:?}");
            let (name, value) = item.split_once('=').ok_or_else(expected)?;
            let name = name.trim().to_ascii_lowercase();
            if is_secret(&name) {
                return Err(format!(
                    "no secrets, which the printed configuration would show; set {name} in the environment"
                ));
            }
            Ok((name, value.trim().to_owned()))
        });
        options.collect::<Result<_, _>>().map(Self)
    }

    fn write(&self) -> String {
        let items = self.0.iter();
        let items = items.map(|(name, value)| quote(&format!("{name}={value}")));
        format!("[{}]", items.collect::<Vec<_>>().join(", "))
    }
}

impl Storage {
    /// Where the cold table is.
    ///
    /// # Errors
    /// When `cold_url` is no place for one.
    pub fn cold_location(&self) -> Result<ColdLocation, LocationError> {
        self.cold_url.as_ref().map_or_else(
            || Ok(ColdLocation::DataDir),
            |url| ColdLocation::from_url(url, &self.cold_options.0),
        )
    }
}

fn is_secret(name: &str) -> bool {
    let ends = [
        "access_key",
        "account_key",
        "master_key",
        "service_account_key",
    ];
    name.contains("secret")
        || name.contains("sas")
        || name.ends_with("token")
        || ends.iter().any(|end| name.ends_with(end))
}

impl Kind for Option<String> {
    fn read(raw: &Raw) -> Result<Self, String> {
        match text(raw) {
            Some("off") => Ok(None),
            Some(url) if !url.is_empty() => Ok(Some(url.to_owned())),
            _ => Err("a URL such as s3://bucket/prefix, or off".to_owned()),
        }
    }

    fn write(&self) -> String {
        quote(self.as_deref().unwrap_or("off"))
    }
}
