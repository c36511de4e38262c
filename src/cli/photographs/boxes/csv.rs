//! Boxes in a CSV file with a header.

use occlude::text::shown;

use super::{BoxEntry, EXPECTED};

const COLUMNS: [&str; 6] = ["photo", "class", "x0", "y0", "x1", "y1"];

pub fn entries(text: &str) -> Result<Vec<BoxEntry>, String> {
    let mut reader = csv::ReaderBuilder::new();
    let reader = reader.has_headers(false).flexible(true).trim(csv::Trim::All);
    let mut records = reader.from_reader(text.as_bytes()).into_records();
    let header = match records.next() {
        Some(header) => header.map_err(|error| format!("is not a CSV file, {error}: {EXPECTED}"))?,
        None => csv::StringRecord::new(),
    };
    let mut columns = [0; 6];
    for (to, name) in columns.iter_mut().zip(COLUMNS) {
        let mut found = (0..header.len()).filter(|&at| header[at].eq_ignore_ascii_case(name));
        *to = found.next().ok_or_else(|| format!("line 1 has no column {name}: {EXPECTED}"))?;
        if found.next().is_some() {
            return Err(format!("line 1 has the column {name} twice"));
        }
    }
    let mut entries = Vec::new();
    for record in records {
        let record = record.map_err(|error| format!("is not a CSV file, {error}: {EXPECTED}"))?;
        let line = record.position().map_or(0, csv::Position::line);
        if record.len() != header.len() {
            return Err(format!("line {line} has {} columns, expected {}", record.len(), header.len()));
        }
        let [photo, class, edges @ ..] = columns.map(|at| &record[at]);
        for (name, value) in [("photo", photo), ("class", class)] {
            if value.is_empty() {
                return Err(format!("line {line} has no {name}"));
            }
        }
        let mut bounds = [0.0; 4];
        for ((to, text), name) in bounds.iter_mut().zip(edges).zip(&COLUMNS[2..]) {
            *to = text
                .parse()
                .map_err(|_| format!("line {line} has {name} \"{}\", expected a number", shown(text)))?;
        }
        entries.push(BoxEntry {
            photo: photo.to_string(),
            class: class.to_string(),
            bounds,
            size: None,
            place: format!("line {line}"),
        });
    }
    Ok(entries)
}
