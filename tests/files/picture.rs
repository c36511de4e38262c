//! Tests of the path from a photograph to the network's input: against the reference pictures, in
//! every format, and with hostile files.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use image::{DynamicImage, ImageBuffer, ImageFormat, Rgb, RgbImage};
use libjpeg_turbo_rs::{PixelFormat, Subsampling, compress};
use occlude::image::Framing;
use occlude::image::resize::resize_rgb;
use occlude::network::geometry::Rect;
use occlude::{Error, Input, Photograph, Picture, Resize};
use proptest::prelude::*;
use safetensors::SafeTensors;
use tiff::encoder::{TiffEncoder, colortype};

pub const COLOURS: [[u8; 3]; 4] = [[250, 20, 30], [10, 200, 40], [60, 70, 240], [220, 210, 0]];
const LOSSLESS: [ImageFormat; 5] =
    [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Gif, ImageFormat::Tiff, ImageFormat::WebP];

/// A picture of four quarters, with one colour each.
pub fn quarters(height: u32, width: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb(COLOURS[usize::from(y >= height / 2) * 2 + usize::from(x >= width / 2)])
    })
}

fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let image = image.into();
    let (width, height) = (image.width(), image.height());
    let mut bytes = Vec::new();
    match format {
        ImageFormat::Jpeg => {
            let rgb = image.into_rgb8();
            let quality = 80;
            bytes =
                compress(&rgb, width as usize, height as usize, PixelFormat::Rgb, quality, Subsampling::S420)
                    .unwrap();
        }
        ImageFormat::Tiff => {
            let mut encoder = TiffEncoder::new(Cursor::new(&mut bytes)).unwrap();
            match image {
                DynamicImage::ImageRgb8(rgb) => encoder.write_image::<colortype::RGB8>(width, height, &rgb),
                DynamicImage::ImageRgba8(rgba) => {
                    encoder.write_image::<colortype::RGBA8>(width, height, &rgba)
                }
                DynamicImage::ImageRgb16(rgb) => encoder.write_image::<colortype::RGB16>(width, height, &rgb),
                other => unreachable!("no test writes {other:?}"),
            }
            .unwrap();
        }
        _ => image.write_to(&mut Cursor::new(&mut bytes), format).unwrap(),
    }
    bytes
}

fn committed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/pictures").join(name)
}

/// Opens `bytes` as a file with this name.
fn open_as(name: &str, bytes: &[u8]) -> Result<Photograph, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    Photograph::open(path)
}

fn open(bytes: &[u8]) -> Result<Photograph, Error> {
    open_as("picture", bytes)
}

/// The message of the [`Error::Image`] that opening `bytes` must return. The message always names
/// the file.
fn refusal(bytes: &[u8]) -> String {
    let error = open_as("holiday.jpg", bytes).expect_err("must be refused");
    assert!(matches!(error, Error::Image { .. }), "{error:?}");
    let message = error.to_string();
    assert!(message.contains("holiday.jpg: "), "{message}");
    message
}

/// The colours of the corners: upper left, upper right, lower left, lower right.
pub fn corners(photo: &Photograph) -> [[u8; 3]; 4] {
    let (pixels, _) = photo.rgb().as_chunks::<3>();
    let last_row = (photo.height() - 1) * photo.width();
    [pixels[0], pixels[photo.width() - 1], pixels[last_row], pixels[last_row + photo.width() - 1]]
}

