//! The whole trace in small: a bounded number of marks, however many spans there are.

use maud::{Markup, html};

use super::{Timeline, Window};
use crate::colour::ServiceColours;
use crate::format;

/// The whole trace in small.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Minimap {
    /// How many bands lie above each other.
    pub bands: usize,
    /// The marks.
    pub marks: Vec<MinimapMark>,
}

/// A mark of the minimap.
#[derive(Debug, Clone, PartialEq)]
pub struct MinimapMark {
    /// The band, from the top.
    pub band: usize,
    /// Where it begins, from 0 to 1 of the trace's time.
    pub start: f64,
    /// How long it is, from 0 to 1.
    pub width: f64,
    /// The service that gives the colour.
    pub service_name: Option<String>,
    /// Whether a span that it stands for failed.
    pub error: bool,
}

/// A span as the minimap needs it.
pub(super) struct Bar<'a> {
    pub(super) start_offset_nano: i64,
    pub(super) duration_nano: i64,
    pub(super) service_name: Option<&'a str>,
    pub(super) error: bool,
}

const BANDS_MAX: usize = 40;
const CELLS: usize = 160;

/// One cell of a band: the first span that covers it gives the colour.
#[derive(Clone, Copy, PartialEq)]
struct Cell<'a> {
    service_name: Option<&'a str>,
    error: bool,
}

/// Up to forty spans have a mark each. More share bands, and within a band the cells that neighbours in tree order
/// cover: 40 × 160 cells at most.
pub(super) fn minimap<'a>(
    span_count: usize,
    duration_nano: i64,
    bar: impl Fn(usize) -> Bar<'a>,
) -> Minimap {
    let timeline = Timeline::new(duration_nano, None);
    if span_count <= BANDS_MAX {
        let marks = (0..span_count).map(|row| mark(row, &timeline, &bar(row)));
        return Minimap {
            bands: span_count,
            marks: marks.flatten().collect(),
        };
    }
    let mut marks = Vec::new();
    for band in 0..BANDS_MAX {
        let rows = band * span_count / BANDS_MAX..(band + 1) * span_count / BANDS_MAX;
        let mut cells: [Option<Cell<'a>>; CELLS] = [None; CELLS];
        for row in rows {
            cover(&mut cells, &timeline, &bar(row));
        }
        marks.extend(runs(band, &cells));
    }
    Minimap {
        bands: BANDS_MAX,
        marks,
    }
}

fn mark(band: usize, timeline: &Timeline, bar: &Bar<'_>) -> Option<MinimapMark> {
    let extent = timeline.extent(bar.start_offset_nano, bar.duration_nano);
    (extent.outside == 0).then(|| MinimapMark {
        band,
        start: extent.start,
        width: extent.width,
        service_name: bar.service_name.map(str::to_owned),
        error: bar.error,
    })
}

fn cover<'a>(cells: &mut [Option<Cell<'a>>; CELLS], timeline: &Timeline, bar: &Bar<'a>) {
    let extent = timeline.extent(bar.start_offset_nano, bar.duration_nano);
    if extent.outside != 0 {
        return;
    }
    let first = ((extent.start * CELLS as f64) as usize).min(CELLS - 1);
    let last = (((extent.start + extent.width) * CELLS as f64) as usize).clamp(first, CELLS - 1);
    for cell in &mut cells[first..=last] {
        let cell = cell.get_or_insert(Cell {
            service_name: bar.service_name,
            error: false,
        });
        cell.error |= bar.error && last - first < CELLS / 2;
    }
}

fn runs(band: usize, cells: &[Option<Cell<'_>>; CELLS]) -> Vec<MinimapMark> {
    let mut marks = Vec::new();
    let mut first = 0;
    while first < CELLS {
        let length = cells[first..]
            .iter()
            .take_while(|cell| **cell == cells[first])
            .count();
        if let Some(cell) = cells[first] {
            marks.push(MinimapMark {
                band,
                start: first as f64 / CELLS as f64,
                width: length as f64 / CELLS as f64,
                service_name: cell.service_name.map(str::to_owned),
                error: cell.error,
            });
        }
        first += length;
    }
    marks
}

/// The minimap as SVG; what lies outside the part on show is dimmed.
pub(super) fn render(minimap: &Minimap, timeline: &Timeline, colours: &ServiceColours) -> Markup {
    let bands = minimap.bands.max(1) as f64;
    let height = (1.0 / bands).min(0.2);
    let whole: Window = 0..timeline.duration_nano;
    let fraction = |offset: i64| offset as f64 / timeline.duration_nano as f64;
    html! {
        svg #minimap .minimap width="100%" height="56" role="img" aria-label="The whole trace in small; drag over it to zoom in"
            data-duration=(timeline.duration_nano)
        {
            @for mark in &minimap.marks {
                rect .(colours.class(mark.service_name.as_deref()))
                    x=(format::percent(mark.start)) width=(format::percent(mark.width.max(0.002)))
                    y=(format::percent(mark.band as f64 * (1.0 - height) / (bands - 1.0).max(1.0)))
                    height=(format::percent((height * 0.75).max(0.03))) {}
                @if mark.error {
                    // A failed span keeps its colour and has a red head.
                    rect.minimap-error x=(format::percent(mark.start)) width="4"
                        y=(format::percent(mark.band as f64 * (1.0 - height) / (bands - 1.0).max(1.0)))
                        height=(format::percent((height * 0.75).max(0.03))) {}
                }
            }
            @if timeline.shown != whole {
                rect.minimap-shade x="0" width=(format::percent(fraction(timeline.shown.start))) y="0" height="100%" {}
                rect.minimap-shade x=(format::percent(fraction(timeline.shown.end)))
                    width=(format::percent(1.0 - fraction(timeline.shown.end))) y="0" height="100%" {}
            }
            rect #minimap-brush .minimap-brush x="0" width="0" y="0" height="100%" {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_trace_has_a_mark_for_each_span() {
        let map = minimap(3, 100, |row| Bar {
            start_offset_nano: row as i64 * 25,
            duration_nano: 50,
            service_name: Some("a"),
            error: row == 2,
        });
        assert_eq!((map.bands, map.marks.len()), (3, 3));
        assert_eq!((map.marks[2].start, map.marks[2].width), (0.5, 0.5));
        assert!(map.marks[2].error);
    }

    #[test]
    fn a_huge_trace_has_few_marks() {
        let count = 100_000;
        let map = minimap(count, count as i64, |row| Bar {
            start_offset_nano: row as i64,
            duration_nano: 3,
            service_name: Some(["a", "b"][row % 2]),
            error: row == 5,
        });
        assert_eq!(map.bands, 40);
        assert!(map.marks.len() < 200, "{}", map.marks.len());
        assert_eq!(map.marks.iter().filter(|mark| mark.error).count(), 1);
    }

    #[test]
    fn spans_outside_the_time_of_the_trace_have_no_mark() {
        let map = minimap(1, 100, |_| Bar {
            start_offset_nano: i64::MAX,
            duration_nano: 5,
            service_name: None,
            error: false,
        });
        assert_eq!(map.marks, []);
    }
}
