//! Reads a journal on as it grows: each line once.
//!
//! Invariant: what was handed over is never read again, however long the journal gets. A last line
//! without its end is left for the next time; where anything else is not as it should be, the journal
//! is read as a whole, and that says what it is.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::past::{read, refuse_newer, unreadable};
use super::{JournalError, blob, line, writer};
use crate::event::Record;

/// A place in a growing journal.
#[derive(Debug)]
pub struct Tail {
    dir: PathBuf,
    /// Behind the last whole line.
    offset: u64,
    /// How many records were handed over.
    told: usize,
    /// The number of the last of them.
    seq: u64,
    /// Something was not as it should be: from then on it is read as a whole.
    whole: bool,
}

impl Tail {
    /// Before the first record of the run in `dir`.
    pub fn of(dir: &Path) -> Tail {
        Tail { dir: dir.to_owned(), offset: 0, told: 0, seq: 0, whole: false }
    }

    /// What was recorded since it was last asked; takes no lock.
    ///
    /// # Errors
    /// As [`read`].
    pub fn more(&mut self) -> Result<Vec<Arc<Record>>, JournalError> {
        let records = match self.whole {
            true => None,
            false => self.next_lines()?,
        };
        let records = match records {
            Some(records) if self.told + records.len() > 0 => records,
            // Without a first record: the whole says why, unless that has come just now.
            Some(none) => read(&self.dir).map(|_| none)?,
            None => {
                self.whole = true;
                read(&self.dir)?.records.get(self.told..).unwrap_or_default().to_vec()
            }
        };
        self.told += records.len();
        Ok(records)
    }

    /// The whole lines behind the last one; `None` if one of them is not what has to come next.
    fn next_lines(&mut self) -> Result<Option<Vec<Arc<Record>>>, JournalError> {
        let path = self.dir.join(writer::FILE);
        let mut bytes = Vec::new();
        let mut rest = || {
            let mut file = File::open(&path)?;
            file.seek(SeekFrom::Start(self.offset))?;
            file.read_to_end(&mut bytes)
        };
        rest().map_err(|error| unreadable(&self.dir, &path, error))?;
        let mut records = Vec::new();
        let (mut offset, mut seq) = (self.offset, self.seq);
        for piece in line::pieces(&bytes) {
            if !piece.ended {
                break;
            }
            if !line::is_sealed(piece.bytes) {
                return Ok(None);
            }
            if self.offset + piece.at == 0 {
                refuse_newer(&self.dir, piece.bytes)?;
            }
            let Ok(record) = line::decode(piece.bytes, &|hash| blob::load(&self.dir, hash)) else {
                return Ok(None);
            };
            if record.seq != seq + 1 {
                return Ok(None);
            }
            seq = record.seq;
            offset = self.offset + piece.at + piece.bytes.len() as u64 + 1;
            records.push(Arc::new(record));
        }
        (self.offset, self.seq) = (offset, seq);
        Ok(Some(records))
    }
}