#[test]
fn pictures_agree_with_the_references() {
    // If the poodle, a portrait, were resampled along rows first, 19 % of the values would differ,
    // though never by more than 1.
    for image in ["cat_dog.png", "chelsea.png", "miniature_poodle.jpg", "tibetan_terrier.jpg"] {
        let stem = image.split('.').next().unwrap();
        let (Some(photo), Some(reference)) = (
            crate::common::shared(&format!("images/{image}")),
            crate::common::shared(&format!("reference/{stem}.safetensors")),
        ) else {
            return;
        };
        let bytes = fs::read(reference).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let expected = tensors.tensor("image_rgb").unwrap();
        let picture = Picture::open(photo, Resize::Stretch).unwrap();
        assert_eq!(picture.rgb().len(), expected.data().len());
        let differ = picture.rgb().iter().zip(expected.data()).filter(|(a, b)| a != b).count();
        assert_eq!(differ, 0, "{image}");
        let input = tensors.tensor("input").unwrap();
        let (values, _) = input.data().as_chunks::<4>();
        let found = picture.input();
        for (at, value) in values.iter().enumerate() {
            // The reference has the order [channel][y][x]; this library has [y][x][channel].
            let (channel, pixel) = (at / (224 * 224), at % (224 * 224));
            let expected = f32::from_le_bytes(*value);
            assert_eq!(found.values()[pixel * 3 + channel], expected, "{image} at {at}");
        }
    }
}

#[test]
fn transparency_is_dropped_from_a_photograph() {
    let Some(path) = crate::common::shared("images/spider.png") else {
        return;
    };
    let rgba = image::open(&path).unwrap().into_rgba8();
    let expected: Vec<u8> = rgba.pixels().flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
    assert_eq!(Picture::open(path, Resize::Stretch).unwrap().rgb(), expected);
}

/// The numbers come from Pillow 13.0.0: `resize((384, 256), BICUBIC).crop((80, 16, 304, 240))`,
/// with torchvision's sizes and offsets.
#[test]
fn center_crop_of_a_photograph() {
    let Some(path) = crate::common::shared("images/chelsea.png") else {
        return;
    };
    let picture = Picture::open(path, Resize::CenterCrop).unwrap();
    let pixel = |y: usize, x: usize| &picture.rgb()[(y * 224 + x) * 3..][..3];
    assert_eq!(
        (pixel(0, 0), pixel(223, 223), pixel(100, 50)),
        (&[170, 132, 109][..], &[193, 168, 148][..], &[81, 59, 22][..])
    );
    assert_eq!(picture.rgb().iter().map(|&level| u64::from(level)).sum::<u64>(), 16_350_822);
    for (found, expected) in picture.mean_rgb().iter().zip([146.42813, 105.7445, 73.69675]) {
        assert!((found - expected).abs() < 1e-4, "{found} is not {expected}");
    }
}

#[test]
fn center_crop_takes_the_middle_of_any_shape() {
    for (height, width) in [(1, 1), (1, 4000), (4000, 1), (224, 224), (256, 300), (255, 257)] {
        let row = |x: usize| [[200, 0, 0], [0, 100, 0], [0, 0, 200]][x * 3 / width.max(1)];
        let rgb: Vec<u8> = (0..height * width).flat_map(|i| row(i % width)).collect();
        let picture = Picture::from_rgb(height, width, &rgb, Resize::CenterCrop).unwrap();
        assert_eq!(picture.rgb().len(), 224 * 224 * 3);
        let centre = &picture.rgb()[(112 * 224 + 112) * 3..][..3];
        assert_eq!(centre, row(width / 2), "{height}x{width}");
    }
}

/// The whole photograph lies in the middle, and its mean colour around it.
#[test]
fn a_padded_photograph_keeps_its_shape() {
    for (height, width, scaled, corner) in [
        (300, 400, [168, 224], [28, 0]),
        (400, 300, [224, 168], [0, 28]),
        (224, 224, [224, 224], [0, 0]),
        // 223.5 rows become 224; 221.6 become 222.
        (447, 448, [224, 224], [0, 0]),
        (453, 458, [222, 224], [1, 0]),
        (1, 4000, [1, 224], [111, 0]),
        (4000, 1, [224, 1], [0, 111]),
    ] {
        let rgb: Vec<u8> = (0..height * width * 3).map(|i| (i * i % 251) as u8).collect();
        let picture = Picture::from_rgb(height, width, &rgb, Resize::Pad).unwrap();
        let whole = Rect { y0: 0, x0: 0, y1: scaled[0], x1: scaled[1] };
        let inside = resize_rgb(&rgb, height, width, scaled, whole);
        let (inside, _) = inside.as_chunks::<3>();
        let mean: [u8; 3] = std::array::from_fn(|c| {
            let sum: f64 = inside.iter().map(|pixel| f64::from(pixel[c])).sum();
            (sum / inside.len() as f64).round() as u8
        });
        for (i, pixel) in picture.rgb().as_chunks::<3>().0.iter().enumerate() {
            let (y, x) = ((i / 224).wrapping_sub(corner[0]), (i % 224).wrapping_sub(corner[1]));
            let expected = if y < scaled[0] && x < scaled[1] { inside[y * scaled[1] + x] } else { mean };
            assert_eq!(*pixel, expected, "{height}x{width}: row {}, column {}", i / 224, i % 224);
        }
    }
}

