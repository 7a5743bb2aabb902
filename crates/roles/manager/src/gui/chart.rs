//! Charts: lines over time, drawn on the server as SVG, with the same figures as a table for those who do not see them.

use super::figures::Moment;
use askama::Template;
use std::fmt::Write;

/// Width and height of the drawing, in its own units; the page stretches it.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 120.0;
/// Rows of the table below a chart.
const TABLE_ROWS: usize = 12;
/// Marks of the time axis.
const TIME_MARKS: usize = 5;

/// What a line's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Count,
    BitsPerSecond,
}

impl Unit {
    /// A value with its unit.
    fn text(self, value: f64) -> String {
        match self {
            Unit::Count => short(value, &["", "k", "M", "G"]),
            Unit::BitsPerSecond => short(value, &["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"]),
        }
    }
}

/// Three digits or so, with the unit a thousand to the right power makes of it.
fn short(value: f64, units: &[&str]) -> String {
    let mut value = value.max(0.0);
    let mut units = units.iter().peekable();
    let mut unit = *units.next().unwrap_or(&"");
    while value >= 1000.0 && units.peek().is_some() {
        value /= 1000.0;
        unit = units.next().unwrap_or(&"");
    }
    let number = if value >= 100.0 || value.fract() < 0.05 { format!("{value:.0}") } else { format!("{value:.1}") };
    format!("{number} {unit}").trim_end().to_owned()
}

/// Bits in a second, written short.
pub(super) fn bits_per_second(value: f64) -> String {
    Unit::BitsPerSecond.text(value)
}

/// One line.
pub(super) struct Line {
    pub(super) name: &'static str,
    /// One for each time of the chart.
    pub(super) values: Vec<f64>,
}

/// A chart of up to two lines: the first is filled, the second dashed.
#[derive(Template)]
#[template(path = "chart.html")]
pub(super) struct Chart {
    /// Names its parts on the page.
    id: &'static str,
    title: &'static str,
    unit: Unit,
    lines: Vec<Line>,
    /// When each interval began, milliseconds since 1970, rising.
    times: Vec<u64>,
    top: f64,
}

impl Chart {
    /// A chart; `times` and every line's values have the same length.
    pub(super) fn new(id: &'static str, title: &'static str, unit: Unit, times: Vec<u64>, lines: Vec<Line>) -> Self {
        debug_assert!(lines.iter().all(|l| l.values.len() == times.len()));
        let most = lines.iter().flat_map(|l| &l.values).fold(0.0_f64, |a, b| a.max(*b));
        Self { id, title, unit, lines, times, top: round_up(most) }
    }

    fn x(&self, at: usize) -> f64 {
        let last = self.times.len().saturating_sub(1).max(1);
        WIDTH * at as f64 / last as f64
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - HEIGHT * (value / self.top).clamp(0.0, 1.0)
    }

    fn width(&self) -> f64 {
        WIDTH
    }

    fn height(&self) -> f64 {
        HEIGHT
    }

    fn path(&self, line: &Line) -> String {
        let mut path = String::new();
        for (at, value) in line.values.iter().enumerate() {
            let verb = if at == 0 { 'M' } else { 'L' };
            write!(path, "{verb}{:.1} {:.1}", self.x(at), self.y(*value)).expect("writing to a string");
        }
        path
    }

    fn area(&self, line: &Line) -> String {
        format!("{}L{WIDTH} {HEIGHT}L0 {HEIGHT}Z", self.path(line))
    }

