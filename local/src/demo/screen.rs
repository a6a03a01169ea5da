//! What the demo shows: the progress of the sending, the funnel as it fills, and the report at the end.

use std::cell::Cell as Kept;
use std::time::Instant;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{Cell, CellAlignment, Color, Table};
use console::{Term, style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;

/// Width of a full bar of the funnel, in characters.
const BAR_WIDTH: usize = 30;

/// How often the progress bar is drawn at most.
const FRAMES_A_SECOND: u8 = 10;

/// The funnel's stages with what a recipient who is stuck there has not done.
const STAGES: [(&str, &str); 6] = [
    ("sent", "not delivered"),
    ("delivered", "not read"),
    ("read", "no click, no reply"),
    ("clicked", "no reply"),
    ("replied", "not closed"),
    ("closed", ""),
];

/// A created campaign in one line.
pub(super) fn created(screen: &Term, campaign: &Value, speed: Option<f64>) -> std::io::Result<()> {
    let skipped = campaign["skipped_count"].as_u64().unwrap_or(0);
    let (messages, seconds) = (&campaign["estimate"]["messages"], &campaign["estimate"]["duration_s"]);
    screen.write_line("")?;
    screen.write_line(&format!("  {}", style("Thirdtick: a campaign to 250 people").bold()))?;
    screen.write_line(&format!(
        "  {} messages planned, {skipped} skipped, about {seconds} s at 75 messages/s",
        style(messages).cyan(),
    ))?;
    if let Some(speed) = speed {
        let note = format!("the people are simulated and react {speed} times faster than in life");
        screen.write_line(&format!("  {}", style(note).dim()))?;
    }
    screen.write_line("")
}

/// The progress bar of the sending.
pub(super) struct SendingScreen {
    bar: ProgressBar,
    screen: Term,
    /// When the first message was seen to be accepted, and how many were by then.
    since: Kept<Option<(Instant, i64)>>,
}

impl SendingScreen {
    pub(super) fn new(campaign: &Value, screen: &Term) -> Self {
        let planned = count(campaign, "/progress/total") - count(campaign, "/progress/skipped");
        let target = ProgressDrawTarget::term(screen.clone(), FRAMES_A_SECOND);
        let bar = ProgressBar::with_draw_target(Some(planned.unsigned_abs()), target);
        // The template is fixed and known to be well formed; should it not be, the default shows as much.
        if let Ok(style) = ProgressStyle::with_template("  Sending    {bar:30.green/dim} {pos:>4}/{len}  {msg}") {
            bar.set_style(style.progress_chars("█▉▊▋▌▍▎▏░"));
        }
        Self { bar, screen: screen.clone(), since: Kept::new(None) }
    }

    pub(super) fn show(&self, campaign: &Value) {
        let accepted = count(campaign, "/progress/accepted");
        self.bar.set_position(accepted.unsigned_abs());
        if let Some(waiting) = campaign["waiting"]["reason"].as_str() {
            self.bar.set_message(waiting.to_owned());
            return;
        }
        let Some((since, first)) = self.since.get() else {
            self.since.set((accepted > 0).then(|| (Instant::now(), accepted)));
            return;
        };
        let seconds = since.elapsed().as_secs_f64();
        if seconds < 0.5 || accepted <= first {
            return;
        }
        #[allow(clippy::cast_precision_loss, reason = "messages of a campaign are far below 2^52")]
        let (rate, left) =
            ((accepted - first) as f64 / seconds, (self.bar.length().unwrap_or(0) as f64 - accepted as f64).max(0.0));
        self.bar.set_message(format!("{rate:.0} msg/s, {:.0} s left", left / rate));
    }

    pub(super) fn finish(&self, campaign: &Value) -> std::io::Result<()> {
        self.show(campaign);
        let took = campaign["started_at"].as_str().zip(campaign["finished_at"].as_str()).and_then(|(from, to)| {
            let (from, to): (jiff::Timestamp, jiff::Timestamp) = (from.parse().ok()?, to.parse().ok()?);
            Some(to.duration_since(from).as_secs_f64())
        });
        self.bar.set_message(took.map_or_else(String::new, |seconds| format!("sent in {seconds:.1} s")));
        self.bar.abandon();
        self.screen.write_line("\n")
    }
}

/// The funnel, drawn over itself as it fills; on a screen that is no terminal it is drawn once, at the end.
pub(super) struct FunnelScreen<'a> {
    screen: &'a Term,
    drawn: usize,
    last: Vec<String>,
}

