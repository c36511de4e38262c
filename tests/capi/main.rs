//! Tests of the C interface: the header and the code agree, and programs in C and Python get the
//! Rust library's numbers.
#![cfg(feature = "image")]

#[path = "../common/mod.rs"]
mod common;
mod package;

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{SEED, picture, seeded_weights};
use occlude::image::Framing;
use occlude::learn::{Features, Fit, cross_validate, stratified_folds};
use occlude::network::geometry::Rect;
use occlude::{
    Against, Channel, GoogLeNet, Labels, MaskValue, OcclusionMaps, OcclusionSensitivity, Picture, Region,
    Resize, Score, Segments, Shape, SmallestPart, SmallestParts, Threshold, Upsampling, Weights,
};
use package::{compile, fixed, shared};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// The header without its comments.
fn header() -> String {
    let text = read("src/capi/occlude.h");
    let mut pieces = text.split("/*");
    let first = pieces.next().unwrap_or_default().to_string();
    pieces.fold(first, |code, piece| code + piece.split_once("*/").expect("a comment ends").1)
}

/// The interface's code without its tests.
fn interface() -> String {
    let files = fs::read_dir(root().join("src/capi")).unwrap().map(|entry| entry.unwrap().path());
    let is_code = |path: &PathBuf| path.extension() == Some(OsStr::new("rs")) && !path.ends_with("tests.rs");
    files.filter(is_code).map(|path| fs::read_to_string(path).unwrap()).collect()
}

/// The types of each function's arguments and of its result, as C types.
type Functions = BTreeMap<String, (Vec<String>, String)>;

/// Puts one space between words, and joins `*` to its type.
fn tidy(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace(" *", "*").replace("* ", "*")
}

fn declared() -> Functions {
    let header = header();
    let statements =
        header.split(';').map(tidy).filter(|text| text.contains('(') && !text.contains("typedef"));
    let function = |statement: String| {
        let (head, arguments) = statement.split_once('(').unwrap();
        // The function begins after the last `{`, which belongs to `extern "C"`, or after the end
        // of a preprocessor line.
        let at = head.rfind("occlude_").unwrap();
        let (before, name) = head.split_at(at);
        let returns = before.rsplit(['{', '"']).next().unwrap();
        let returns = returns.trim_start_matches(" #endif").trim();
        let arguments =
            arguments.strip_suffix(')').unwrap().split(", ").filter(|argument| *argument != "void");
        let argument = |argument: &str| {
            let (declarator, array) = argument.split_once('[').map_or((argument, ""), |(a, b)| (a, b));
            let name = declarator.rfind([' ', '*']).unwrap() + 1;
            let array = if array.is_empty() { String::new() } else { format!("[{array}") };
            declarator[..name].trim().to_string() + &array
        };
        (name.to_string(), (arguments.map(argument).collect(), returns.to_string()))
    };
    statements.map(function).collect()
}

/// The C type that has the same bits and the same meaning.
fn in_c(rust: &str) -> String {
    let handle = |name: &str| format!("occlude_{}", name.to_lowercase());
    let inside = |start: &str, end: &str| rust.strip_prefix(start).and_then(|rest| rest.strip_suffix(end));
    if let Some(name) = inside("OutHandle<", ">") {
        return handle(name) + "**";
    } else if let Some(name) = inside("Option<&mut ", ">").or_else(|| inside("Option<Box<", ">>")) {
        return handle(name) + "*";
    } else if let Some(name) = inside("Option<&", ">") {
        return format!("const {}*", handle(name));
    } else if let Some((of, length)) = inside("Out<[", "]>").and_then(|array| array.split_once("; ")) {
        return format!("{}[{length}]", in_c(of));
    } else if let Some(of) = inside("Out<", ">").or_else(|| rust.strip_prefix("*mut ")) {
        return in_c(of) + "*";
    } else if let Some(of) = rust.strip_prefix("*const ") {
        return format!("const {}*", in_c(of));
    }
    let simple = [
        ("c_char", "char"),
        ("c_int", "int"),
        ("c_void", "void"),
        ("f32", "float"),
        ("i32", "int32_t"),
        ("f64", "double"),
        ("u8", "uint8_t"),
        ("u64", "uint64_t"),
        ("usize", "size_t"),
        ("Progress", "occlude_progress"),
        ("", "void"),
    ];
    let found = simple.iter().find(|(name, _)| *name == rust);
    found.unwrap_or_else(|| panic!("no C type for {rust}")).1.to_string()
}

