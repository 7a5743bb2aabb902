//! The rollout over time as a picture: devices by what they do, stacked.

use crate::{
    report::duration,
    world::{Outcome, Sample, Setup},
};
use std::fmt::Write;

const WIDTH: f64 = 1_200.0;
const HEIGHT: f64 = 480.0;
const LEFT: f64 = 60.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 90.0;
/// Points of the chart at most; more are thinned out.
const POINTS_MAX: usize = 600;

type Layer = (&'static str, &'static str, fn(&Sample) -> u32);

const LAYERS: [Layer; 7] = [
    ("done", "#2a7f62", |sample| sample.done),
    ("proving, ramping", "#8fd0b0", |sample| sample.proving),
    ("leaving or out", "#f2b134", |sample| sample.out),
    ("went back", "#c8453b", |sample| sample.failed),
    ("not heard", "#555555", |sample| sample.lost),
    ("staged or fetching", "#9db8d9", |sample| sample.staged),
    ("before", "#d9dfe7", |sample| sample.before),
];

/// The picture of one run.
pub fn picture(setup: &Setup, outcome: &Outcome) -> String {
    let moving = last_change(&outcome.samples);
    let shown = &outcome.samples[..moving];
    let samples: Vec<&Sample> = shown.iter().step_by(shown.len().div_ceil(POINTS_MAX).max(1)).collect();
    let end_ms = samples.last().map_or(1, |sample| sample.at_ms.max(1));
    let x = |at_ms: u64| LEFT + (WIDTH - LEFT - 20.0) * ratio(at_ms, end_ms);
    let total = u64::from(samples.first().map_or(1, |sample| LAYERS.iter().map(|layer| layer.2(sample)).sum::<u32>()).max(1));
    let y = |count: u64| TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - ratio(count, total));
    let mut text = String::new();
    let mut put = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    put(format!("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">"));
    put("<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>".to_owned());
    put(format!(
        "<text x=\"{LEFT}\" y=\"22\" font-size=\"15\">{} devices, {}, seed {}, {} faults, image {}</text>",
        setup.devices, setup.direction, setup.seed, setup.faults, setup.defect
    ));
    for (number, (_, colour, _)) in LAYERS.iter().enumerate() {
        let sum = |sample: &Sample, layers: usize| LAYERS[..layers].iter().map(|layer| u64::from(layer.2(sample))).sum::<u64>();
        let above = samples.iter().map(|sample| (x(sample.at_ms), y(sum(sample, number + 1))));
        let below = samples.iter().rev().map(|sample| (x(sample.at_ms), y(sum(sample, number))));
        let points = above.chain(below).fold(String::new(), |mut points, (x, y)| {
            write!(points, "{x:.1},{y:.1} ").expect("text takes what is written");
            points
        });
        put(format!("<polygon fill=\"{colour}\" points=\"{points}\"/>"));
    }
    put(axes(end_ms, total, &x, &y));
    put(marks(outcome, end_ms, &x));
    put(legend());
    put("</svg>".to_owned());
    text
}

/// The samples up to a little after the last one that shows something new.
fn last_change(samples: &[Sample]) -> usize {
    let counts = |sample: &Sample| Sample { at_ms: 0, ..*sample };
    let last = samples.windows(2).rposition(|pair| counts(&pair[0]) != counts(&pair[1])).map_or(samples.len(), |last| last + 2);
    (last + last / 20 + 1).min(samples.len())
}

#[expect(clippy::cast_precision_loss, reason = "a picture has fewer points than 2^52")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

fn axes(end_ms: u64, total: u64, x: &dyn Fn(u64) -> f64, y: &dyn Fn(u64) -> f64) -> String {
    let mut text = String::new();
    for part in 0..=6 {
        let at_ms = end_ms * part / 6;
        let (x, y) = (x(at_ms), HEIGHT - BOTTOM + 16.0);
        write!(text, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{}</text>", duration(at_ms))
            .expect("text takes what is written");
    }
    for part in 0..=4 {
        let count = total * part / 4;
        let y = y(count) + 4.0;
        write!(text, "<text x=\"{:.1}\" y=\"{y:.1}\" text-anchor=\"end\">{count}</text>", LEFT - 6.0).expect("text takes what is written");
    }
    text
}

fn marks(outcome: &Outcome, end_ms: u64, x: &dyn Fn(u64) -> f64) -> String {
    let mut text = String::new();
    let mut last = f64::NEG_INFINITY;
    for (at_ms, mark) in outcome.marks.iter().filter(|(at_ms, _)| *at_ms <= end_ms) {
        let x = x(*at_ms);
        write!(
            text,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{:.1}\" stroke=\"#333\" stroke-dasharray=\"2 4\"/>",
            HEIGHT - BOTTOM
        )
        .expect("text takes what is written");
        if x - last > 14.0 {
            write!(
                text,
                "<text transform=\"translate({:.1},{:.1}) rotate(-90)\" font-size=\"10\">{mark}</text>",
                x + 11.0,
                HEIGHT - BOTTOM - 6.0
            )
            .expect("text takes what is written");
            last = x;
        }
    }
    text
}

fn legend() -> String {
    let mut text = String::new();
    let mut x = LEFT;
    for (name, colour, _) in LAYERS {
        let y = HEIGHT - 40.0;
        write!(
            text,
            "<rect x=\"{x}\" y=\"{y}\" width=\"14\" height=\"14\" fill=\"{colour}\"/><text x=\"{}\" y=\"{}\">{name}</text>",
            x + 20.0,
            y + 12.0
        )
        .expect("text takes what is written");
        x += 160.0;
    }
    text
}