impl<'a> FunnelScreen<'a> {
    pub(super) const fn new(screen: &'a Term) -> Self {
        Self { screen, drawn: 0, last: Vec::new() }
    }

    pub(super) fn show(&mut self, report: &Value) -> std::io::Result<()> {
        self.last = funnel(report);
        if self.screen.is_term() { self.draw() } else { Ok(()) }
    }

    fn draw(&mut self) -> std::io::Result<()> {
        self.screen.clear_last_lines(self.drawn)?;
        for line in &self.last {
            self.screen.write_line(line)?;
        }
        self.drawn = self.last.len();
        Ok(())
    }

    pub(super) fn finish(&mut self) -> std::io::Result<()> {
        if self.screen.is_term() { Ok(()) } else { self.draw() }
    }
}

fn funnel(report: &Value) -> Vec<String> {
    let sent = count(report, "/stages/sent/count").max(1);
    let mut lines = Vec::new();
    for (stage, missing) in STAGES {
        let reached = count(report, &format!("/stages/{stage}/count"));
        let stuck = count(report, &format!("/stuck_at/{stage}"));
        let share = style(format!("{:>5}", percent(reached, sent))).dim();
        let bar = style(bar(reached, sent)).green();
        let stuck = if stuck > 0 && !missing.is_empty() {
            style(format!("{stuck} stuck here: {missing}")).yellow().to_string()
        } else {
            String::new()
        };
        lines.push(format!("  {stage:<10} {bar} {:>4}  {share}   {stuck}", style(reached).bold()));
    }
    let line = |label: &str, n: i64| (n > 0).then(|| format!("{n} {label}"));
    let aside: Vec<String> = [
        line("failed", count(report, "/failed")),
        line("unknown", count(report, "/unknown")),
        line("pending", count(report, "/pending")),
        line("opted out", count(report, "/opted_out")),
    ]
    .into_iter()
    .flatten()
    .collect();
    lines.push(format!("  {}", style(aside.join(" · ")).dim()));
    lines
}

/// Everything that is known at the end.
pub(super) fn report(screen: &Term, report: &Value, base_url: &str) -> std::io::Result<()> {
    screen.write_line("")?;
    screen.write_line(&indented(&delays(report)))?;
    let clicks = &report["clicks"];
    let machines: i64 =
        clicks["excluded"].as_object().into_iter().flatten().filter_map(|(_, count)| count.as_i64()).sum();
    let repeats = (count(clicks, "/raw") - count(clicks, "/human") - machines).max(0);
    screen.write_line(&format!(
        "  Clicks: {} by people ({} of them unique); not counted: {repeats} repeats within 30 s, {machines} by machines",
        style(&clicks["human"]).bold(),
        clicks["unique"],
    ))?;
    screen.write_line(&indented(&breakdown(clicks)))?;
    if let Some(errors) = report["errors"].as_array().filter(|errors| !errors.is_empty()) {
        screen.write_line("  Failures:")?;
        for error in errors {
            let title = error["title"].as_str().unwrap_or_default();
            screen.write_line(&format!("    {:>4} × {} {title}", count(error, "/count"), error["code"]))?;
        }
    }
    screen.write_line("")?;
    let id = report["campaign_id"].as_str().unwrap_or_default();
    screen.write_line(&format!("  {} GET {base_url}/v1/campaigns/{id}/report", style("The same as JSON:").dim()))
}