proptest! {
    /// A place on the photograph lies where its pixel is in the picture.
    #[test]
    fn a_framing_tells_where_the_picture_lies(
        (height, width) in (1usize..900, 1usize..900),
        (y, x) in (0.0f64..1.0, 0.0f64..1.0),
        resize in prop::sample::select(vec![Resize::Stretch, Resize::CenterCrop, Resize::Pad, Resize::Matlab]),
    ) {
        let framing = Framing::new([height, width], resize);
        for (axis, share, length) in [(0, y, height), (1, x, width)] {
            let at = share * length as f64;
            let network = framing.to_network(axis, at);
            prop_assert!((framing.to_photograph(axis, network) - at).abs() < 1e-9 * length as f64);
            // Each axis keeps its direction, and both have the same proportion unless stretched.
            prop_assert!(framing.to_network(axis, at + 1.0) > network);
        }
        let scale = |axis| framing.to_network(axis, 1.0) - framing.to_network(axis, 0.0);
        let [least, most] = [height.min(width) as f64, height.max(width) as f64];
        match resize {
            Resize::Stretch | Resize::Matlab => prop_assert_eq!([scale(0), scale(1)], [224.0 / height as f64, 224.0 / width as f64]),
            // Lengths are rounded to whole pixels, down or to the nearest.
            Resize::CenterCrop => prop_assert!((scale(0) - scale(1)).abs() <= 1.0 / least),
            _ => {
                prop_assert!((scale(0) - scale(1)).abs() <= 0.5 / least + 1e-9 || least * 224.0 < most);
                let ends = [(0, height), (1, width)].map(|(axis, length)| framing.to_network(axis, length as f64));
                prop_assert!(ends.iter().all(|end| *end <= 224.0));
            }
        }
        // The middle of the photograph is the middle of the picture, to the rounding of the corner.
        for (axis, length) in [(0, height), (1, width)] {
            prop_assert!((framing.to_network(axis, length as f64 / 2.0) - 112.0).abs() <= 0.5);
        }
    }
}

#[test]
fn every_lossless_format_gives_the_same_pixels() {
    let image = quarters(6, 10);
    for format in LOSSLESS {
        // The name claims JPEG, but only the content may decide.
        let photo = open_as("photo.jpg", &encoded(image.clone(), format)).unwrap();
        assert_eq!((photo.height(), photo.width()), (6, 10), "{format:?}");
        assert_eq!(photo.rgb(), image.as_raw().as_slice(), "{format:?}");
    }
}

/// `tests/data/pictures/make.py` wrote the pictures, and the numbers are Pillow's. Lossy formats
/// may differ by the rounding of the decoder.
#[test]
fn palettes_cmyk_bilevel_and_lossy_files_are_read_as_by_pillow() {
    let cmyk = [[198, 131, 63]; 4];
    let two = |left, right| [left, right, left, right];
    for (name, expected, off) in [
        ("palette.png", COLOURS, 0),
        ("palette.gif", COLOURS, 0),
        ("palette.bmp", COLOURS, 0),
        ("bilevel.png", [[0; 3], [255; 3], [255; 3], [0; 3]], 0),
        ("cmyk.jpg", cmyk, 1),
        ("cmyk.tif", cmyk, 1),
        ("turned.tif", [COLOURS[2], COLOURS[0], COLOURS[3], COLOURS[1]], 0),
        ("progressive.jpg", two([58, 70, 242], [221, 210, 0]), 1),
        ("lossy.webp", two([61, 69, 239], [221, 209, 0]), 1),
    ] {
        let found = corners(&Photograph::open(committed(name)).unwrap());
        let worst =
            found.as_flattened().iter().zip(expected.as_flattened()).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(worst <= Some(off), "{name}: {found:?} is not {expected:?}");
    }
}

