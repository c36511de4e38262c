//! Tests of the orientation in EXIF data, TIFF tags and XMP data.

use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use image::codecs::{png::PngEncoder, webp::WebPEncoder};
use image::{ExtendedColorType, ImageEncoder, RgbImage};
use libjpeg_turbo_rs::{Encoder, PixelFormat, Subsampling};
use occlude::Photograph;
use tiff::encoder::TiffEncoder;
use tiff::encoder::colortype::RGB8;
use tiff::tags::Tag;

use crate::picture::{COLOURS, corners, png_crc, quarters};

/// Types of a tag's value.
const SHORT: u16 = 3;
const LONG: u16 = 4;
const SIGNED_SHORT: u16 = 8;
const SIGNED_LONG: u16 = 9;

/// EXIF data with one tag, the orientation.
fn exif(value: u32, kind: u16, little: bool) -> Vec<u8> {
    let short = |value: u16| if little { value.to_le_bytes() } else { value.to_be_bytes() };
    let long = |value: u32| if little { value.to_le_bytes() } else { value.to_be_bytes() };
    let value = if matches!(kind, SHORT | SIGNED_SHORT) {
        [short(value as u16), [0; 2]].concat()
    } else {
        long(value).to_vec()
    };
    [
        if little { &b"II"[..] } else { &b"MM"[..] },
        &short(42),
        &long(8),
        &short(1),
        &short(0x0112),
        &short(kind),
        &long(1),
        &value,
        &long(0),
    ]
    .concat()
}

fn jpeg(picture: &RgbImage, exif: &[u8]) -> Vec<u8> {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let encoder =
        Encoder::new(picture, width, height, PixelFormat::Rgb).quality(95).subsampling(Subsampling::S444);
    let bytes = encoder.encode().unwrap();
    with_segment(&bytes, &[b"Exif\0\0", exif].concat())
}

/// Adds a segment of application data after the start of a JPEG's image.
fn with_segment(jpeg: &[u8], segment: &[u8]) -> Vec<u8> {
    let length = (segment.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xFF, 0xE1], &length, segment, &jpeg[2..]].concat()
}

/// A TIFF file that ends with its directory, to which the tag is added.
fn tiff(picture: &RgbImage, value: u32, kind: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = TiffEncoder::new(Cursor::new(&mut bytes)).unwrap();
    encoder.write_image::<RGB8>(picture.width(), picture.height(), picture).unwrap();
    let old = u32::from_le_bytes(*bytes[4..].first_chunk().unwrap()) as usize;
    let count = u16::from_le_bytes(*bytes[old..].first_chunk().unwrap());
    let entries = bytes[old + 2..][..12 * usize::from(count)].to_vec();
    let mut all: Vec<Vec<u8>> = entries.chunks(12).map(<[u8]>::to_vec).collect();
    all.push(exif(value, kind, true)[10..22].to_vec());
    all.sort_by_key(|entry| u16::from_le_bytes([entry[0], entry[1]]));
    let directory = (bytes.len() as u32).to_le_bytes();
    bytes[4..8].copy_from_slice(&directory);
    bytes.extend((count + 1).to_le_bytes());
    bytes.extend(all.concat());
    bytes.extend([0; 4]);
    bytes
}

fn with_exif(mut encoder: impl ImageEncoder, picture: &RgbImage, exif: Vec<u8>) {
    encoder.set_exif_metadata(exif).unwrap();
    encoder.write_image(picture, picture.width(), picture.height(), ExtendedColorType::Rgb8).unwrap();
}

/// Moves the EXIF data of a PNG file behind the pixels, before the last chunk.
fn exif_at_the_end(png: &[u8]) -> Vec<u8> {
    let at = png.windows(4).position(|name| name == b"eXIf").unwrap() - 4;
    let length = 12 + u32::from_be_bytes(*png[at..].first_chunk().unwrap()) as usize;
    let (end, _) = png.split_at(png.len() - 12);
    [&png[..at], &end[at + length..], &png[at..at + length], &png[png.len() - 12..]].concat()
}

