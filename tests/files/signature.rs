//! Tests of the messages for files that are not pictures of a supported format.

use occlude::{Error, Photograph};

/// The message of the [`Error::Image`] for a file with these bytes, from both ways of reading it.
fn refusal(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("holiday.jpg");
    std::fs::write(&path, bytes).unwrap();
    let error = Photograph::open(&path).unwrap_err();
    assert!(matches!(error, Error::Image { .. }), "{error:?}");
    let message = error.to_string().split_once("holiday.jpg: ").unwrap().1.to_string();
    let in_memory = Photograph::from_bytes("holiday.jpg", bytes).unwrap_err().to_string();
    assert_eq!(in_memory, format!("holiday.jpg: {message}"));
    message
}

#[test]
fn files_of_other_formats_are_refused_by_their_name() {
    let dicom = [&[0; 128][..], b"DICM\x02\0\0\0"].concat();
    let cases: [(&[u8], &str, &str); 34] = [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "is an HEIC picture, the format of iPhones", "convert it"),
        (b"\0\0\0\x18ftypheix\0\0\0\0mif1heix", "is an HEIC picture", "convert it"),
        (b"\0\0\0\x18ftyphevc\0\0\0\0hevc", "is an HEIC picture", "convert it"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1", "is an HEIF picture", "convert it"),
        (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1", "is an AVIF picture", "convert it"),
        (b"\0\0\0\x1cftypavis\0\0\0\0avismsf1", "is an AVIF picture", "convert it"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0isom", "is a film", "save one frame"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "is a film", "save one frame"),
        (b"\x1a\x45\xdf\xa3\x9fB\x86\x81", "is a film", "save one frame"),
        (b"RIFF\x24\0\0\0AVI LIST", "is a film", "save one frame"),
        (b"\xff\x0a\xfa\x7f", "is a JPEG XL picture", "convert it"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "is a JPEG XL picture", "convert it"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "is a JPEG 2000 picture", "convert it"),
        (b"\xff\x4f\xff\x51\0\x29", "is a JPEG 2000 picture", "convert it"),
        (b"8BPS\0\x01", "is a Photoshop document", "export it"),
        (b"II*\0\x10\0\0\0CR\x02\0", "is a raw photograph (Canon CR2)", "export a JPEG"),
        (b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom", "is a raw photograph (Canon CR3)", "export a JPEG"),
        (
            b"\x89PNG\r\n\x1a\n\0\0\0\x04CgBI\x50\0\x20\x02",
            "is a PNG picture in the form of iOS",
            "convert it",
        ),
        (b"IIRO\x08\0\0\0", "is a raw photograph (Olympus)", "export a JPEG"),
        (b"IIU\0\x18\0\0\0", "is a raw photograph (Panasonic)", "export a JPEG"),
        (b"FUJIFILMCCD-RAW 0201", "is a raw photograph (Fujifilm)", "export a JPEG"),
        (&dicom, "is a DICOM file", "DICOM viewer"),
        (b"%PDF-1.7\n", "is a PDF document", "export the page"),
        (b"<svg xmlns=\"http://www.w3.org/2000/svg\">", "is an SVG drawing", "export it"),
        (b"<?xml version=\"1.0\"?>\n<!-- a -->\n<svg width=\"1\">", "is an SVG drawing", "export it"),
        (b"<?xml version=\"1.0\"?><rss/>", "is an XML document", "name a photograph"),
        (b"\n<!DOCTYPE html>\n<html>", "is a web page", "download the picture"),
        (b"\xef\xbb\xbf<HTML>404</HTML>", "is a web page", "download the picture"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            "is a Git LFS pointer, not the picture",
            "git lfs pull",
        ),
        (b"P6\n2 2\n255\n", "is a Netpbm picture", "convert it"),
        (b"\x1f\x8b\x08\0", "is a gzip archive", "unpack it"),
        (b"PK\x03\x04\x14\0", "is a ZIP archive", "unpack it"),
        (b"\0\x05\x16\x07\0\x02\0\0Mac OS X", "is a macOS companion file", "without the leading"),
        (b"", "is empty (0 bytes)", "download it again"),
    ];
    for (bytes, what, remedy) in cases {
        let message = refusal(bytes);
        assert!(message.starts_with(what), "{message}");
        assert!(message.contains("expected a PNG, JPEG, WebP, BMP, GIF or TIFF picture"), "{message}");
        assert!(message.contains(remedy), "{message}");
    }
}

#[test]
fn an_unknown_file_is_refused_with_its_beginning() {
    let message = refusal(b"no picture\nat all, but a long text");
    assert!(message.contains("is not a picture: expected a PNG"), "{message}");
    assert!(message.ends_with(r#"found a file that begins "no picture\nat al""#), "{message}");
    let folder = tempfile::tempdir().unwrap();
    let directory = Photograph::open(folder.path()).unwrap_err().to_string();
    assert!(directory.contains("is a directory"), "{directory}");
}