#[test]
fn grey_and_alpha_become_rgb() {
    let grey = ImageBuffer::<image::Luma<u8>, _>::from_raw(2, 1, vec![7, 200]).unwrap();
    assert_eq!(open(&encoded(grey, ImageFormat::Png)).unwrap().rgb(), [7, 7, 7, 200, 200, 200]);
    let grey_alpha = ImageBuffer::<image::LumaA<u8>, _>::from_raw(2, 1, vec![7, 0, 200, 128]).unwrap();
    assert_eq!(open(&encoded(grey_alpha, ImageFormat::Png)).unwrap().rgb(), [7, 7, 7, 200, 200, 200]);
    let rgba = ImageBuffer::<image::Rgba<u8>, _>::from_raw(2, 1, vec![1, 2, 3, 0, 4, 5, 6, 99]).unwrap();
    for format in [ImageFormat::Png, ImageFormat::Tiff, ImageFormat::WebP] {
        assert_eq!(open(&encoded(rgba.clone(), format)).unwrap().rgb(), [1, 2, 3, 4, 5, 6], "{format:?}");
    }
}

#[test]
fn sixteen_bits_are_divided_by_257_and_rounded() {
    let levels: Vec<u16> = (0..=65535).step_by(31).collect();
    let expected: Vec<u8> = levels.iter().map(|&level| (f64::from(level) / 257.0).round() as u8).collect();
    let size = (levels.len() / 3) as u32;
    let rgb = ImageBuffer::<Rgb<u16>, _>::from_raw(size, 1, levels[..size as usize * 3].to_vec()).unwrap();
    for format in [ImageFormat::Png, ImageFormat::Tiff] {
        assert_eq!(
            open(&encoded(rgb.clone(), format)).unwrap().rgb(),
            &expected[..size as usize * 3],
            "{format:?}"
        );
    }
    let grey = ImageBuffer::<image::Luma<u16>, _>::from_raw(levels.len() as u32, 1, levels).unwrap();
    let photo = open(&encoded(grey, ImageFormat::Png)).unwrap();
    assert_eq!(photo.rgb().iter().step_by(3).copied().collect::<Vec<u8>>(), expected);
}

#[test]
fn one_pixel_is_a_picture() {
    for format in LOSSLESS {
        let image = RgbImage::from_pixel(1, 1, Rgb([9, 80, 170]));
        let photo = open(&encoded(image, format)).unwrap();
        for resize in [Resize::Stretch, Resize::CenterCrop, Resize::Pad, Resize::Matlab] {
            let picture = photo.picture(resize);
            assert_eq!(picture.rgb().len(), 224 * 224 * 3);
            assert!(
                picture.rgb().as_chunks::<3>().0.iter().all(|pixel| *pixel == [9, 80, 170]),
                "{format:?}"
            );
            assert_eq!(picture.mean_rgb(), [9.0, 80.0, 170.0]);
            assert_eq!(picture.input().values()[..3], [170.0 - 104.0, 80.0 - 117.0, 9.0 - 123.0]);
        }
    }
}

#[test]
fn a_missing_file_is_an_io_error_that_names_it() {
    let error = Photograph::open("no/such/photo.jpg").unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error:?}");
    assert!(error.to_string().contains("no/such/photo.jpg"), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn an_endless_file_is_refused_by_its_beginning() {
    let error = Photograph::open("/dev/zero").unwrap_err().to_string();
    assert!(error.contains("is not a picture"), "{error}");
}

#[test]
fn a_huge_file_is_refused_before_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("huge.png");
    fs::write(&path, b"\x89PNG\r\n\x1a\n").unwrap();
    // A hole in the file, which takes no space on the disk.
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(1 << 40).unwrap();
    let error = Photograph::open(path).unwrap_err().to_string();
    assert!(error.contains("is larger than 800000000 bytes"), "{error}");
}

