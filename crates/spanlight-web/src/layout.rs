//! The frame around every page: head, header, footer and the overview of the keys.

use maud::{DOCTYPE, Markup, html};

use crate::asset;
use crate::icon;

/// Which page stands in the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PageKind {
    Search,
    Trace,
    Failure,
}

/// A page and what its frame needs to know.
#[derive(Debug)]
pub(crate) struct Shell<'a> {
    pub(crate) title: &'a str,
    pub(crate) page: PageKind,
    pub(crate) content: Markup,
}

/// The whole document.
pub(crate) fn page(shell: &Shell<'_>) -> String {
    let class = match shell.page {
        PageKind::Search => "page-search",
        PageKind::Trace => "page-trace",
        PageKind::Failure => "page-failure",
    };
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="same-origin";
                title { (shell.title) " · Spanlight" }
                link rel="icon" type="image/svg+xml" href=(asset::href("icon.svg"));
                link rel="stylesheet" href=(asset::href("app.css"));
                // Not deferred: the theme is set before the first paint.
                script src=(asset::href("theme.js")) {}
                script src=(asset::href("app.js")) defer {}
                @if shell.page == PageKind::Search {
                    script src=(asset::href("complete.js")) defer {}
                }
                @if shell.page == PageKind::Trace {
                    script src=(asset::href("trace.js")) defer {}
                }
            }
            body .(class) {
                a.skip href="#content" { "Skip to content" }
                (header(shell.page))
                main #content { (shell.content) }
                @if shell.page != PageKind::Trace { (footer()) }
                (help(shell.page))
            }
        }
    };
    document.into_string()
}

fn header(page: PageKind) -> Markup {
    html! {
        header.top {
            a.brand href="/" { (icon::logo()) span { "Spanlight" } }
            nav aria-label="Pages" {
                a href="/" aria-current=[(page == PageKind::Search).then_some("page")] { "Search" }
            }
            div.top-tools {
                @if page != PageKind::Search {
                    form.jump action="/" method="get" role="search" {
                        input type="search" name="q" aria-label="TraceQL query or trace id" placeholder="TraceQL or trace id"
                            autocomplete="off" spellcheck="false" data-focus-key;
                    }
                }
                button.tool.needs-script #help-open type="button" title="Keys (?)" { "?" span.visually-hidden { " Keys" } }
                button.tool.needs-script #theme-toggle type="button" title="Light or dark" {
                    (icon::theme()) span.visually-hidden { "Light or dark" }
                }
            }
        }
    }
}

fn footer() -> Markup {
    html! {
        footer.bottom {
            span { "Spanlight " (env!("CARGO_PKG_VERSION")) }
            a href="/metrics" { "metrics" }
            a href="/readyz" { "readiness" }
        }
    }
}

fn help(page: PageKind) -> Markup {
    let general: &[(&[&str], &str)] = &[
        (&["/"], "to the search box"),
        (&["j", "k"], "next and previous row; the arrows do too"),
        (&["Enter"], "open"),
        (&["Esc"], "close, or leave the search box"),
        (&["t"], "light, dark, or as the system has it"),
        (&["?"], "this overview"),
    ];
    let trace: &[(&[&str], &str)] = &[
        (&["←", "→"], "fold and unfold"),
        (&["[", "]"], "fold and unfold one level everywhere"),
        (&["e", "E"], "next and previous error"),
        (&["z"], "zoom to the selected span, and back"),
        (&["Home", "End"], "first and last row"),
    ];
    let search: &[(&[&str], &str)] = &[
        (&["Tab"], "take the first suggestion"),
        (&["↓", "↑"], "choose one; Enter takes it"),
        (&["Ctrl+Space"], "what could stand here"),
    ];
    html! {
        dialog #help aria-labelledby="help-title" {
            form method="dialog" {
                h2 #help-title { "Keys" }
                button.tool type="submit" title="Close (Esc)" { (icon::close()) span.visually-hidden { "Close" } }
            }
            (keys(general))
            @if page == PageKind::Search {
                h3 { "Search box" }
                (keys(search))
            }
            @if page == PageKind::Trace {
                h3 { "Waterfall" }
                (keys(trace))
            }
        }
    }
}

fn keys(list: &[(&[&str], &str)]) -> Markup {
    html! {
        dl.keys {
            @for (keys, meaning) in list {
                div {
                    dt { @for key in *keys { kbd { (key) } " " } }
                    dd { (meaning) }
                }
            }
        }
    }
}
