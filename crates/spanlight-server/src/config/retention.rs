//! The kind of setting that says how long the spans of single services are kept.

use std::collections::BTreeMap;
use std::time::Duration;

use super::value::{Kind, Raw, list, quote, text, write_duration};

/// How long spans are kept, by the name of their service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceRetention(pub BTreeMap<String, Duration>);

impl Kind for ServiceRetention {
    fn read(raw: &Raw) -> Result<Self, String> {
        if text(raw) == Some("off") {
            return Ok(Self::default());
        }
        let items = list(raw).into_iter().map(|item| {
            let expected = || format!("service=duration, as checkout=3d, instead of {item:?}");
            // A name may have the sign, a duration never.
            let (service, time) = item.rsplit_once('=').ok_or_else(expected)?;
            let time = Duration::read(&Raw::Text(time.to_owned())).map_err(|_| expected())?;
            Ok((service.trim().to_owned(), time))
        });
        items.collect::<Result<_, _>>().map(Self)
    }

    fn write(&self) -> String {
        let items = self.0.iter();
        let items =
            items.map(|(service, time)| quote(&format!("{service}={}", write_duration(*time))));
        format!("[{}]", items.collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_reads_and_writes() {
        let raw = Raw::List(vec!["checkout=3d".to_owned(), "a=b = 90m".to_owned()]);
        let read = ServiceRetention::read(&raw).unwrap();
        assert_eq!(read.0["checkout"], Duration::from_secs(3 * 24 * 3_600));
        assert_eq!(read.0["a=b"], Duration::from_secs(90 * 60));
        assert_eq!(read.write(), r#"["a=b=90m", "checkout=3d"]"#);
        let wrong = ServiceRetention::read(&Raw::Text("checkout".to_owned()));
        assert!(wrong.unwrap_err().contains("service=duration"));
    }
}