/// A picture whose header claims this size. The cases give the position of the width and the height
/// in each format, and the byte order.
fn with_size(format: ImageFormat, width: u32, height: u32) -> Vec<u8> {
    let mut bytes = encoded(quarters(6, 10), format);
    match format {
        ImageFormat::Png => {
            bytes[16..20].copy_from_slice(&width.to_be_bytes());
            bytes[20..24].copy_from_slice(&height.to_be_bytes());
            let checksum = png_crc(&bytes[12..29]);
            bytes[29..33].copy_from_slice(&checksum.to_be_bytes());
        }
        ImageFormat::Bmp => {
            bytes[18..22].copy_from_slice(&width.to_le_bytes());
            bytes[22..26].copy_from_slice(&height.to_le_bytes());
        }
        ImageFormat::Gif => {
            bytes[6..8].copy_from_slice(&(width as u16).to_le_bytes());
            bytes[8..10].copy_from_slice(&(height as u16).to_le_bytes());
        }
        ImageFormat::Jpeg => {
            let frame = bytes.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
            bytes[frame + 5..frame + 7].copy_from_slice(&(height as u16).to_be_bytes());
            bytes[frame + 7..frame + 9].copy_from_slice(&(width as u16).to_be_bytes());
        }
        _ => unreachable!(),
    }
    bytes
}

/// The CRC of the PNG specification, annex D.
pub fn png_crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(
            crc ^ u32::from(byte),
            |crc, _| {
                if crc & 1 == 1 { 0xEDB8_8320 ^ (crc >> 1) } else { crc >> 1 }
            },
        )
    })
}

/// The decoder of PNG files panics if the length of the palette is no multiple of 3.
#[test]
fn a_panic_of_a_decoder_is_an_error() {
    let chunk = |kind: &[u8], data: &[u8]| {
        let named = [kind, data].concat();
        let length = (data.len() as u32).to_be_bytes();
        [&length[..], &named, &png_crc(&named).to_be_bytes()].concat()
    };
    // One pixel, 8 bits, with a palette; the compressed row is a filter byte and an index.
    let header = [0, 0, 0, 1, 0, 0, 0, 1, 8, 3, 0, 0, 0];
    let row = [0x78, 0x01, 0x63, 0x60, 0x00, 0x00, 0x00, 0x02, 0x00, 0x01];
    for palette in [&[250, 130, 20][..], &[250, 130, 20, 0], &[250, 130]] {
        let file = [
            b"\x89PNG\r\n\x1a\n".to_vec(),
            chunk(b"IHDR", &header),
            chunk(b"PLTE", palette),
            chunk(b"IDAT", &row),
            chunk(b"IEND", b""),
        ]
        .concat();
        if palette.len() == 3 {
            assert_eq!(open(&file).unwrap().rgb(), palette);
        } else {
            let message = refusal(&file);
            assert!(message.contains("is a damaged or truncated PNG picture"), "{message}");
        }
    }
}

#[test]
fn decompression_bombs_are_refused_by_their_header() {
    for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Gif, ImageFormat::Jpeg] {
        let message = refusal(&with_size(format, 60_000, 60_000));
        assert!(
            message.contains("60000x60000 pixels, expected at most 100 megapixels"),
            "{format:?}: {message}"
        );
    }
    for (width, height) in [(1_000_000_000, 1), (70_000, 1), (1, 70_000)] {
        for format in [ImageFormat::Png, ImageFormat::Bmp] {
            let message = refusal(&with_size(format, width, height));
            let found =
                format!("announces {width}x{height} pixels, expected at most 100 megapixels and 65535");
            assert!(message.contains(&found), "{format:?}: {message}");
        }
    }
}

#[test]
fn pictures_without_pixels_are_refused() {
    for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Gif, ImageFormat::Jpeg] {
        for (width, height) in [(0, 6), (10, 0), (0, 0)] {
            refusal(&with_size(format, width, height));
        }
    }
    assert!(matches!(Photograph::from_rgb(0, 5, &[]), Err(Error::Image { .. })));
}

