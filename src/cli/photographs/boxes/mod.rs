//! Boxes of objects on photographs: a CSV file, a folder of XML files of PASCAL VOC, or a JSON file of
//! COCO.

mod coco;
mod csv;
mod voc;
mod xml;

use std::fs;
use std::path::Path;

use occlude::Result;

use super::{read_list, refuse, unreadable};
use crate::cli::source;

/// The forms of the input, in messages.
const EXPECTED: &str = "expected a CSV file with the columns photo, class, x0, y0, x1, y1, a folder of XML files of \
    PASCAL VOC, or a JSON file of COCO";

/// A box of an object as a file describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct BoxEntry {
    /// The name of the photograph, a path or its end.
    pub photo: String,
    /// The name of the class.
    pub class: String,
    /// Left, top, right and bottom edge in pixels of the photograph, as distances from its upper left
    /// corner.
    pub bounds: [f64; 4],
    /// Width and height of the photograph, if the file tells them.
    pub size: Option<[u64; 2]>,
    /// The place in the file, for messages.
    pub place: String,
}

impl BoxEntry {
    /// Checks that a box has pixels.
    fn check(self) -> std::result::Result<BoxEntry, String> {
        let [x0, y0, x1, y1] = self.bounds;
        if self.bounds.iter().all(|edge| edge.is_finite()) && x0 < x1 && y0 < y1 {
            return Ok(self);
        }
        Err(format!(
            "{} has a box from x {x0} to {x1} and y {y0} to {y1}, expected numbers in ascending order",
            self.place
        ))
    }
}

