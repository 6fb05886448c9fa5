//! What the pages load: style sheet, scripts and icon, all in the binary.

use std::sync::LazyLock;

use crate::colour;

/// The `Content-Security-Policy` that the pages keep to: nothing from elsewhere, nothing inline.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// A file that the pages load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// For the `Content-Type` header.
    pub content_type: &'static str,
    /// The content.
    pub bytes: &'static [u8],
    /// For the `ETag` header, quotes included. The pages' links carry the same hash (`?v=`), so that an answer to
    /// them may be cached for ever.
    pub etag: &'static str,
}

struct File {
    name: &'static str,
    content_type: &'static str,
    content: String,
    etag: String,
    href: String,
}

static FILES: LazyLock<Vec<File>> = LazyLock::new(|| {
    let style = format!(
        "{}{}{}",
        include_str!("../assets/base.css"),
        include_str!("../assets/pages.css"),
        colour::palette_css()
    );
    let script = "text/javascript; charset=utf-8";
    vec![
        file("app.css", "text/css; charset=utf-8", style),
        file(
            "theme.js",
            script,
            include_str!("../assets/theme.js").to_owned(),
        ),
        file(
            "app.js",
            script,
            include_str!("../assets/app.js").to_owned(),
        ),
        file(
            "complete.js",
            script,
            include_str!("../assets/complete.js").to_owned(),
        ),
        file(
            "trace.js",
            script,
            include_str!("../assets/trace.js").to_owned(),
        ),
        file(
            "icon.svg",
            "image/svg+xml",
            include_str!("../assets/icon.svg").to_owned(),
        ),
    ]
});

fn file(name: &'static str, content_type: &'static str, content: String) -> File {
    let hash = format!("{:016x}", colour::hash(content.as_bytes()));
    File {
        name,
        content_type,
        content,
        etag: format!("\"{hash}\""),
        href: format!("/assets/{name}?v={hash}"),
    }
}

/// The asset at `/assets/{name}`.
#[must_use]
pub fn asset(name: &str) -> Option<Asset> {
    let file = FILES.iter().find(|file| file.name == name)?;
    Some(Asset {
        content_type: file.content_type,
        bytes: file.content.as_bytes(),
        etag: &file.etag,
    })
}

/// The address of an asset, with the hash of its content.
pub(crate) fn href(name: &str) -> &'static str {
    FILES
        .iter()
        .find(|file| file.name == name)
        .map_or("", |file| file.href.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assets_are_found_by_name() {
        let style = asset("app.css").unwrap();
        assert_eq!(style.content_type, "text/css; charset=utf-8");
        assert!(href("app.css").contains(style.etag.trim_matches('"')));
        assert_eq!(asset("../app.css"), None);
        assert_eq!(asset(""), None);
    }

    #[test]
    fn assets_load_nothing_from_elsewhere() {
        for file in FILES.iter() {
            let text = file.content.replace("http://www.w3.org/2000/svg", "");
            assert!(
                !text.contains("//cdn") && !text.contains("http:") && !text.contains("https:"),
                "{}",
                file.name
            );
        }
    }
}
