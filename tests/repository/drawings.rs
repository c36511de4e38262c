//! Figures of the book that no command draws: parts of the photograph, and small diagrams with the
//! numbers of the text.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use image::RgbImage;
use occlude::{GoogLeNet, Photograph, Resize, Weights};

const DARK: &str = "#1f2933";
const PLAIN: &str = "#f4f4f2";
const MARKED: &str = "#f2c46d";

/// An SVG picture.
struct Drawing {
    width: usize,
    height: usize,
    body: String,
}

impl Drawing {
    fn new(width: usize, height: usize) -> Drawing {
        Drawing { width, height, body: String::new() }
    }

    fn text(&mut self, x: usize, y: usize, colour: &str, text: &str) {
        writeln!(self.body, "<text x=\"{x}\" y=\"{y}\" fill=\"{colour}\">{text}</text>").unwrap();
    }

    /// A rectangle with lines of text in its middle.
    fn cell(&mut self, [x, y, width, height]: [usize; 4], fill: &str, lines: &[String]) {
        writeln!(
            self.body,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{fill}\" stroke=\"#9aa5b1\"/>"
        )
        .unwrap();
        for (i, line) in lines.iter().enumerate() {
            let middle = y + height / 2 + 5 + 16 * i - 8 * (lines.len() - 1);
            let _ = writeln!(
                self.body,
                "<text x=\"{}\" y=\"{middle}\" fill=\"{}\" text-anchor=\"middle\">{line}</text>",
                x + width / 2,
                text_colour(fill)
            );
        }
    }

    /// Cells of `side` pixels with one number each. `is_marked` tells by row and column which have
    /// the other colour.
    fn grid(
        &mut self,
        [left, top]: [usize; 2],
        numbers: &[&[i32]],
        is_marked: impl Fn(usize, usize) -> bool,
    ) {
        for (y, row) in numbers.iter().enumerate() {
            for (x, number) in row.iter().enumerate() {
                let fill = if is_marked(y, x) { MARKED } else { PLAIN };
                let place = [left + x * SIDE, top + y * SIDE, SIDE, SIDE];
                self.cell(place, fill, &[number.to_string().replace('-', "\u{2212}")]);
            }
        }
    }

    /// A horizontal bar with a name before it and a number after it.
    fn bar(&mut self, [left, top]: [usize; 2], name: &str, length: f64, number: &str) {
        self.text(left, top + 19, DARK, name);
        let width = length.round() as usize;
        self.cell([left + 150, top, width.max(1), 26], MARKED, &[]);
        self.text(left + 158 + width, top + 19, DARK, number);
    }

    fn write(&self, file: &Path) {
        let Drawing { width, height, body } = self;
        let head = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\" font-family=\"sans-serif\" font-size=\"15\">\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
        );
        fs::write(file, head + body + "</svg>\n").unwrap();
    }
}

/// The side of a grid's cell.
const SIDE: usize = 40;

/// White on dark colours, and dark on light ones.
fn text_colour(fill: &str) -> &'static str {
    let level = |at: usize| u32::from_str_radix(&fill[at..at + 2], 16).unwrap();
    if level(1) + level(3) + level(5) < 400 { "#ffffff" } else { DARK }
}

/// Three ways to make a square of a photograph, side by side.
fn squares(photograph: &Photograph, file: &Path) {
    const GAP: u32 = 12;
    let mut sheet = RgbImage::from_pixel(3 * 224 + 2 * GAP, 224, image::Rgb([255; 3]));
    for (i, resize) in [Resize::Stretch, Resize::CenterCrop, Resize::Pad].into_iter().enumerate() {
        let square = RgbImage::from_raw(224, 224, photograph.picture(resize).rgb().to_vec()).unwrap();
        image::imageops::replace(&mut sheet, &square, i64::from(224 + GAP) * i as i64, 0);
    }
    sheet.save(file).unwrap();
}

/// A few pixels of the cat's left eye with their levels.
fn pixels(photograph: &Photograph, file: &Path) {
    let picture = photograph.picture(Resize::Stretch);
    let (rows, columns, top, left, side) = (5, 9, 84, 75, 64);
    let mut drawing = Drawing::new(columns * side, rows * side);
    for y in 0..rows {
        for x in 0..columns {
            let pixel = &picture.rgb()[((top + y) * 224 + left + x) * 3..][..3];
            let fill = format!("#{:02x}{:02x}{:02x}", pixel[0], pixel[1], pixel[2]);
            let levels: Vec<String> = pixel.iter().map(u8::to_string).collect();
            drawing.cell([x * side, y * side, side, side], &fill, &levels);
        }
    }
    drawing.write(file);
}

