//! `spanlight config`.

use serde_json::{Map, Value, json};
use spanlight::arguments::{ConfigArguments, ConfigOutput};
use spanlight_server::Settings;

use crate::failure::Failure;
use crate::{screen, settings};

pub(super) fn run(arguments: &ConfigArguments) -> Result<(), Failure> {
    let settings = settings::load(&arguments.configuration, Vec::new())?;
    screen::say(&match arguments.output {
        ConfigOutput::Toml => settings.effective_toml(),
        ConfigOutput::Json => format!("{:#}\n", as_json(&settings)),
    })
}

/// Every setting by its name, with its value as TOML writes it, and where that comes from.
fn as_json(settings: &Settings) -> Value {
    let entries = settings.effective().into_iter();
    let fields: Map<String, Value> = entries
        .map(|(name, value, origin)| {
            let origin = origin.as_deref().unwrap_or("default");
            (name.to_owned(), json!({"value": value, "origin": origin}))
        })
        .collect();
    Value::Object(fields)
}
