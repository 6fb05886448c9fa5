//! Service colours: a name has the same colour on every page, in every process, in both themes, unless services that
//! stand beside each other would look alike: then the later name moves on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Hues, in degrees of OKLCH. Red (about 25°) is kept for errors.
const HUES: usize = 18;
const FIRST_HUE: f64 = 50.0;
const HUE_STEP: f64 = 17.5;
/// Each hue comes strong, deep and soft, so that 54 services can differ.
const TONES: usize = 3;

/// From a colour that is taken to the next one to try; shares no factor with the number of colours.
const STEP: usize = 23;

/// The colours of the services that stand on one page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceColours {
    moved: BTreeMap<String, usize>,
}

impl ServiceColours {
    /// Colours for these services. The same names have the same colours in whatever order they come.
    #[must_use]
    pub fn of<'a>(service_names: impl IntoIterator<Item = &'a str>) -> Self {
        let names: BTreeSet<&str> = service_names.into_iter().collect();
        let mut taken: Vec<usize> = Vec::new();
        let mut moved = BTreeMap::new();
        for name in names.into_iter().take(HUES * TONES) {
            let preferred = preferred(name);
            let candidates =
                || (0..HUES * TONES).map(|step| (preferred + step * STEP) % (HUES * TONES));
            // With very many services it must do that no two are equal.
            let free = candidates()
                .find(|&index| !taken.iter().any(|&other| alike(index, other)))
                .or_else(|| candidates().find(|index| !taken.contains(index)))
                .unwrap_or(preferred);
            taken.push(free);
            if free != preferred {
                moved.insert(name.to_owned(), free);
            }
        }
        Self { moved }
    }

    /// The CSS class that colours a service: its `fill` in SVG, its text elsewhere.
    pub(crate) fn class(&self, service_name: Option<&str>) -> String {
        match service_name {
            Some(name) => {
                let moved = self.moved.get(name).copied();
                format!("c{}", moved.unwrap_or_else(|| preferred(name)))
            }
            None => "c-none".to_owned(),
        }
    }
}

/// Whether two colours have the same tone and neighbouring hues.
fn alike(one: usize, other: usize) -> bool {
    let distance = (one % HUES).abs_diff(other % HUES);
    // The first and the last hue have red between them, so they are no neighbours.
    one / HUES == other / HUES && distance <= 1
}

fn preferred(name: &str) -> usize {
    (hash(name.as_bytes()) % (HUES * TONES) as u64) as usize
}

/// FNV-1a, then mixed, so that names that differ in their last letter alone do not become neighbours.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let mut hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash ^= hash >> 32;
    hash = hash.wrapping_mul(0xd6e8_feb8_6659_fd93);
    hash ^ (hash >> 29)
}

/// The rules of the classes, as CSS.
pub(crate) fn palette_css() -> String {
    let mut css = String::new();
    for index in 0..HUES * TONES {
        let [light, dark] = colours(index).map(hex);
        // Writing to a string cannot fail.
        let _ = writeln!(
            css,
            ".c{index}{{fill:light-dark({light},{dark});color:light-dark({light},{dark})}}"
        );
    }
    css
}

type Rgb = [f64; 3];

/// A colour for the light theme and one for the dark.
fn colours(index: usize) -> [Rgb; 2] {
    let hue = FIRST_HUE + HUE_STEP * (index % HUES) as f64;
    let (light, dark) = match index / HUES {
        0 => ((0.60, 0.14), (0.74, 0.13)),
        1 => ((0.48, 0.11), (0.64, 0.11)),
        _ => ((0.62, 0.07), (0.83, 0.07)),
    };
    [light, dark].map(|(lightness, chroma)| oklch(lightness, chroma, hue))
}

