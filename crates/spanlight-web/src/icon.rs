//! Icons, as SVG that takes the colour of the text around it. Each has its meaning as text beside or inside it, so
//! that nothing is said by shape or colour alone.

use maud::{Markup, html};

fn stroke(path: &str) -> Markup {
    html! {
        svg.icon viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" { path d=(path) {} }
    }
}

/// The mark of the project: spans under a light.
pub(crate) fn logo() -> Markup {
    html! {
        svg.logo viewBox="0 0 32 32" width="22" height="22" aria-hidden="true" {
            rect.logo-a x="3" y="5" width="26" height="5" rx="2.5" {}
            rect.logo-b x="8" y="13.5" width="15" height="5" rx="2.5" {}
            rect.logo-c x="15" y="22" width="14" height="5" rx="2.5" {}
        }
    }
}

pub(crate) fn error() -> Markup {
    stroke("M8 1.5 15 14H1ZM8 6v4M8 11.8v.4")
}

pub(crate) fn cold_start() -> Markup {
    stroke(
        "M8 1v14M1.9 4.5l12.2 7M1.9 11.5l12.2-7M6.2 2 8 3.8 9.8 2M6.2 14 8 12.2 9.8 14M2.2 7.3l2.4-.6-.6-2.4M13.8 8.7l-2.4.6.6 2.4M4 11.7l.6-2.4-2.4-.6M12 4.3l-.6 2.4 2.4.6",
    )
}

pub(crate) fn link() -> Markup {
    stroke(
        "M6.5 9.5l3-3M7 4.5l1.6-1.6a3 3 0 0 1 4.3 4.3L11.3 8.8M9 11.5l-1.6 1.6a3 3 0 0 1-4.3-4.3L4.7 7.2",
    )
}

pub(crate) fn asynchronous() -> Markup {
    stroke("M2 4h5a4 4 0 0 1 4 4v5M8 10.5l3 3 3-3")
}

pub(crate) fn orphan() -> Markup {
    stroke("M8 14V9M8 9 4 6M8 9l4-3M3 2.2l2 2M13 2.2l-2 2M8 1.5v3")
}

pub(crate) fn anomaly() -> Markup {
    stroke("M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13M8 4.5V8.5L10.5 10")
}

pub(crate) fn search() -> Markup {
    stroke("M7 2a5 5 0 1 0 0 10A5 5 0 0 0 7 2M10.8 10.8 14.5 14.5")
}

pub(crate) fn copy() -> Markup {
    stroke("M5.5 5.5h8v8h-8ZM3 10.5H2.5v-8h8V3")
}

pub(crate) fn close() -> Markup {
    stroke("M3 3l10 10M13 3 3 13")
}

pub(crate) fn theme() -> Markup {
    html! {
        svg.icon viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" {
            circle cx="8" cy="8" r="6" {}
            path.icon-solid d="M8 2a6 6 0 0 1 0 12Z" {}
        }
    }
}

pub(crate) fn chevron() -> Markup {
    stroke("M6 3.5 10.5 8 6 12.5")
}

/// A button that copies `text`; scripts make it work, and without them it is not shown.
pub(crate) fn copy_button(text: &str, what: &str) -> Markup {
    html! {
        button.copy.needs-script type="button" data-copy=(text) title={ "Copy " (what) } {
            (copy()) span.visually-hidden { "Copy " (what) }
        }
    }
}
