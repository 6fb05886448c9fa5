//! The whole effective configuration as TOML that can be used as it is.

use std::fmt::Write as _;

use super::registry::Settings;

impl Settings {
    /// Every setting with its value, what it does, and where the value comes from.
    #[must_use]
    pub fn effective_toml(&self) -> String {
        let mut text = String::from(
            "# The effective configuration of Spanlight. Each setting can also be given in the environment\n\
             # (SPANLIGHT_SECTION__KEY) or as --set section.key=value; the later wins.\n",
        );
        let mut section = "";
        for entry in self.entries() {
            // Writing to a string cannot fail.
            if entry.section != section {
                section = entry.section;
                let _ = writeln!(text, "\n[{section}]");
            } else {
                text.push('\n');
            }
            for line in &entry.doc {
                let _ = writeln!(text, "# {}", line.trim());
            }
            let origin = self
                .places
                .get(entry.name)
                .map_or_else(|| "default".to_owned(), |place| format!("from {place}"));
            let _ = writeln!(text, "{} = {} # {origin}", entry.key, entry.value);
        }
        text
    }

    /// The effective configuration for programs: name → (value in TOML, where it comes from; `None` is the default).
    #[must_use]
    pub fn effective(&self) -> Vec<(&'static str, String, Option<String>)> {
        self.entries()
            .into_iter()
            .map(|entry| {
                let place = self.places.get(entry.name).map(ToString::to_string);
                (entry.name, entry.value, place)
            })
            .collect()
    }
}