fn exported() -> Functions {
    let interface = interface();
    let function = |text: &str| {
        let (_, text) = text.split_once("fn ").unwrap();
        let (text, _) = text.split_once('{').unwrap();
        let (name, text) = text.split_once('(').unwrap();
        let (arguments, returns) = text.rsplit_once(')').unwrap();
        // Types that contain a comma would need a better parser.
        let arguments = arguments.split(',').filter_map(|argument| argument.split_once(": "));
        let returns = returns.trim().trim_start_matches("-> ");
        (name.to_string(), (arguments.map(|(_, of)| in_c(of.trim())).collect(), in_c(returns)))
    };
    interface.split("#[unsafe(no_mangle)]").skip(1).map(function).collect()
}

#[test]
fn the_header_declares_what_the_library_exports() {
    let declared = declared();
    assert!(declared.len() > 40, "only {}: this test no longer finds them", declared.len());
    assert_eq!(declared, exported());
    assert_eq!(interface().matches("#[unsafe(no_mangle)]\npub ").count(), declared.len());
    assert!(declared.keys().all(|name| name.starts_with("occlude_")));
    // The type of the callback was checked manually once: size_t, size_t, void *, int.
    let callback = "typedef int (*occlude_progress)(size_t done, size_t total, void *user);";
    assert!(header().contains(callback));
    assert!(interface().contains("extern \"C-unwind\" fn(usize, usize, *mut c_void) -> c_int>"));
    // The programs call all functions, with valid and invalid arguments.
    let programs = read("tests/capi/every.c") + &read("tests/capi/learn.c");
    for name in declared.keys() {
        assert!(programs.contains(&format!("{name}(")), "{name} is not in the programs of tests/capi");
    }
}

#[test]
fn constants_have_the_same_values() {
    let mut in_header = BTreeMap::new();
    for line in header().lines() {
        if let Some((name, value)) = line.trim().trim_end_matches(',').split_once(" = ") {
            assert!(in_header.insert(name.to_string(), value.to_string()).is_none(), "{name} twice");
        }
    }
    let mut in_code = BTreeMap::new();
    for line in interface().lines() {
        if let Some((name, value)) =
            line.strip_prefix("const OCCLUDE_").and_then(|rest| rest.split_once(": c_int = "))
        {
            in_code.insert(format!("OCCLUDE_{name}"), value.trim_end_matches(';').to_string());
        }
    }
    assert!(in_code.len() > 10);
    assert_eq!(in_header, in_code);
    assert!(header().contains(&format!("#define OCCLUDE_SIDE {}\n", occlude::network::INPUT_SIDE)));
}

/// True if a program is available. If it is not, the test reports this and passes, unless the
/// environment requires the program.
fn has(program: &str, mut probe: Command, required: &str) -> bool {
    if probe.output().is_ok_and(|output| output.status.success()) {
        return true;
    }
    assert!(env::var(required).is_err(), "{program} is required here ({required}) but does not work");
    // The test harness hides the output of `eprintln!` while tests pass.
    let _ = writeln!(io::stderr(), "SKIPPED: this test needs {program}, which is not installed");
    false
}

/// True if there is a C compiler, and a system on which `tools/install.sh` installs.
fn compiler() -> bool {
    if cfg!(any(windows, target_vendor = "apple")) {
        let _ = writeln!(io::stderr(), "SKIPPED: tools/install.sh does not know this system");
        return false;
    }
    let mut probe = Command::new("cc");
    probe.arg("--version");
    has("a C compiler, cc", probe, "OCCLUDE_REQUIRE_CC")
}

