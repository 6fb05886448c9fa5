//! What series look like.

use super::*;

const PLAIN: Terminal = Terminal {
    width: 60,
    colour: false,
};

/// Labels, and samples.
type Drawn<'a> = (&'a [(&'a str, Value)], &'a [(f64, f64)]);

fn answer(series: &[Drawn<'_>]) -> MetricsAnswer {
    let of = |(labels, samples): &Drawn<'_>| Series {
        labels: labels
            .iter()
            .map(|(label, value)| ((*label).to_owned(), value.clone()))
            .collect(),
        samples: samples.to_vec(),
    };
    MetricsAnswer {
        series: series.iter().map(of).collect(),
        ..MetricsAnswer::default()
    }
}

fn shown(answer: &MetricsAnswer) -> String {
    series(answer, PLAIN, &TimeZone::UTC)
}

#[test]
fn each_series_is_a_chart_over_one_axis_of_time() {
    let counts = [3.0, 0.0, 1.0, 8.0, 5.0];
    let counts: Vec<(f64, f64)> = (0_u8..)
        .map(|minute| f64::from(minute) * 60.0)
        .zip(counts)
        .collect();
    let sparse = [(60.0, 0.25), (180.0, 0.000_2)];
    let found = answer(&[
        (&[("name", "pay\u{1b}[0m".into()), ("n", 1.into())], &counts),
        (&[("name", Value::Null)], &sparse),
    ]);
    insta::assert_snapshot!(shown(&found), @"
    n=1 name=pay·[0m  max 8  last 5
            8 ┤                  ██████
              ┤                  ██████▄▄▄▄▄▄
              ┤▄▄▄▄▄▄            ████████████
            0 ┤██████      ▄▄▄▄▄▄████████████

    name=–  max 0.25  last 2.00e-4
         0.25 ┤      ██████
              ┤      ██████
              ┤      ██████
            0 ┤······██████······▁▁▁▁▁▁······

               00:00                    00:04
    ");
}

#[test]
fn intervals_that_share_a_column_show_the_greatest() {
    let samples: Vec<(f64, f64)> = (0..200_u8)
        .map(|at| (f64::from(at), if at == 77 { 9.0 } else { 1.0 }))
        .collect();
    insta::assert_snapshot!(shown(&answer(&[(&[], &samples)])), @"
    all  max 9  last 1
            9 ┤               █
              ┤               █
              ┤               █
            0 ┤▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄█▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄

               00:00:00                        00:03:19
    ");
}

#[test]
fn one_interval_is_a_table() {
    let found = answer(&[
        (&[("name", "pay".into())], &[(0.0, 1_234.5)]),
        (&[("p", 0.9.into())], &[(0.0, 0.012)]),
    ]);
    insta::assert_snapshot!(shown(&found), @"
    VALUE  SERIES
     1234  name=pay
    0.012  p=0.9
    ");
}

#[test]
fn what_is_compared_comes_by_how_much_it_differs() {
    let series = |kind: &str, value: Value, count: f64| {
        let labels = [(COMPARED, Value::from(kind)), ("span.zone", value)];
        Series {
            labels: labels
                .into_iter()
                .map(|(label, value)| (label.to_owned(), value))
                .collect(),
            samples: vec![(0.0, count)],
        }
    };
    let found = MetricsAnswer {
        series: vec![
            series("baseline", "eu".into(), 80.0),
            series("baseline", "us".into(), 20.0),
            series("baseline_total", Value::Null, 100.0),
            series("selection", "us".into(), 5.0),
            series("selection_total", Value::Null, 5.0),
        ],
        ..MetricsAnswer::default()
    };
    insta::assert_snapshot!(shown(&found), @"
    SELECTION  BASELINE  ATTRIBUTE  VALUE
        0.0 %    80.0 %  span.zone  eu
      100.0 %    20.0 %  span.zone  us
    ");
}

#[test]
fn no_series_says_what_to_do() {
    insta::assert_snapshot!(shown(&MetricsAnswer::default()), @"no series: no span matches; try a longer time, such as --start now-24h");
}
