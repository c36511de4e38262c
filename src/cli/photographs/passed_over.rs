//! The files in folders that are no photographs of a batch: counted, and said in one line.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Extensions of pictures in formats that this program does not read.
const OTHER_PICTURES: [&str; 30] = [
    "3fr", "arw", "avif", "cr2", "cr3", "crw", "dcm", "dng", "exr", "heic", "heif", "hif", "j2k", "jp2",
    "jpx", "jxl", "nef", "nrw", "orf", "pef", "pgm", "pnm", "ppm", "psd", "raf", "raw", "rw2", "srw", "tga",
    "x3f",
];

/// The number of files of each kind, also in `summary.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedOver {
    /// Pictures in other formats, by their extension.
    pictures: BTreeMap<String, usize>,
    /// Pipes, sockets and devices.
    streams: usize,
    others: usize,
}

/// The extension of a file in lower case.
pub fn ending(path: &Path) -> Option<String> {
    Some(path.extension()?.to_str()?.to_lowercase())
}

impl PassedOver {
    pub fn add_stream(&mut self) {
        self.streams += 1;
    }

    pub fn add_file(&mut self, path: &Path) {
        match ending(path).filter(|ending| OTHER_PICTURES.contains(&ending.as_str())) {
            Some(ending) => *self.pictures.entry(ending).or_default() += 1,
            None => self.others += 1,
        }
    }

    /// One line, such as "passed over: 3 heic (pictures in other formats: convert them to PNG or
    /// JPEG), 1 pipe, socket or device, 2 other files"; `None` if nothing was passed over.
    pub fn in_words(&self) -> Option<String> {
        let mut kinds = Vec::new();
        if !self.pictures.is_empty() {
            let counts: Vec<String> =
                self.pictures.iter().map(|(ending, n)| format!("{n} {ending}")).collect();
            kinds.push(format!(
                "{} (pictures in other formats: convert them to PNG or JPEG)",
                counts.join(", ")
            ));
        }
        match self.streams {
            0 => {}
            1 => kinds.push("1 pipe, socket or device".to_string()),
            streams => kinds.push(format!("{streams} pipes, sockets or devices")),
        }
        match self.others {
            0 => {}
            1 => kinds.push("1 other file".to_string()),
            others => kinds.push(format!("{others} other files")),
        }
        (!kinds.is_empty()).then(|| format!("passed over: {}", kinds.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_counted() {
        let mut passed_over = PassedOver::default();
        assert_eq!(passed_over.in_words(), None);
        for name in ["a.HEIC", "notes", "b.heic", "c.cr2", ".d", "e.txt"] {
            passed_over.add_file(Path::new(name));
        }
        passed_over.add_stream();
        assert_eq!(
            passed_over.in_words().unwrap(),
            "passed over: 1 cr2, 2 heic (pictures in other formats: convert them to PNG or JPEG), \
             1 pipe, socket or device, 3 other files"
        );
    }
}