    /// `a` and `b`.
    fn class(&self, at: &usize) -> &'static str {
        if *at == 0 { "a" } else { "b" }
    }

    /// Marks of the value axis, from the top.
    fn marks(&self) -> [String; 3] {
        [self.top, self.top / 2.0, 0.0].map(|v| self.unit.text(v))
    }

    /// Marks of the time axis.
    fn time_marks(&self) -> Vec<String> {
        let last = self.times.len().saturating_sub(1);
        let marks = (0..TIME_MARKS).filter_map(|nth| self.times.get(last * nth / (TIME_MARKS - 1)));
        let mut marks: Vec<_> = marks.map(|at| clock(*at)).collect();
        if let Some(last) = marks.last_mut() {
            last.push_str(" UTC");
        }
        marks
    }

    /// The last value of a line.
    fn now(&self, line: &Line) -> String {
        self.unit.text(line.values.last().copied().unwrap_or(0.0))
    }

    /// What it shows, in one sentence.
    fn sentence(&self) -> String {
        let mut text = String::new();
        for line in &self.lines {
            let most = line.values.iter().fold(0.0_f64, |a, b| a.max(*b));
            write!(text, "{}: now {}, at most {}. ", line.name, self.now(line), self.unit.text(most)).expect("writing to a string");
        }
        text.trim_end().to_owned()
    }

    /// Strips to point at, each with what it stands for: (left, width, words).
    fn strips(&self) -> Vec<(f64, f64, String)> {
        let width = WIDTH / self.times.len().max(1) as f64;
        let strip = |(at, time): (usize, &u64)| {
            let values: Vec<_> = self.lines.iter().map(|l| format!("{} {}", l.name, self.value(l, at))).collect();
            ((self.x(at) - width / 2.0).max(0.0), width, format!("{} UTC: {}", clock(*time), values.join(", ")))
        };
        self.times.iter().enumerate().map(strip).collect()
    }

    fn value(&self, line: &Line, at: usize) -> String {
        self.unit.text(line.values.get(at).copied().unwrap_or(0.0))
    }

    /// The chart as a table, newest first: (time, values); each row is the mean of its intervals.
    fn rows(&self) -> Vec<(String, Vec<String>)> {
        let size = self.times.len().div_ceil(TABLE_ROWS).max(1);
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
        let mut rows = Vec::new();
        for (nth, times) in self.times.chunks(size).enumerate() {
            let Some(first) = times.first() else { continue };
            let chunk = |l: &Line| self.unit.text(mean(l.values.chunks(size).nth(nth).unwrap_or_default()));
            rows.push((Moment::at(*first).text(), self.lines.iter().map(chunk).collect()));
        }
        rows.reverse();
        rows
    }
}

/// Hour and minute, UTC.
fn clock(at_ms: u64) -> String {
    Moment::at(at_ms).iso().get(11..16).unwrap_or_default().to_owned()
}

/// The next of 1, 2, 4, 5, 8, 10 times a power of ten: where an axis ends.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 4.0, 5.0, 8.0, 10.0];
    steps.into_iter().map(|s| s * power).find(|s| *s >= value * (1.0 - 1e-9)).unwrap_or(value).max(1.0)
}

/// Values added up in `count` intervals of the same length, oldest first; `values` whose number is no multiple lose their oldest.
pub(super) fn gather<T: Copy>(values: &[T], count: usize) -> Vec<&[T]> {
    let size = (values.len() / count.max(1)).max(1);
    let kept = values.get(values.len() % size..).unwrap_or_default();
    kept.chunks(size).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_figures() {
        for (value, top) in
            [(0.0, 1.0), (0.2, 1.0), (1.0, 1.0), (3.0, 4.0), (41.0, 50.0), (99.0, 100.0), (100.0, 100.0), (1_300_000.0, 2_000_000.0)]
        {
            assert!((round_up(value) - top).abs() < 1e-6, "{value}: {}", round_up(value));
        }
    }

    #[test]
    fn values_are_short() {
        for (value, text) in
            [(0.0, "0 bit/s"), (999.0, "999 bit/s"), (1_000.0, "1 kbit/s"), (12_345_678.0, "12.3 Mbit/s"), (4e15, "4000 Tbit/s")]
        {
            assert_eq!(bits_per_second(value), text);
        }
        assert_eq!(Unit::Count.text(7.0), "7");
        assert_eq!(Unit::Count.text(1_500.0), "1.5 k");
    }

    #[test]
    fn a_chart_says_what_it_draws() {
        let line = |name, values: &[f64]| Line { name, values: values.to_vec() };
        let times = (0..4).map(|m| 1_700_000_000_000 + m * 60_000).collect();
        let chart = Chart::new(
            "c",
            "Throughput",
            Unit::BitsPerSecond,
            times,
            vec![line("out", &[0.0, 10.0, 20.0, 5.0]), line("from origin", &[0.0, 0.0, 4.0, 1.0])],
        );
        let html = chart.render().expect("drawn");
        assert!(html.contains("M0.0 120.0L200.0 60.0L400.0 0.0L600.0 90.0"), "{html}");
        assert!(html.contains("out: now 5 bit/s, at most 20 bit/s. from origin: now 1 bit/s, at most 4 bit/s."), "{html}");
        assert_eq!(html.matches("<tr>").count(), 5, "{html}");
        assert!(!html.contains("style="), "{html}");
    }

    #[test]
    fn gathering_keeps_the_newest() {
        assert_eq!(gather(&[1, 2, 3, 4, 5], 2), [&[2, 3][..], &[4, 5]]);
        assert_eq!(gather(&[1, 2], 5), [&[1][..], &[2]]);
        assert!(gather::<u8>(&[], 5).is_empty());
    }
}
