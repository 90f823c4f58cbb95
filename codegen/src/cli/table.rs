//! Tables: columns as wide as they must be, the last one without padding.

use super::color::Style;
use super::output::{Output, one_line};
use super::stop::Stop;

/// Rows under a heading.
pub(super) struct Table {
    heading: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new<const N: usize>(
        heading: [&'static str; N],
        rows: impl Iterator<Item = [String; N]>,
    ) -> Self {
        Self { heading: heading.into(), rows: rows.map(|row| row.map(one_line).into()).collect() }
    }

    pub(super) fn write(&self, output: &mut Output) -> Result<(), Stop> {
        let mut widths: Vec<usize> = self.heading.iter().map(|cell| cell.len()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let heading = line(&self.heading, &widths);
        let heading = output.styled(Style::Heading, heading);
        output.line(format_args!("{heading}"))?;
        for row in &self.rows {
            output.line(format_args!("{}", line(row, &widths)))?;
        }
        Ok(())
    }
}

fn line<T: AsRef<str>>(cells: &[T], widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, &width) in cells.iter().zip(widths) {
        line.push_str(&format!("{:width$}  ", cell.as_ref()));
    }
    line.trim_end().to_owned()
}
