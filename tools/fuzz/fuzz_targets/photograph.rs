//! Fuzzes picture files with arbitrary bytes: the result is pixels or an error. Small pictures are
//! also converted to the network's input.
#![no_main]

use std::io::Cursor;

use image::ImageReader;
use libfuzzer_sys::{Corpus, fuzz_target};
use occlude::{Photograph, Resize};
use tiff::decoder::Decoder;

/// Larger pictures find nothing new and take long. tests/hostile.rs contains such pictures.
const MOST_PIXELS: u64 = 1 << 16;
/// Larger pictures are decoded, but not resized.
const MOST_RESIZED: usize = 1 << 10;

/// The library turns a panic of a decoder into an error, which is no finding. libFuzzer's own hook would
/// end the program at once; a panic that leaves the target still does.
fn print_panics() {
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
}

/// The width and the height in the header of a file.
fn size(bytes: &[u8]) -> Option<(u64, u64)> {
    if bytes.starts_with(b"\xff\xd8") {
        let header = libjpeg_turbo_rs::probe(bytes).ok()?;
        return Some((header.width as u64, header.height as u64));
    }
    let (width, height) = match ImageReader::new(Cursor::new(bytes)).with_guessed_format().ok()?.into_dimensions() {
        Ok(size) => size,
        Err(_) => Decoder::new(Cursor::new(bytes)).ok()?.dimensions().ok()?,
    };
    Some((width.into(), height.into()))
}

fuzz_target!(init: print_panics(), |bytes: &[u8]| -> Corpus {
    if size(bytes).is_some_and(|(width, height)| width * height > MOST_PIXELS) {
        return Corpus::Reject;
    }
    match Photograph::from_bytes("fuzz", bytes) {
        Ok(photograph) => {
            assert_eq!(photograph.rgb().len(), photograph.height() * photograph.width() * 3);
            if photograph.rgb().len() > 3 * MOST_RESIZED {
                return Corpus::Keep;
            }
            for resize in [Resize::Stretch, Resize::CenterCrop, Resize::Pad] {
                assert!(photograph.picture(resize).input().values().iter().all(|value| value.is_finite()));
            }
        }
        Err(error) => assert!(error.to_string().starts_with("fuzz: ")),
    }
    Corpus::Keep
});