/// OKLCH to gamma-encoded sRGB (<https://bottosson.github.io/posts/oklab/>), cut to the gamut.
fn oklch(lightness: f64, chroma: f64, hue: f64) -> Rgb {
    let (a, b) = (
        chroma * hue.to_radians().cos(),
        chroma * hue.to_radians().sin(),
    );
    let l = (lightness + 0.396_337_777_4 * a + 0.215_803_757_3 * b).powi(3);
    let m = (lightness - 0.105_561_345_8 * a - 0.063_854_172_8 * b).powi(3);
    let s = (lightness - 0.089_484_177_5 * a - 1.291_485_548_0 * b).powi(3);
    [
        4.076_741_662_1 * l - 3.307_711_591_3 * m + 0.230_969_929_2 * s,
        -1.268_438_004_6 * l + 2.609_757_401_1 * m - 0.341_319_396_5 * s,
        -0.004_196_086_3 * l - 0.703_418_614_7 * m + 1.707_614_701_0 * s,
    ]
    .map(|linear| {
        let linear = linear.clamp(0.0, 1.0);
        if linear <= 0.003_130_8 {
            12.92 * linear
        } else {
            1.055 * linear.powf(1.0 / 2.4) - 0.055
        }
    })
}

fn hex(colour: Rgb) -> String {
    let [red, green, blue] = colour.map(|part| (part * 255.0).round() as u8);
    format!("#{red:02x}{green:02x}{blue:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_colour_for_ever() {
        let class = |name| ServiceColours::default().class(name);
        assert_eq!(class(Some("checkout")), "c53");
        assert_eq!(class(Some("")), class(Some("")));
        assert_eq!(class(None), "c-none");
    }

    #[test]
    fn services_beside_each_other_do_not_look_alike() {
        let names: Vec<String> = (0..12).map(|number| format!("service-{number}")).collect();
        let colours = ServiceColours::of(names.iter().map(String::as_str));
        let reversed = ServiceColours::of(names.iter().rev().map(String::as_str));
        assert_eq!(colours, reversed);
        assert!(
            !colours.moved.is_empty(),
            "the names were chosen so that some meet"
        );
        let index = |name: &String| -> usize { colours.class(Some(name))[1..].parse().unwrap() };
        for (position, one) in names.iter().enumerate() {
            for other in &names[position + 1..] {
                assert!(!alike(index(one), index(other)), "{one} {other}");
            }
        }
    }

    #[test]
    fn more_services_than_colours_do_no_harm() {
        let names: Vec<String> = (0..200).map(|number| number.to_string()).collect();
        let colours = ServiceColours::of(names.iter().map(String::as_str));
        let used: BTreeSet<String> = names.iter().map(|name| colours.class(Some(name))).collect();
        assert_eq!(used.len(), HUES * TONES);
    }

    #[test]
    fn names_spread_over_the_palette() {
        let mut counts = [0; HUES * TONES];
        for number in 0..4_500 {
            counts[preferred(&format!("service-{number}"))] += 1;
        }
        assert!(
            counts.iter().all(|count| (45..130).contains(count)),
            "{counts:?}"
        );
    }

    /// WCAG's relative luminance.
    fn luminance(colour: Rgb) -> f64 {
        let [red, green, blue] = colour.map(|part| {
            if part <= 0.040_45 {
                part / 12.92
            } else {
                ((part + 0.055) / 1.055).powf(2.4)
            }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    #[test]
    fn every_colour_stands_out_from_both_backgrounds() {
        let contrast = |one: f64, other: f64| (one.max(other) + 0.05) / (one.min(other) + 0.05);
        for index in 0..HUES * TONES {
            let [light, dark] = colours(index);
            // WCAG 1.4.11: graphics need 3:1. The backgrounds are those of app.css.
            let on_light = contrast(luminance(light), luminance([0.98, 0.98, 0.985]));
            let on_dark = contrast(luminance(dark), luminance([0.075, 0.085, 0.1]));
            assert!(on_light >= 3.0, "{index} {}: {on_light}", hex(light));
            assert!(on_dark >= 4.5, "{index} {}: {on_dark}", hex(dark));
        }
    }
}