fn succeed(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert!(status.success(), "{command:?}: {status}\n{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

#[test]
fn the_header_is_c_and_cpp_without_warnings() {
    if !compiler() {
        return;
    }
    let strict = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"];
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("only.c");
    fs::write(
        &file,
        "#include \"occlude.h\"\n#include \"occlude.h\"\nint main(void) { return OCCLUDE_OK; }\n",
    )
    .unwrap();
    for language in [["-xc", "-std=c11"], ["-xc++", "-std=c++11"]] {
        // The C compiler may be installed without its C++ front end.
        let mut probe = Command::new("cc");
        probe.args(language).args(["-fsyntax-only", "/dev/null"]);
        if has(&format!("cc {}", language[0]), probe, "OCCLUDE_REQUIRE_CC") {
            succeed(
                Command::new("cc")
                    .args(language)
                    .args(strict)
                    .arg("-I")
                    .arg(root().join("src/capi"))
                    .arg(&file),
            );
        }
    }
}

/// The text that an example prints about the formula picture.
fn example(stride: usize) -> String {
    let net = GoogLeNet::new(&Weights::seeded(SEED)).unwrap();
    let input = Picture::from_rgb(224, 224, &picture(), Resize::Stretch).unwrap().input();
    let maps = OcclusionSensitivity::new(&net).stride([stride, stride]).run(&input).unwrap();
    let map = maps.map(0);
    let map = map.values();
    let strongest = (0..map.len()).fold(0, |best, i| if map[i] > map[best] { i } else { best });
    let [ny, nx] = maps.grid;
    let Rect { y0, x0, y1, x1 } = maps.mask_rect(strongest / nx, strongest % nx);
    let (class, probability, drop) =
        (maps.classes[0], maps.base_scores[0].to_bits(), map[strongest].to_bits());
    let label = Labels::imagenet().short(class);
    format!(
        "class {class}: {label}\nprobability {probability:08x}\ngrid {ny} x {nx}\n\
         strongest drop {drop:08x}, with a mask {} pixels wide and {} high, from x {x0} and y {y0} on\n",
        x1 - x0,
        y1 - y0
    )
}

/// A printed text in which the bits of the floats replace the floats.
fn with_bits(text: &str) -> String {
    let word = |word: &str| {
        let number = word.trim_end_matches([',', '\n']);
        match number.parse::<f32>() {
            Ok(float) if number.contains('.') || number.contains('e') => {
                word.replace(number, &format!("{:08x}", float.to_bits()))
            }
            _ => word.to_string(),
        }
    };
    text.split_inclusive('\n').map(|line| line.split(' ').map(word).collect::<Vec<_>>().join(" ")).collect()
}

/// Writes the formula picture as a file that the examples read.
fn write_picture(path: &Path) {
    let picture = image::RgbImage::from_raw(224, 224, picture()).unwrap();
    picture.save_with_format(path, image::ImageFormat::Png).unwrap();
}

#[test]
fn a_c_program_gets_the_same_bits_from_both_libraries() {
    if !compiler() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (program, picture) = (folder.path().join("explain"), folder.path().join("picture"));
    write_picture(&picture);
    for library in [shared(), fixed()] {
        compile("examples/c/explain.c", &library, &program);
        let printed = succeed(Command::new(&program).arg(seeded_weights()).arg(&picture));
        assert_eq!(with_bits(&printed), example(22), "{library:?}");
    }
    let printed = succeed(Command::new(&program).arg(seeded_weights()).arg(&picture).arg("75"));
    assert_eq!(with_bits(&printed), example(75));
    succeed(Command::new(&program).arg("builtin").arg(root().join("tests/data/chelsea.png")));

    for missing in [0, 1] {
        let mut arguments = [seeded_weights().to_path_buf(), picture.clone()];
        arguments[missing] = "missing".into();
        let refused = Command::new(&program).args(arguments).output().unwrap();
        let message = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(
            refused.status.code() == Some(1) && message.contains("error: cannot read missing"),
            "{message}"
        );
    }

    let mut many = Command::new(&program);
    let refused =
        many.arg(seeded_weights()).arg(&picture).env("RAYON_NUM_THREADS", "99999").output().unwrap();
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(1) && message.contains("RAYON_NUM_THREADS 99999"), "{message}");
}

/// Rayon panics where its global pool cannot be started.
#[cfg(unix)]
#[test]
fn without_threads_the_calling_thread_does_all_work() {
    use std::os::unix::fs::PermissionsExt;
    if !compiler() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (program, weights) = (folder.path().join("explain"), folder.path().join("weights"));
    let picture = folder.path().join("picture");
    compile("examples/c/explain.c", &fixed(), &program);
    write_picture(&picture);
    fs::copy(seeded_weights(), &weights).unwrap();
    for file in [&weights, &picture] {
        fs::set_permissions(file, fs::Permissions::from_mode(0o644)).unwrap();
    }
    if let Some(mut command) = common::without_threads(Command::new(&program).args([&weights, &picture])) {
        assert_eq!(with_bits(&succeed(&mut command)), example(22));
    }
}

/// The text that `tests/capi/every.c` must print.
struct Printed(String);

impl Printed {
    fn floats(&mut self, name: &str, values: &[f32]) {
        let bits: String = values.iter().map(|value| format!(" {:08x}", value.to_bits())).collect();
        writeln!(self.0, "{name}{bits}").unwrap();
    }

    fn sizes(&mut self, name: &str, values: &[usize]) {
        let numbers: String = values.iter().map(|value| format!(" {value}")).collect();
        writeln!(self.0, "{name}{numbers}").unwrap();
    }

    fn maps(&mut self, name: &str, maps: &OcclusionMaps) {
        let sides = |rect: Rect| [rect.y0, rect.x0, rect.y1, rect.x1];
        let count = maps.grid[0] * maps.grid[1];
        self.sizes(name, &[]);
        self.sizes("grid", &maps.grid);
        self.sizes("area", &sides(maps.area()));
        self.sizes("rect", &sides(maps.mask_rect(maps.grid[0] - 1, 0)));
        for (k, &class) in maps.classes.iter().enumerate() {
            self.sizes("class", &[class]);
            self.floats("base_score", &maps.base_scores[k..=k]);
            self.floats("scores", &maps.scores[k * count..][..count]);
            self.floats("map", maps.map(k).values());
            self.floats("upsampled", &maps.upsampled(k, Upsampling::Bicubic));
        }
        self.sizes("argmax", &maps.argmax);
        self.floats("argmax_scores", &maps.argmax_scores);
    }

    fn region(&mut self, name: &str, region: &Region) {
        let [height, width] = region.size();
        self.sizes(name, &[height, width, region.area()]);
        for Rect { y0, x0, y1, x1 } in region.parts().iter().map(|part| part.bounds) {
            self.sizes("box", &[y0, x0, y1, x1]);
        }
    }

    fn part(&mut self, name: &str, part: &SmallestPart, framing: Framing) {
        self.region(name, &framing.region_of(&part.pixels));
        self.floats("alone", &part.alone.probabilities);
        self.floats("without", &part.without.probabilities);
    }
}

#[test]
fn every_function_does_as_the_header_says() {
    if !compiler() {
        return;
    }
    let net = GoogLeNet::new(&Weights::seeded(SEED)).unwrap();
    let file = root().join("tests/data/chelsea.png");
    let rgb: Vec<u8> =
        (0..60 * 90).flat_map(|i| [i % 90 * 2, i / 90 * 4, (i % 7) * 30]).map(|level| level as u8).collect();
    let mut printed = Printed(format!("version {}\n", env!("CARGO_PKG_VERSION")));
    let labels = Labels::imagenet();
    writeln!(printed.0, "label {}, {}", labels.short(281), labels.short(999)).unwrap();
    let pixels = |resize| Picture::from_rgb(60, 90, &rgb, resize).unwrap();
    for (name, picture) in [
        ("opened", Picture::open(&file, Resize::CenterCrop).unwrap()),
        ("cropped", pixels(Resize::CenterCrop)),
        ("padded", pixels(Resize::Pad)),
        ("as by MATLAB", pixels(Resize::Matlab)),
        ("stretched", pixels(Resize::Stretch)),
    ] {
        printed.floats(name, &net.classify(&picture.input()).probabilities);
    }
    let input = pixels(Resize::Stretch).input();
    let sweep = || OcclusionSensitivity::new(&net);
    let maps = sweep().run(&input).unwrap();
    printed.maps("defaults", &maps);
    let framing = Framing::new([60, 90], Resize::Stretch);
    let map = maps.upsampled(0, Upsampling::Bicubic);
    for threshold in [Threshold::Share(0.75), Threshold::Otsu] {
        let level = threshold.level(&map).unwrap().unwrap();
        printed.region("above", &framing.region_above(&map, level));
    }
    let search = SmallestParts::new(&net).tile(56);
    let red = search.clone().mask_value(MaskValue::Rgb([255.0, 0.0, 90.0]));
    let parts = |search: SmallestParts, class| search.run(&input, &[(class, &map)]).unwrap().remove(0);
    let [predicted, other] = [parts(red, maps.classes[0]), parts(search, 3)];
    printed.part("keeping", &predicted.keeping.unwrap(), framing);
    printed.part("losing", &predicted.losing.unwrap(), framing);
    assert!(other.keeping.is_none());
    printed.part("lost", &other.losing.unwrap(), framing);
    let options = sweep()
        .mask_size([60, 50])
        .stride([56, 75])
        .mask_value(MaskValue::Rgb([10.0, 200.0, 90.5]))
        .mask_clipping(false)
        .region(Rect { y0: 0, x0: 40, y1: 200, x1: 224 })
        .classes([3, 999])
        .score(Score::Logit);
    printed.maps("options", &options.run(&input).unwrap());
    let top = net.classify(&input).top(2);
    for value in [MaskValue::TrainingMean, MaskValue::Blur(2.5), MaskValue::Noise(7), MaskValue::Auto] {
        let sweep = sweep().stride([112, 112]).classes(top.clone()).mask_value(value);
        printed.maps("mask", &sweep.run(&input).unwrap());
    }
    let plain = sweep().stride([112, 112]);
    let number = |at: usize| (at / 224 >= 20).then_some((at % 224 / 60) as u32);
    let segments = Segments::new(&Vec::from_iter((0..224 * 224).map(number))).unwrap();
    for sweep in [
        plain.clone().mask_value(MaskValue::Patch),
        plain.clone().mask_value(MaskValue::Inpaint),
        plain.clone().mask_picture(&input),
        plain.clone().shape(Shape::Gaussian).channel(Some(Channel::Green)),
        plain.clone().inverse(true),
        plain.clone().segments(&segments),
    ] {
        printed.maps("masks", &sweep.run(&input).unwrap());
    }
    let contrast = |class| Score::Contrast(Against::Class(class));
    let group = |classes: Vec<usize>| Score::Group { name: String::new(), classes };
    let of_two = [
        contrast(3),
        Score::LogitContrast(Against::Nearest(2)),
        Score::Margin,
        Score::LogitMargin,
        Score::LogitContrast(Against::Class(3)),
    ];
    for score in of_two {
        let sweep = sweep().stride([112, 112]).classes(top.clone()).score(score);
        printed.maps("score", &sweep.run(&input).unwrap());
    }
    for score in [Score::Entropy, group(vec![3, 7]), group((151..=268).collect())] {
        printed.maps("score", &sweep().stride([112, 112]).score(score).run(&input).unwrap());
    }
    printed.floats("gradcam", &net.grad_cam(&net.forward(&input), &[3, 999]).unwrap().maps);
    writeln!(printed.0, "label name 281, name 999").unwrap();

    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("every");
    compile("tests/capi/every.c", &shared(), &program);
    let found = succeed(Command::new(&program).arg(seeded_weights()).arg(&file).current_dir(folder.path()));
    // `assert_eq!` would print the values.
    for (found, expected) in found.lines().zip(printed.0.lines()) {
        let name = expected.split(' ').next().unwrap();
        assert!(found == expected, "{name}: {found:.300}\nexpected {expected:.300}");
    }
    assert_eq!(found.lines().count(), printed.0.lines().count());
}

#[test]
fn a_c_program_teaches_a_network() {
    if !compiler() {
        return;
    }
    let files = ["chelsea.png", "camera.png"].map(|name| root().join("tests/data").join(name));
    let net = GoogLeNet::new(&Weights::builtin()).unwrap();
    let mut features = Features::new(net.features_len()).unwrap();
    let mut printed = Printed(String::new());
    let mut all = Vec::new();
    let ways = [Resize::Stretch, Resize::CenterCrop, Resize::Pad];
    for (resize, file) in ways.iter().flat_map(|&resize| files.iter().map(move |file| (resize, file))) {
        let row = net.features(&Picture::open(file, resize).unwrap().input());
        features.push(&row).unwrap();
        all.extend(row);
    }
    printed.floats("features", &all);
    let rows: Vec<usize> = (0..features.count()).collect();
    let alternating = [0, 1, 0, 1, 0, 1];
    let fit = |targets, l2| Fit { features: &features, targets, classes: 2, fixed: None, l2 };
    // Three photographs of each class: three folds.
    let folds = [0, 1, 1, 2, 2, 0];
    let found = cross_validate(&fit(&alternating, 1.0), 1, &folds, &mut |_, _| Ok(())).unwrap();
    assert_eq!(stratified_folds(&alternating), folds);
    let input = Picture::open(&files[1], Resize::Pad).unwrap().input();
    for (targets, l2) in [(&alternating, 0.01), (&alternating, found.l2), (&[0, 0, 0, 1, 1, 1], 0.5)] {
        let classifier = fit(targets, l2).run(&rows).unwrap();
        let labels = Labels::numbered(2);
        let taught = classifier.replace_in(Weights::builtin(), labels, "taught").unwrap();
        let said = GoogLeNet::new(&taught).unwrap().classify(&input);
        printed.floats("learned", &said.probabilities);
    }
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("learn");
    compile("tests/capi/learn.c", &shared(), &program);
    let found = succeed(Command::new(&program).args(&files));
    assert!(found == printed.0, "{found:.300}\nexpected {:.300}", printed.0);
}
