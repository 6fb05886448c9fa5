//! The parameters of a request, by name. Unknown ones are passed over; of repeated ones the first counts.

use url::form_urlencoded;

use super::failure::Failure;

/// Parameters of a query string or a form.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(crate) fn parse(text: &[u8]) -> Self {
        Self(form_urlencoded::parse(text).into_owned().collect())
    }

    /// Parameters that came in another way.
    pub(crate) fn of<const N: usize>(pairs: [(&str, String); N]) -> Self {
        let pairs = pairs.into_iter();
        Self(
            pairs
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        )
    }

    /// A parameter; one that is empty counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<usize>, Failure> {
        self.get(name)
            .map(|text| {
                text.parse().map_err(|_| {
                    Failure::bad_parameter(name, &format!("{text:?} is no whole number"))
                })
            })
            .transpose()
    }
}