/// Reads all boxes of a file or a folder, at least one.
///
/// # Errors
/// [`Error::Io`](occlude::Error::Io) if something cannot be read;
/// [`Error::Image`](occlude::Error::Image), which names the file and the place, for what is not valid.
pub fn read(input: &Path) -> Result<Vec<BoxEntry>> {
    source::refuse_address(input)?;
    let is_folder =
        !source::is_standard_input(input) && fs::metadata(input).map_err(unreadable(input))?.is_dir();
    let entries = if is_folder {
        voc::folder(input)?
    } else {
        let bytes = read_list(input, EXPECTED)?;
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| refuse(input, format!("is not text in UTF-8: {EXPECTED}")))?;
        let text = text.trim_start_matches('\u{FEFF}');
        let entries = match text.trim_start().bytes().next() {
            Some(b'{') => coco::entries(text),
            Some(b'<') => voc::entries(text),
            _ => csv::entries(text),
        };
        let entries = entries.and_then(|entries| entries.into_iter().map(BoxEntry::check).collect());
        entries.map_err(|problem| refuse(input, problem))?
    };
    if entries.is_empty() {
        return Err(refuse(input, format!("has no boxes: {EXPECTED}")));
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(photo: &str, class: &str, bounds: [f64; 4], size: Option<[u64; 2]>) -> BoxEntry {
        BoxEntry { photo: photo.to_string(), class: class.to_string(), bounds, size, place: String::new() }
    }

    /// The boxes of a file, without their places.
    fn found(name: &str, contents: &str) -> std::result::Result<Vec<BoxEntry>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, contents).unwrap();
        let path = if name.ends_with(".xml") { folder.path() } else { &path };
        let entries = read(path).map_err(|error| error.to_string())?;
        Ok(entries.into_iter().map(|entry| BoxEntry { place: String::new(), ..entry }).collect())
    }

    const VOC: &str = "<?xml version=\"1.0\"?><!-- a --><annotation>\n<filename>a&amp;b.jpg</filename><size><width>500</width>\
        <height>375</height><depth>3</depth></size><object><name>dog</name><part><name>head</name><bndbox><xmin>1</xmin>\
        <ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part><bndbox a='1'><xmin>11</xmin>\n<ymin>1</ymin><xmax> 20.5 \
        </xmax><ymax>40</ymax></bndbox><difficult/></object></annotation>\n";

    const COCO: &str = r#"{"info":{"x":[1]},"images":[{"id":7,"file_name":"d/a.jpg","width":640,"height":480},{"id":8,"file_name":"b.jpg"}],
        "annotations":[{"id":1,"image_id":7,"category_id":18,"bbox":[10.5,20,30,40.25],"segmentation":[[1,2]],"iscrowd":0},
        {"id":2,"image_id":8,"category_id":17,"bbox":[0,0,1,1]}],"categories":[{"id":18,"name":"dog"},{"id":17,"name":"cat"}]}"#;

    #[test]
    fn three_forms_are_read() {
        assert_eq!(
            found("boxes.csv", "\u{FEFF}Class,y0, photo ,x0,y1,note,x1\r\ncat,1,a.jpg,0.5,9,\"x,y\",8\r\n")
                .unwrap(),
            [entry("a.jpg", "cat", [0.5, 1.0, 8.0, 9.0], None)]
        );
        assert_eq!(
            found("a.xml", VOC).unwrap(),
            [entry("a&b.jpg", "dog", [10.0, 0.0, 20.5, 40.0], Some([500, 375]))]
        );
        assert_eq!(
            found("coco", COCO).unwrap(),
            [
                entry("d/a.jpg", "dog", [10.5, 20.0, 40.5, 60.25], Some([640, 480])),
                entry("b.jpg", "cat", [0.0, 0.0, 1.0, 1.0], None)
            ]
        );
    }

    #[test]
    fn what_is_not_valid_is_refused_with_its_place() {
        let voc = |from: &str, to: &str| {
            assert!(VOC.contains(from));
            VOC.replacen(from, to, 1)
        };
        let coco = |from: &str, to: &str| COCO.replacen(from, to, 1);
        for (name, contents, message) in [
            ("b.csv", String::new(), "line 1 has no column photo"),
            ("b.csv", "a.jpg,cat,1,2,3,4\n".to_string(), "line 1 has no column photo"),
            ("b.csv", "photo,class,x0,y0,x1,y1\n".to_string(), "has no boxes"),
            ("b.csv", "photo,class,x0,y0,x1,x1,y1\n".to_string(), "line 1 has the column x1 twice"),
            ("b.csv", "photo,class,x0,y0,x1,y1\na,b,1,2,3\n".to_string(), "line 2 has 5 columns, expected 6"),
            (
                "b.csv",
                "photo,class,x0,y0,x1,y1\na,b,1,2,3,four\n".to_string(),
                "line 2 has y1 \"four\", expected a number",
            ),
            (
                "b.csv",
                "photo,class,x0,y0,x1,y1\na,b,1,2,3,2\n".to_string(),
                "line 2 has a box from x 1 to 3 and y 2 to 2",
            ),
            ("b.csv", "photo,class,x0,y0,x1,y1\na,b,1,2,3,inf\n".to_string(), "line 2 has a box"),
            ("b.csv", "photo,class,x0,y0,x1,y1\n,b,1,2,3,4\n".to_string(), "line 2 has no photo"),
            ("a.xml", voc("</annotation>", ""), "ends inside <annotation>"),
            ("a.xml", voc("</annotation>", "</annotation>x"), "has something after <annotation>"),
            ("a.xml", voc("</size>", "</sizes>"), "line 2: </sizes> does not close <size>"),
            ("a.xml", voc("a&amp;b", "a&b"), "line 2: \"&b.jpg"),
            (
                "a.xml",
                voc("<!-- a -->", "<!DOCTYPE a>"),
                "line 1: <! begins neither a comment nor a section of text",
            ),
            ("a.xml", voc("<name>dog</name>", ""), "line 2: <object> has no <name>"),
            (
                "a.xml",
                voc("<xmin>11</xmin>", "<xmin>1</xmin><xmin>1</xmin>"),
                "<bndbox> has 2 <xmin>, expected one",
            ),
            (
                "a.xml",
                voc("<ymin>1</ymin><xmax> 20.5", "<ymin>x</ymin><xmax> 20.5"),
                "<ymin> is \"x\", expected a number",
            ),
            ("a.xml", voc("a='1'", "a=1"), "line 2: an attribute of <bndbox> is not name=\"value\""),
            ("a.xml", "<a/>".to_string(), "begins with <a>, expected <annotation>"),
            (
                "a.xml",
                format!("{}{}", "<a>".repeat(90), "</a>".repeat(90)),
                "more than 40 elements inside each other",
            ),
            ("a.xml", "<annotation/>".to_string(), "line 1: <annotation> has no <filename>"),
            (
                "b.txt",
                coco("\"image_id\":7", "\"image_id\":9"),
                "annotation 1 names image 9, which the file does not have",
            ),
            ("b.txt", coco("\"category_id\":18", "\"category_id\":1"), "annotation 1 names category 1"),
            ("b.txt", coco("{\"id\":8,", "{\"id\":7,"), "image 7 twice"),
            ("b.txt", coco("[0,0,1,1]", "[0,0,0,1]"), "annotation 2 has a box from x 0 to 0"),
            ("b.txt", coco("[0,0,1,1]", "[0,0,1]"), "is not a JSON file of COCO"),
        ] {
            let error = found(name, &contents).unwrap_err();
            assert!(error.contains(message), "{message}: {error}");
        }
        let folder = tempfile::tempdir().unwrap();
        assert!(read(folder.path()).unwrap_err().to_string().contains("has no files that end in .xml"));
    }
}
