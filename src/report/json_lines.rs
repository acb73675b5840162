//! The records as they are, one JSON object a line (`--json`).
//!
//! Invariant: a line parses back to its record. Characters that a terminal would act
//! on are written as JSON escapes, so that a stream that ends on a terminal is harmless.

use std::io::{self, BufWriter, Write};
use std::sync::Arc;
use std::time::Instant;

use super::live::Surface;
use super::sanitise;
use crate::event::Record;

/// One record as one line, with the newline.
///
/// # Errors
/// Only for a record that has no JSON form, which none has by construction.
pub fn line(record: &Record) -> serde_json::Result<String> {
    let mut line = sanitise::json(&serde_json::to_string(record)?).into_owned();
    line.push('\n');
    Ok(line)
}

pub(super) struct JsonLines {
    to: BufWriter<Box<dyn Write + Send>>,
}

impl JsonLines {
    pub(super) fn new(to: Box<dyn Write + Send>) -> JsonLines {
        JsonLines { to: BufWriter::new(to) }
    }
}

impl Surface for JsonLines {
    fn record(&mut self, record: &Arc<Record>) -> io::Result<()> {
        self.to.write_all(line(record)?.as_bytes())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }

    fn next_draw(&self) -> Option<Instant> {
        None
    }

    fn draw(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn suspend(&mut self, others: &mut dyn FnMut()) {
        // An error here comes back at the next record.
        let _ = self.to.flush();
        others();
    }

    fn finish(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn every_line_parses_back_to_its_record() {
        for record in sample::mixed().iter().chain(&sample::hostile()) {
            let line = line(record).unwrap();
            assert_eq!(line.matches('\n').count(), 1);
            assert!(!line.chars().any(|c| c.is_control() && c != '\n'), "{line:?}");
            assert_eq!(&serde_json::from_str::<Record>(&line).unwrap(), record);
        }
    }
}