/// The words of the decoders, without values in the notation of Rust.
#[test]
fn messages_have_no_terms_of_the_program() {
    let picture = || quarters(16, 16);
    let with = |format: ImageFormat, at: usize, byte: u8| {
        let mut bytes = encoded(picture(), format);
        bytes[at] = byte;
        refusal(&bytes)
    };
    let cut = |format: ImageFormat, length: usize| refusal(&encoded(picture(), format)[..length]);
    for (message, expected) in [
        // The checksum of a chunk, its name, and its place.
        (with(ImageFormat::Png, 32, 1), "picture (CRC error); copy"),
        (with(ImageFormat::Png, 12, b'X'), "PNG picture (its data is contradictory); copy"),
        (cut(ImageFormat::Png, 60), "PNG picture (its end is missing); copy"),
        (cut(ImageFormat::Bmp, 200), "BMP picture (its end is missing); copy"),
        (cut(ImageFormat::Tiff, 200), "TIFF picture (its end is missing); copy"),
    ] {
        assert!(message.contains(expected), "expected {expected} in {message}");
    }
}

/// One file per format and kind, each small enough to cut at every byte.
fn samples() -> Vec<(String, Vec<u8>)> {
    let noise =
        RgbImage::from_fn(24, 17, |x, y| Rgb([(x * y * 37) as u8, (x * 11) as u8, (x + y * y * 5) as u8]));
    let mut samples: Vec<(String, Vec<u8>)> = LOSSLESS
        .into_iter()
        .chain([ImageFormat::Jpeg])
        .map(|format| (format!("{format:?}"), encoded(noise.clone(), format)))
        .collect();
    for entry in fs::read_dir(committed("")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension != "py") {
            samples.push((path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap()));
        }
    }
    samples
}

/// A file whose end is missing is refused. If only closing marks are missing, it gives exactly the
/// same pixels. It never gives grey pixels.
#[test]
fn truncated_pictures_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut");
    for (name, bytes) in samples() {
        let whole = open(&bytes).unwrap();
        let mut shortest = bytes.len();
        fs::write(&path, &bytes).unwrap();
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        for length in (0..bytes.len()).rev() {
            file.set_len(length as u64).unwrap();
            match Photograph::open(&path) {
                Ok(photo) => {
                    assert_eq!(photo, whole, "{name} cut to {length} of {} bytes", bytes.len());
                    shortest = length;
                }
                Err(error) => assert!(matches!(error, Error::Image { .. }), "{name}: {error:?}"),
            }
        }
        println!("{name}: whole from {shortest} of {} bytes", bytes.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Damage causes an error or other pixels, never a panic.
    #[test]
    fn damaged_pictures_do_not_panic(
        sample in any::<prop::sample::Index>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        static SAMPLES: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(samples);
        let (_, mut bytes) = sample.get(&SAMPLES).clone();
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(photo) = open(&bytes) {
            prop_assert_eq!(photo.rgb().len(), photo.height() * photo.width() * 3);
        }
    }
}

#[test]
fn raw_pixels_and_inputs_of_a_wrong_length_are_refused() {
    let error = Picture::from_rgb(2, 2, &[0; 11], Resize::Stretch).unwrap_err().to_string();
    assert!(error.contains("2 rows of 2 pixels") && error.contains("found 11 bytes"), "{error}");
    assert!(Picture::from_rgb(usize::MAX, 2, &[0; 12], Resize::Stretch).is_err());
    assert!(Input::from_nhwc_bgr(vec![0.0; 5]).unwrap_err().to_string().contains("found 5"));
    let mut values = vec![0.0; 224 * 224 * 3];
    values[7] = f32::NAN;
    assert!(Input::from_nhwc_bgr(values).unwrap_err().to_string().contains("NaN at index 7"));
    assert!(Input::from_nhwc_bgr(vec![1.0; 224 * 224 * 3]).is_ok());
}