/// EXIF 2.32, tag 0x0112: for each value, the stored corner that appears in the upper left, upper
/// right, lower left and lower right.
#[test]
fn every_orientation_in_every_format_turns_the_picture_upright() {
    let seen = [
        [0, 1, 2, 3],
        [1, 0, 3, 2],
        [3, 2, 1, 0],
        [2, 3, 0, 1],
        [0, 2, 1, 3],
        [2, 0, 3, 1],
        [3, 1, 2, 0],
        [1, 3, 0, 2],
    ];
    let stored = quarters(16, 32);
    for (value, seen) in (1..).zip(seen) {
        for kind in [SHORT, LONG, SIGNED_SHORT, SIGNED_LONG] {
            let mut files = vec![("tiff".to_string(), tiff(&stored, value, kind))];
            for little in [false, true] {
                for prefix in [&b""[..], b"Exif\0\0"] {
                    let exif = exif(value, kind, little);
                    let what =
                        |format: &str| format!("{format}, type {kind}, little {little}, prefix {prefix:?}");
                    files.push((what("jpeg"), jpeg(&stored, &exif)));
                    let exif = [prefix, &exif].concat();
                    let (mut png, mut webp) = (Vec::new(), Vec::new());
                    with_exif(PngEncoder::new(&mut png), &stored, exif.clone());
                    files.push((what("png with EXIF data at its end"), exif_at_the_end(&png)));
                    with_exif(WebPEncoder::new_lossless(&mut webp), &stored, exif);
                    files.extend([(what("png"), png), (what("webp"), webp)]);
                }
            }
            for (what, bytes) in files {
                let photograph = Photograph::from_bytes(&what, &bytes).unwrap();
                let upright = if value < 5 { (16, 32) } else { (32, 16) };
                assert_eq!((photograph.height(), photograph.width()), upright, "{what}: {value}");
                for (found, corner) in corners(&photograph).iter().zip(seen) {
                    let close = found.iter().zip(COLOURS[corner]).all(|(a, b)| a.abs_diff(b) <= 4);
                    assert!(close, "{what}: {value}: {found:?} is not {:?}", COLOURS[corner]);
                }
            }
        }
    }
}

/// Data that is not valid, and values outside 1 to 8, leave the picture as it is stored.
#[test]
fn other_exif_data_does_not_turn_the_picture() {
    let stored = quarters(16, 32);
    let plain = Photograph::from_bytes("plain", &jpeg(&stored, b"")).unwrap();
    for (value, kind) in
        [(0, SHORT), (9, SHORT), (65_535, SHORT), (0, LONG), (9, LONG), (65_542, LONG), (6, 2), (6, 7)]
    {
        let turned = Photograph::from_bytes("exif", &jpeg(&stored, &exif(value, kind, true))).unwrap();
        assert_eq!(turned, plain, "{value} of type {kind}");
    }
}

fn png(picture: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    let encoder = PngEncoder::new(&mut bytes);
    encoder.write_image(picture, picture.width(), picture.height(), ExtendedColorType::Rgb8).unwrap();
    bytes
}

/// Adds a chunk to a PNG file, before or after the pixels.
fn with_chunk(png: &[u8], kind: &[u8], data: &[u8], at_the_end: bool) -> Vec<u8> {
    let named = [kind, data].concat();
    let chunk = [&(data.len() as u32).to_be_bytes()[..], &named, &png_crc(&named).to_be_bytes()].concat();
    let at = if at_the_end { png.len() - 12 } else { 33 };
    [&png[..at], &chunk, &png[at..]].concat()
}

