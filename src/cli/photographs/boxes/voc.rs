//! Boxes in the XML files of PASCAL VOC, one file for each photograph. Its pixels count from 1, and a box
//! holds its last pixel.

use std::fs;
use std::path::{Path, PathBuf};

use occlude::Result;
use occlude::text::shown;

use super::xml::{Element, parse};
use super::{BoxEntry, EXPECTED};
use crate::cli::photographs::{read_list, refuse, unreadable};

/// The boxes of all XML files in a folder, in the order of the files' names.
pub fn folder(folder: &Path) -> Result<Vec<BoxEntry>> {
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable(folder))? {
        let path = entry.map_err(unreadable(folder))?.path();
        let is_xml = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("xml"));
        if is_xml && !path.file_name().unwrap_or_default().as_encoded_bytes().starts_with(b".") {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(refuse(folder, format!("has no files that end in .xml: {EXPECTED}")));
    }
    files.sort();
    let mut all = Vec::new();
    for file in files {
        let bytes = read_list(&file, EXPECTED)?;
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| refuse(&file, "is not text in UTF-8, expected XML of PASCAL VOC".to_string()))?;
        let found = entries(text.trim_start_matches('\u{FEFF}')).and_then(|found| {
            let name = shown(&file.file_name().unwrap_or_default().to_string_lossy()).into_owned();
            let named = |entry: BoxEntry| BoxEntry { place: format!("{name}, {}", entry.place), ..entry };
            found
                .into_iter()
                .map(|entry| entry.check().map(named))
                .collect::<std::result::Result<Vec<_>, _>>()
        });
        all.extend(found.map_err(|problem| refuse(&file, problem))?);
    }
    Ok(all)
}

/// The boxes of a file.
pub fn entries(text: &str) -> std::result::Result<Vec<BoxEntry>, String> {
    let root = parse(text)?;
    if root.name != "annotation" {
        return Err(format!("begins with <{}>, expected <annotation> of PASCAL VOC", shown(&root.name)));
    }
    let photo = one(&root, "filename")?.text.trim().to_string();
    if photo.is_empty() {
        return Err("has an empty <filename>".to_string());
    }
    let size = match root.children.iter().find(|child| child.name == "size") {
        Some(size) => {
            let side = |name| Ok::<_, String>(number(one(size, name)?)? as u64);
            // Programs that do not know the size write 0.
            Some([side("width")?, side("height")?]).filter(|size| !size.contains(&0))
        }
        None => None,
    };
    let objects = root.children.iter().filter(|child| child.name == "object");
    let entry = |object: &Element| {
        let bounds = one(object, "bndbox")?;
        let edge = |name| number(one(bounds, name)?);
        Ok(BoxEntry {
            photo: photo.clone(),
            class: one(object, "name")?.text.trim().to_string(),
            bounds: [edge("xmin")? - 1.0, edge("ymin")? - 1.0, edge("xmax")?, edge("ymax")?],
            size,
            place: format!("line {}", object.line),
        })
    };
    objects.map(entry).collect()
}

/// The only child of this name.
fn one<'e>(element: &'e Element, name: &str) -> std::result::Result<&'e Element, String> {
    let mut found = element.children.iter().filter(|child| child.name == name);
    match (found.next(), found.count()) {
        (Some(child), 0) => Ok(child),
        (None, _) => Err(format!("line {}: <{}> has no <{name}>", element.line, element.name)),
        (_, more) => {
            Err(format!("line {}: <{}> has {} <{name}>, expected one", element.line, element.name, more + 1))
        }
    }
}

fn number(element: &Element) -> std::result::Result<f64, String> {
    let text = element.text.trim();
    text.parse().map_err(|_| {
        format!("line {}: <{}> is \"{}\", expected a number", element.line, element.name, shown(text))
    })
}
