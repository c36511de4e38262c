//! Tests of the orientation in EXIF data and TIFF tags.

use std::io::Cursor;

use image::codecs::{png::PngEncoder, webp::WebPEncoder};
use image::{ExtendedColorType, ImageEncoder, RgbImage};
use libjpeg_turbo_rs::{Encoder, PixelFormat, Subsampling};
use occlude::Photograph;
use tiff::encoder::TiffEncoder;
use tiff::encoder::colortype::RGB8;

use crate::picture::{COLOURS, corners, quarters};

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
    // The segment comes after the start of the image.
    let segment = [b"Exif\0\0", exif].concat();
    let length = (segment.len() as u16 + 2).to_be_bytes();
    [&bytes[..2], &[0xFF, 0xE1], &length, &segment, &bytes[2..]].concat()
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