fn packed(text: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// The chunks in which a PNG file can have a text.
fn text_chunks(keyword: &str, text: &[u8]) -> [(&'static [u8], Vec<u8>); 4] {
    let keyword = keyword.as_bytes();
    [
        (b"tEXt", [keyword, b"\0", text].concat()),
        (b"zTXt", [keyword, b"\0\0", &packed(text)].concat()),
        (b"iTXt", [keyword, b"\0\0\0en\0Profil\0", text].concat()),
        (b"iTXt", [keyword, b"\0\x01\0\0\0", &packed(text)].concat()),
    ]
}

/// EXIF data as the text that ImageMagick writes: 36 bytes in a line.
fn raw_profile(exif: &[u8]) -> Vec<u8> {
    let exif = [b"Exif\0\0", exif].concat();
    let mut text = format!("\nexif\n{:8}", exif.len());
    for (at, byte) in exif.iter().enumerate() {
        text += if at % 36 == 0 { "\n" } else { "" };
        text += &format!("{byte:02x}");
    }
    format!("{text}\n").into_bytes()
}

fn xmp(value: u32) -> Vec<u8> {
    format!("<x:xmpmeta><rdf:Description tiff:Make=\"x\" tiff:Orientation=\"{value}\"/></x:xmpmeta>")
        .into_bytes()
}

fn tiff_with_xmp(picture: &RgbImage, xmp: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = TiffEncoder::new(Cursor::new(&mut bytes)).unwrap();
    let mut image = encoder.new_image::<RGB8>(picture.width(), picture.height()).unwrap();
    image.encoder().write_tag(Tag::Unknown(700), xmp).unwrap();
    image.write_data(picture).unwrap();
    bytes
}

/// A lossless WebP file in the extended form, with XMP data.
fn webp_with_xmp(picture: &RgbImage, xmp: &[u8]) -> Vec<u8> {
    let mut webp = Vec::new();
    with_exif(WebPEncoder::new_lossless(&mut webp), picture, exif(1, 2, true));
    let at = webp.windows(4).position(|name| name == b"EXIF").unwrap();
    webp.truncate(at);
    webp.extend(b"XMP ");
    webp.extend((xmp.len() as u32).to_le_bytes());
    webp.extend(xmp);
    webp.extend(&[0][..xmp.len() % 2]);
    // The flags of the extended header: XMP data, no EXIF data.
    webp[20] = webp[20] & !8 | 4;
    let length = (webp.len() as u32 - 8).to_le_bytes();
    webp[4..8].copy_from_slice(&length);
    webp
}

fn is_turned(what: &str, bytes: &[u8]) -> bool {
    let photograph = Photograph::from_bytes(what, bytes).unwrap_or_else(|error| panic!("{what}: {error}"));
    photograph.height() > photograph.width()
}

/// As in Pillow, `ImageOps.exif_transpose`.
#[test]
fn the_orientation_in_texts_and_in_xmp_turns_the_picture() {
    let stored = quarters(16, 32);
    for value in [1, 6] {
        let mut files = Vec::new();
        for (keyword, text) in [
            ("Raw profile type exif", raw_profile(&exif(value, SHORT, true))),
            ("XML:com.adobe.xmp", xmp(value)),
        ] {
            for (kind, data) in text_chunks(keyword, &text) {
                for at_the_end in [false, true] {
                    let what = format!("{keyword} in {}, {at_the_end}", String::from_utf8_lossy(kind));
                    files.push((what, with_chunk(&png(&stored), kind, &data, at_the_end)));
                }
            }
        }
        let segment = [b"http://ns.adobe.com/xap/1.0/\0", &xmp(value)[..]].concat();
        let plain = &jpeg(&stored, b"")[..];
        files.push(("jpeg".to_string(), with_segment(plain, &segment)));
        files.push(("webp".to_string(), webp_with_xmp(&stored, &xmp(value))));
        files.push(("tiff".to_string(), tiff_with_xmp(&stored, &xmp(value))));
        for (what, bytes) in files {
            assert_eq!(is_turned(&what, &bytes), value == 6, "{what}: {value}");
        }
    }
}

/// EXIF data count more than a text with EXIF data, and both more than XMP data.
#[test]
fn exif_data_count_more_than_xmp_data() {
    let stored = quarters(16, 32);
    let with_text = |png: &[u8], keyword: &str, text: &[u8]| {
        let [_, (kind, data), ..] = text_chunks(keyword, text);
        with_chunk(png, kind, &data, true)
    };
    for (exif_value, text_value) in [(6, 1), (1, 6)] {
        let data = exif(exif_value, SHORT, true);
        let (raw, xmp) = (raw_profile(&exif(text_value, SHORT, true)), xmp(text_value));
        let is_six = exif_value == 6;
        let plain = with_chunk(&png(&stored), b"eXIf", &data, false);
        assert_eq!(is_turned("png", &with_text(&plain, "Raw profile type exif", &raw)), is_six);
        assert_eq!(is_turned("png", &with_text(&plain, "XML:com.adobe.xmp", &xmp)), is_six);
        let text = with_text(&png(&stored), "Raw profile type exif", &raw_profile(&data));
        assert_eq!(is_turned("png", &with_text(&text, "XML:com.adobe.xmp", &xmp)), is_six);
        let segment = [b"http://ns.adobe.com/xap/1.0/\0", &xmp[..]].concat();
        assert_eq!(is_turned("jpeg", &with_segment(&jpeg(&stored, &data), &segment)), is_six);
    }
}

/// A text that is not valid is ignored, and so is a text of more than 1 MB after unpacking.
#[test]
fn texts_that_are_not_valid_do_not_turn_the_picture() {
    let stored = quarters(16, 32);
    let valid = raw_profile(&exif(6, SHORT, true));
    let long = [vec![b' '; 1 << 20], xmp(6)].concat();
    let whole = png(&stored);
    for (keyword, kind, data) in [
        ("Raw profile type exif", &b"tEXt"[..], &valid[..valid.len() - 4]),
        ("Raw profile type exif", b"tEXt", b"\nexif\n 3\n45xx78"),
        ("Raw profile type exif", b"tEXt", b"\nexif"),
        ("Raw profile type exif", b"zTXt", b"\0not zlib"),
        ("Raw profile type exif", b"zTXt", b"\x01"),
        ("Raw profile type exif", b"iTXt", b"\0"),
        ("Raw profile type APP1", b"tEXt", &valid),
        ("XML:com.adobe.xmp", b"zTXt", &[b"\0", &packed(&long)[..]].concat()),
    ] {
        let chunk = [keyword.as_bytes(), b"\0", data].concat();
        let what = format!("{keyword} {}", String::from_utf8_lossy(&data[..data.len().min(40)]));
        assert!(!is_turned(&what, &with_chunk(&whole, kind, &chunk, true)), "{what}");
    }
}