/// The example of a convolution in chapter 2.
fn window(file: &Path) {
    let mut drawing = Drawing::new(600, 210);
    for (x, name) in [(10, "input"), (210, "weights"), (370, "sums"), (490, "after ReLU")] {
        drawing.text(x, 24, DARK, name);
    }
    let input: [&[i32]; 4] = [&[1, 2, 0, 1], &[0, 1, 3, 1], &[2, 0, 1, 0], &[1, 1, 0, 2]];
    drawing.grid([10, 40], &input, |y, x| y < 3 && x < 3);
    drawing.grid([210, 40], &[&[0, 1, 0], &[1, -2, 1], &[0, 1, 0]], |_, _| true);
    drawing.grid([370, 40], &[&[4, -2], &[6, 2]], |y, x| y + x == 0);
    drawing.grid([490, 40], &[&[4, 0], &[6, 2]], |y, x| y + x == 0);
    drawing.write(file);
}

/// The logits and the probabilities of the most probable classes.
fn softmax(photograph: &Photograph, weights: &Weights, file: &Path) {
    let net = GoogLeNet::new(weights).unwrap();
    let classification = net.classify(&photograph.picture(Resize::Stretch).input());
    let mut drawing = Drawing::new(640, 300);
    let (logits, probabilities) = (&classification.logits, &classification.probabilities);
    for (top, title, numbers, scale) in
        [(0, "logits", logits, 20.0), (150, "probabilities", probabilities, 500.0)]
    {
        drawing.text(10, top + 20, DARK, title);
        for (i, class) in classification.top(4).into_iter().enumerate() {
            let name = weights.labels().short(class).to_string();
            let number = numbers[class];
            let place = [10, top + 30 + 29 * i];
            drawing.bar(place, &name, f64::from(number) * scale, &format!("{number:.3}"));
        }
    }
    drawing.write(file);
}

/// Example 6.1: the inputs that the outputs of a pool read.
fn reach(file: &Path) {
    let mut drawing = Drawing::new(450, 190);
    let x = |place: usize| 80 + place * SIDE;
    for output in 0..4 {
        for input in 2 * output..2 * output + 3 {
            let (from, to) = (x(2 * output + 1) + SIDE / 2, x(input) + SIDE / 2);
            let colour = if [4, 5].contains(&input) { "#c25e00" } else { "#9aa5b1" };
            writeln!(
                drawing.body,
                "<line x1=\"{from}\" y1=\"140\" x2=\"{to}\" y2=\"50\" stroke=\"{colour}\" stroke-width=\"2\"/>"
            )
            .unwrap();
        }
    }
    drawing.text(10, 36, DARK, "inputs");
    drawing.text(10, 166, DARK, "outputs");
    drawing.grid([x(0), 10], &[&[0, 1, 2, 3, 4, 5, 6, 7, 8]], |_, x| x == 4 || x == 5);
    for output in 0..4 {
        let is_marked = |_, _| output == 1 || output == 2;
        drawing.grid([x(2 * output + 1), 140], &[&[output as i32]], is_marked);
    }
    drawing.write(file);
}

/// The multiply-adds of a map in chapter 7, in billions.
fn multiply_adds(file: &Path) {
    let mut drawing = Drawing::new(640, 110);
    let bars = [("no shortcut", 837.0), ("changed pixels", 307.0), ("without zeros", 117.0)];
    for (i, (name, billions)) in bars.into_iter().enumerate() {
        drawing.bar([10, 10 + 32 * i], name, billions / 2.4, &format!("{billions} billion"));
    }
    drawing.write(file);
}

/// Draws the figures of a chapter that no command draws. `published` is the file of the network that
/// the chapter uses.
pub fn draw(chapter: &str, out: &Path, published: Option<&Path>) {
    fs::create_dir_all(out).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let photograph = || Photograph::open(root.join("tests/data/chelsea.png")).unwrap();
    match &chapter[..2] {
        "01" => {
            squares(&photograph(), &out.join("squares.png"));
            pixels(&photograph(), &out.join("pixels.svg"));
        }
        "02" => window(&out.join("window.svg")),
        "04" => softmax(&photograph(), &Weights::load(published.unwrap()).unwrap(), &out.join("softmax.svg")),
        "06" => reach(&out.join("window.svg")),
        "07" => multiply_adds(&out.join("multiply-adds.svg")),
        _ => {}
    }
}
