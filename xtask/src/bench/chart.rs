//! Bar charts as SVG: small multiples, one panel for each figure, whiskers for the confidence interval.
//!
//! The colours follow the reader's choice of light or dark; nothing is drawn behind, so the page shows through.

use super::stand::Kind;
use super::stats::Estimate;

/// One bar.
pub(super) struct Bar {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) value: Estimate,
}

/// One figure.
pub(super) struct Panel {
    pub(super) title: String,
    /// A second, smaller line: the unit and which way is better.
    pub(super) note: String,
    pub(super) decimals: usize,
    pub(super) bars: Vec<Bar>,
}

/// Pixels.
const PANEL: f64 = 370.0;
const COLUMNS: usize = 2;
const GAP: f64 = 20.0;
const HEAD: f64 = 42.0;
const ROW: f64 = 22.0;
const THICK: f64 = 14.0;
/// Where bars begin, and the length of the longest: names stand before, values behind.
const START: f64 = 100.0;
const LONGEST: f64 = 190.0;

const STYLE: &str = "\
text{font:12px system-ui,sans-serif;fill:#1f2937}.t{font-weight:600}.n{font-size:11px;fill:#6b7280}\
.adit{fill:#2563eb}.null{fill:#93c5fd}.peer{fill:#9ca3af}.bare{fill:#d1d5db}.w{stroke:#111827;stroke-width:1.2;fill:none}.a{stroke:#9ca3af}\
@media(prefers-color-scheme:dark){text{fill:#e5e7eb}.n{fill:#9ca3af}.adit{fill:#60a5fa}.null{fill:#1e40af}.peer{fill:#6b7280}\
.bare{fill:#4b5563}.w{stroke:#f9fafb}.a{stroke:#6b7280}}";

/// Draws `panels` side by side; `title` is for those who cannot see them.
pub(super) fn chart(title: &str, panels: &[Panel]) -> String {
    let (mut body, mut top) = (String::new(), 0.0);
    for row in panels.chunks(COLUMNS) {
        for (column, panel) in row.iter().enumerate() {
            let left = column as f64 * (PANEL + GAP);
            body += &format!("<g transform=\"translate({left:.0},{top:.0})\">\n{}</g>\n", draw(panel));
        }
        let longest = row.iter().map(|panel| panel.bars.len()).max().unwrap_or(0);
        top += HEAD + longest as f64 * ROW + GAP;
    }
    let width = PANEL * COLUMNS as f64 + GAP * (COLUMNS - 1) as f64;
    let title = escape(title);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {top:.0}\" width=\"{width:.0}\" height=\"{top:.0}\" role=\"img\" \
         aria-label=\"{title}\">\n<title>{title}</title>\n<style>{STYLE}</style>\n{body}</svg>\n"
    )
}

fn draw(panel: &Panel) -> String {
    let ends = panel.bars.iter().map(|bar| bar.value.high.max(bar.value.median));
    let largest = ends.fold(0.0, f64::max);
    let scale = |value: f64| {
        if largest > 0.0 {
            value.max(0.0) / largest * LONGEST
        } else {
            0.0
        }
    };
    let mut text = format!(
        "<text class=\"t\" x=\"0\" y=\"14\">{}</text>\n<text class=\"n\" x=\"0\" y=\"30\">{}</text>\n",
        escape(&panel.title),
        escape(&panel.note)
    );
    for (index, bar) in panel.bars.iter().enumerate() {
        let top = HEAD + index as f64 * ROW;
        let middle = top + THICK / 2.0;
        let (length, low, high) = (scale(bar.value.median), scale(bar.value.low), scale(bar.value.high));
        let class = match bar.kind {
            Kind::Adit => "adit",
            Kind::Null => "null",
            Kind::Peer => "peer",
            Kind::Bare => "bare",
        };
        text += &format!(
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{}</text>\n",
            START - 6.0,
            middle + 4.0,
            escape(&bar.name)
        );
        text += &format!(
            "<rect class=\"{class}\" x=\"{START:.0}\" y=\"{top:.1}\" width=\"{length:.1}\" height=\"{THICK:.0}\" rx=\"2\"/>\n"
        );
        if bar.value.high > bar.value.low {
            let (low, high, above, below) = (START + low, START + high, middle - 4.0, middle + 4.0);
            text += &format!(
                "<path class=\"w\" d=\"M{low:.1} {middle:.1}H{high:.1}M{low:.1} {above:.1}V{below:.1}M{high:.1} {above:.1}V{below:.1}\"/>\n"
            );
        }
        text += &format!(
            "<text x=\"{:.1}\" y=\"{:.0}\">{:.*}</text>\n",
            START + length.max(high) + 6.0,
            middle + 4.0,
            panel.decimals,
            bar.value.median
        );
    }
    let bottom = HEAD + panel.bars.len() as f64 * ROW - (ROW - THICK);
    text + &format!("<path class=\"a\" d=\"M{START:.0} {:.0}V{bottom:.0}\"/>\n", HEAD - 2.0)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(name: &str, low: f64, median: f64, high: f64) -> Bar {
        Bar {
            name: name.into(),
            kind: Kind::Adit,
            value: Estimate { median, low, high },
        }
    }

    fn panel(bars: Vec<Bar>) -> Panel {
        Panel {
            title: "1 flow".into(),
            note: "Gbit/s".into(),
            decimals: 1,
            bars,
        }
    }

    #[test]
    fn bars_are_as_long_as_their_values_and_whiskers_span_the_interval() {
        let text = draw(&panel(vec![bar("a", 8.0, 9.0, 10.0), bar("b", 5.0, 5.0, 5.0)]));
        // The end of the longest whisker is the end of the scale.
        assert!(text.contains("width=\"171.0\""), "{text}");
        assert!(text.contains("width=\"95.0\""), "{text}");
        assert!(text.contains("M252.0 49.0H290.0"), "{text}");
        assert_eq!(
            text.matches("class=\"w\"").count(),
            1,
            "an interval without width has no whisker"
        );
        assert!(text.contains(">9.0</text>"));
    }

    #[test]
    fn names_cannot_break_out_and_tags_are_balanced() {
        let text = chart(
            "a & b",
            &[panel(vec![bar("<x>\"", 1.0, 1.0, 1.0)]), panel(vec![]), panel(vec![])],
        );
        assert!(text.contains("&lt;x&gt;&quot;") && text.contains("a &amp; b"));
        for tag in ["g", "text", "title", "style", "svg"] {
            let opened = text.matches(&format!("<{tag} ")).count() + text.matches(&format!("<{tag}>")).count();
            assert_eq!(opened, text.matches(&format!("</{tag}>")).count(), "{tag}");
        }
        assert!(text.contains("prefers-color-scheme:dark"));
    }

    #[test]
    fn values_of_zero_draw_nothing() {
        let text = draw(&panel(vec![bar("a", 0.0, 0.0, 0.0)]));
        assert!(text.contains("width=\"0.0\"") && !text.contains("NaN"));
    }
}