fn delays(report: &Value) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY).set_header(["", "median", "90 %", "people"]);
    for (label, name) in [
        ("time to deliver", "time_to_deliver"),
        ("time to open", "time_to_open"),
        ("time to click", "time_to_click"),
        ("time to reply", "time_to_reply"),
    ] {
        let delay = &report["delays_ms"][name];
        table.add_row([
            Cell::new(label),
            right(&duration(&delay["p50"])).fg(Color::Cyan),
            right(&duration(&delay["p90"])),
            right(&delay["n"].to_string()),
        ]);
    }
    table
}

fn breakdown(clicks: &Value) -> Table {
    let column = |dimension: &str, most: usize| -> Vec<(String, i64)> {
        let counted = clicks["by"][dimension].as_object();
        let mut counted: Vec<(String, i64)> = counted
            .map(|map| map.iter().map(|(name, n)| (name.clone(), n.as_i64().unwrap_or(0))).collect())
            .unwrap_or_default();
        counted.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        counted.truncate(most);
        counted
    };
    let columns = [column("device", 6), column("os", 6), column("browser", 6), column("country", 6)];
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY).set_header(["device", "", "system", "", "browser", "", "country", ""]);
    for row in 0..columns.iter().map(Vec::len).max().unwrap_or(0) {
        table.add_row(columns.iter().flat_map(|column| match column.get(row) {
            Some((name, n)) => [Cell::new(name), right(&n.to_string()).fg(Color::Cyan)],
            None => [Cell::new(""), Cell::new("")],
        }));
    }
    table
}

fn right(text: &str) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

fn indented(table: &Table) -> String {
    table.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

fn count(value: &Value, pointer: &str) -> i64 {
    value.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

#[allow(clippy::cast_precision_loss, reason = "counts of people are far below 2^52")]
fn percent(part: i64, whole: i64) -> String {
    format!("{:.0} %", part as f64 / whole as f64 * 100.0)
}

fn bar(part: i64, whole: i64) -> String {
    let width = i64::try_from(BAR_WIDTH).unwrap_or(i64::MAX);
    let filled = usize::try_from(part * width / whole).unwrap_or(0).min(BAR_WIDTH);
    let at_least = if part > 0 { filled.max(1) } else { 0 };
    format!("{}{}", "█".repeat(at_least), "░".repeat(BAR_WIDTH - at_least))
}

/// Milliseconds as people say them.
#[allow(clippy::cast_precision_loss, reason = "delays are far below 2^52 ms")]
fn duration(ms: &Value) -> String {
    let Some(ms) = ms.as_u64() else {
        return "–".to_owned();
    };
    match ms {
        // Meta reports whole seconds.
        0..=999 => "< 1 s".to_owned(),
        1_000..=119_999 => format!("{:.1} s", ms as f64 / 1_000.0),
        120_000..=7_199_999 => format!("{:.0} min", ms as f64 / 60_000.0),
        _ => format!("{:.1} h", ms as f64 / 3_600_000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_funnel_of_the_requirements() {
        let report = serde_json::json!({
            "stages": {"sent": {"count": 250}, "delivered": {"count": 240}, "read": {"count": 180}, "clicked": {"count": 0}, "replied": {"count": 80}, "closed": {"count": 25}},
            "stuck_at": {"sent": 10, "delivered": 60, "read": 100, "clicked": 0, "replied": 55},
        });
        let lines: Vec<String> =
            funnel(&report).iter().map(|line| console::strip_ansi_codes(line).trim_end().to_owned()).collect();
        assert_eq!(lines[0], "  sent       ██████████████████████████████  250  100 %   10 stuck here: not delivered");
        assert_eq!(
            lines[2],
            "  read       █████████████████████░░░░░░░░░  180   72 %   100 stuck here: no click, no reply"
        );
        assert_eq!(lines[5], "  closed     ███░░░░░░░░░░░░░░░░░░░░░░░░░░░   25   10 %");
    }

    #[test]
    fn durations_are_shown_as_people_say_them() {
        let shown = |ms: u64| duration(&serde_json::json!(ms));
        assert_eq!([shown(50), shown(1_500), shown(300_000), shown(9_000_000)], ["< 1 s", "1.5 s", "5 min", "2.5 h"]);
    }
}
