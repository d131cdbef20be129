//! How far it is, on the terminal's error output.

use crate::measure::Extent;
use crate::plan::Cell;
use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;

/// A bar with an estimate; one line instead of it where there is no terminal.
pub struct Progress {
    bar: ProgressBar,
}

/// Starting two processes and warming up, besides the measured time of a run.
const OVERHEAD_MILLIS: u128 = 15;

impl Progress {
    /// On stderr.
    ///
    /// # Errors
    /// None that a user can cause.
    pub fn new() -> Result<Self> {
        // Drawn on stderr, and only if that is a terminal.
        let bar = ProgressBar::hidden();
        if std::io::stderr().is_terminal() {
            bar.set_draw_target(indicatif::ProgressDrawTarget::stderr());
        }
        let style = ProgressStyle::with_template("{elapsed:>4} [{bar:30}] {eta:>4} left  {wide_msg}")
            .context("progress style")?;
        bar.set_style(style.progress_chars("=> "));
        Ok(Self { bar })
    }

    pub(crate) fn begin(&self, cells: &[Cell], extent: Extent) {
        // The first pass finds the number of messages.
        let passes = u64::from(extent.rounds) + 1;
        let steps = cells.len() as u64 * passes;
        self.bar.set_length(steps);
        if self.bar.is_hidden() {
            let each = match extent.messages {
                Some(_) => OVERHEAD_MILLIS,
                None => extent.run.as_millis() + extent.run.as_millis() / 10 + OVERHEAD_MILLIS,
            };
            let seconds = (u128::from(steps) * each).div_ceil(1000);
            eprintln!("measuring {} cells in {} rounds: about {seconds} s", cells.len(), extent.rounds);
        }
    }

    /// One more run begins.
    pub(crate) fn step(&self, cell: Cell, what: &str) {
        self.bar.set_message(format!("{what}: {cell}"));
        self.bar.inc(1);
    }

    /// A line that stays.
    pub(crate) fn say(&self, line: &str) {
        self.bar.suspend(|| eprintln!("{line}"));
    }

    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
