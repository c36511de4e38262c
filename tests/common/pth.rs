//! The tests of `src/weights/pth/` and of its pickle machine. This file is a module of theirs.

use std::io::Write;

use proptest::prelude::*;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;

const STATE_ZIP: &[u8] = include_bytes!("../data/pth/state_zip.pth");
const STATE_LEGACY: &[u8] = include_bytes!("../data/pth/state_legacy.pth");
const CHECKPOINT_ZIP: &[u8] = include_bytes!("../data/pth/checkpoint_zip.pth");
const CHECKPOINT_LEGACY: &[u8] = include_bytes!("../data/pth/checkpoint_legacy.pth");
const MODEL: &[u8] = include_bytes!("../data/pth/model.pth");

/// The numbers that `tools/pth_samples.py` computes.
fn numbers(k: usize, count: usize) -> Vec<f32> {
    (0..count).map(|i| ((7 * i + k) % 19) as f32 / 8.0 - 9.0 / 8.0).collect()
}

fn tensor(name: &str, k: usize, shape: &[usize]) -> Tensor {
    let values = numbers(k, shape.iter().product());
    Tensor { name: name.to_string(), shape: shape.to_vec(), values }
}

/// The tensors that `state_zip.pth` and `state_legacy.pth` contain.
fn state() -> Vec<Tensor> {
    let mut state = vec![
        tensor("0.weight", 0, &[2, 1, 1, 1]),
        tensor("0.bias", 1, &[2]),
        tensor("1.weight", 2, &[2]),
        tensor("1.bias", 3, &[2]),
        tensor("1.running_mean", 4, &[2]),
        tensor("1.running_var", 5, &[2]),
        tensor("f32", 10, &[2, 3]),
        tensor("f16", 11, &[4]),
        tensor("bf16", 12, &[5]),
        tensor("f64", 13, &[3]),
        tensor("scalar", 14, &[]),
        tensor("channels_last", 15, &[2, 4, 3, 3]),
        tensor("shared.whole", 16, &[3, 4]),
        tensor("shared.column", 16, &[3]),
        tensor("parameter", 17, &[2]),
        tensor("empty", 0, &[0, 3]),
    ];
    for value in &mut state[9].values {
        *value = (f64::from(*value) / 3.0) as f32;
    }
    state[13].values = [1, 5, 9].map(|i| state[12].values[i]).to_vec();
    state
}

fn message(bytes: &[u8]) -> String {
    tensors(bytes).expect_err("accepted")
}

#[track_caller]
fn refuse(bytes: &[u8], words: &[&str]) {
    let message = message(bytes);
    for word in words {
        assert!(message.contains(word), "no \"{word}\" in: {message}");
    }
    assert!(message.len() < 600 && !message.contains(|c: char| c.is_control()), "{message:?}");
}

// Parts of pickles.

fn text(text: &str) -> Vec<u8> {
    [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()
}

fn int(number: i64) -> Vec<u8> {
    [b"\x8a\x08", &number.to_le_bytes()[..]].concat()
}

fn tuple(items: &[Vec<u8>]) -> Vec<u8> {
    [b"(", &items.concat()[..], b"t"].concat()
}

fn ints(numbers: &[i64]) -> Vec<u8> {
    tuple(&numbers.iter().map(|&number| int(number)).collect::<Vec<_>>())
}

fn dict(entries: &[Vec<u8>]) -> Vec<u8> {
    [b"}(", &entries.concat()[..], b"u"].concat()
}

fn storage(kind: &str, key: &str, count: i64) -> Vec<u8> {
    let kind = format!("ctorch\n{kind}\n").into_bytes();
    [tuple(&[text("storage"), kind, text(key), text("cpu"), int(count), b"N".to_vec()]), b"Q".to_vec()]
        .concat()
}

/// A tensor of `count` F32 numbers on storage "0".
fn view(count: i64, offset: i64, shape: &[i64], strides: &[i64]) -> Vec<u8> {
    on(storage("FloatStorage", "0", count), int(offset), ints(shape), ints(strides))
}

fn on(storage: Vec<u8>, offset: Vec<u8>, shape: Vec<u8>, strides: Vec<u8>) -> Vec<u8> {
    let hooks = b"ccollections\nOrderedDict\n)R".to_vec();
    let arguments = tuple(&[storage, offset, shape, strides, b"\x89".to_vec(), hooks]);
    [b"ctorch._utils\n_rebuild_tensor_v2\n", &arguments[..], b"R"].concat()
}

fn named(name: &str, value: Vec<u8>) -> Vec<u8> {
    [text(name), value].concat()
}

/// A file in the older format.
fn legacy(object: &[u8], storages: &[(&str, &[f32])]) -> Vec<u8> {
    // The bytes that PyTorch writes before the object.
    let mut bytes = STATE_LEGACY[..137].to_vec();
    assert!(bytes.ends_with(b"u."));
    bytes.extend([b"\x80\x02", object, b".\x80\x02]("].concat());
    storages.iter().for_each(|(key, _)| bytes.extend(text(key)));
    bytes.extend(b"e.");
    for (_, numbers) in storages {
        bytes.extend((numbers.len() as u64).to_le_bytes());
        bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    }
    bytes
}

fn zipped(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, bytes) in entries {
        zip.start_file(*name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A file in the newer format.
fn archive(object: &[u8], others: &[(&str, &[u8])]) -> Vec<u8> {
    let object = [b"\x80\x02", object, b"."].concat();
    zipped(&[&[("archive/data.pkl", &object[..])], others].concat())
}

#[test]
fn pytorchs_own_files_are_read_bit_for_bit() {
    assert_eq!(tensors(STATE_ZIP).unwrap(), state());
    assert_eq!(tensors(STATE_LEGACY).unwrap(), state());
}

#[test]
fn the_state_dict_of_a_checkpoint_is_read() {
    let expected = [tensor("weight", 20, &[1, 2]), tensor("bias", 21, &[1])];
    assert_eq!(tensors(CHECKPOINT_ZIP).unwrap(), expected);
    assert_eq!(tensors(CHECKPOINT_LEGACY).unwrap(), expected);
    let inner = || dict(&[named("a", view(2, 0, &[2], &[1]))]);
    let both = dict(&[named("model", inner()), named("state_dict", inner())]);
    refuse(&legacy(&both, &[("0", &[1.0, 2.0])]), &["under \"model\" and one under \"state_dict\""]);
    // If the dict under this name has no tensors, the tensors at the top level are the state dict.
    let top = dict(&[named("model", dict(&[])), named("a", view(2, 0, &[2], &[1]))]);
    assert_eq!(tensors(&legacy(&top, &[("0", &[1.0, 2.0])])).unwrap()[0].values, [1.0, 2.0]);
}

#[test]
fn no_code_is_run_and_what_would_have_been_is_named() {
    refuse(MODEL, &["needs the global \"torch.nn.modules.linear.Linear\"", "torch.save(model.state_dict()"]);
    let system = b"cos\nsystem\nX\x02\0\0\0ls\x85R";
    let stacked = [&text("builtins")[..], &text("eval"), b"\x93X\x01\0\0\x001\x85R"].concat();
    for form in [|object: &[u8]| legacy(object, &[]), |object: &[u8]| archive(object, &[])] {
        refuse(&form(system), &["needs the global \"os.system\"", "no code of a file is ever run"]);
        refuse(&form(&stacked), &["needs the global \"builtins.eval\""]);
        // The machine refuses the global in any place, even where the object would not be used.
        let inside = dict(&[named("a", view(2, 0, &[2], &[1])), named("b", system.to_vec())]);
        refuse(&form(&inside), &["os.system"]);
    }
    let odd = [b"ca\x1b[31m\0", &[b'x'; 5000][..], b"\ny\n"].concat();
    refuse(&legacy(&odd, &[]), &["\"a\\u{1b}[31m\\u{0}xxx", "xxx...xxx", "(5009 characters)\""]);
    // The opcodes NEWOBJ, INST, OBJ, EXT1, POP and SET.
    for opcode in [0x81, b'i', b'o', 0x82, b'0', 0x8f] {
        let expected = format!("opcode {opcode:#04x} at byte 139");
        refuse(&legacy(&[opcode], &[]), &[&expected]);
    }
}

#[test]
fn what_is_not_a_state_dict_is_refused() {
    let cases: [(Vec<u8>, &str); 9] = [
        (int(1), "holds a number"),
        (view(0, 0, &[0], &[1]), "holds a tensor"),
        (dict(&[]), "the first keys are []"),
        (dict(&[named("epoch", int(1)), named("a\nb", int(2))]), "[\"epoch\", \"a\\nb\"]"),
        (dict(&[[int(1), view(0, 0, &[0], &[1])].concat()]), "a tensor under a number"),
        (dict(&[named("a", view(0, 0, &[0], &[1])), named("a", view(0, 0, &[0], &[1]))]), "twice"),
        (b"}X\x01\0\0\0a)R".to_vec(), "a function with arguments"),
        (b"})b".to_vec(), ""),
        (b"(}".to_vec(), "the first keys"),
    ];
    for (object, expected) in cases {
        let empty: &[f32] = &[];
        let stored = if object.windows(7).any(|run| run == b"storage") { &[("0", empty)][..] } else { &[] };
        refuse(&legacy(&object, stored), &[expected]);
    }
}

/// Python 2 wrote text as bytes, and an OrderedDict as a list of pairs.
#[test]
fn python_2s_way_is_read() {
    let pairs = [&b"ccollections\nOrderedDict\n](](U\x01a"[..], &view(2, 0, &[2], &[1]), b"ee\x85R"].concat();
    assert_eq!(tensors(&legacy(&pairs, &[("0", &[1.0, 2.0])])).unwrap()[0].name, "a");
    for broken in [&b"]\x85R"[..], b"](Nee\x85R", b"](](Nee\x85R", b"N\x85R"] {
        message(&legacy(&[b"ccollections\nOrderedDict\n", broken].concat(), &[]));
    }
    // The same long list is used many times: the work is bounded and not quadratic.
    let mut object = [b"](", &b"](NNe".repeat(20_000)[..], b"eq\0"].concat();
    object.extend(b"ccollections\nOrderedDict\nh\0\x85R".repeat(1000));
    refuse(&legacy(&object, &[]), &["more than 262144 steps"]);
}

#[test]
fn any_strides_without_overlap_are_gathered() {
    let numbers: Vec<f32> = (0..24).map(|i| i as f32).collect();
    let read = |offset, shape: &[i64], strides: &[i64]| {
        let object = dict(&[named("a", view(24, offset, shape, strides))]);
        tensors(&legacy(&object, &[("0", &numbers)])).map(|tensors| tensors[0].values.clone())
    };
    assert_eq!(read(0, &[2, 3], &[3, 1]).unwrap(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    assert_eq!(read(2, &[3, 2], &[1, 3]).unwrap(), [2.0, 5.0, 3.0, 6.0, 4.0, 7.0]);
    assert_eq!(read(3, &[2, 2], &[10, 5]).unwrap(), [3.0, 8.0, 13.0, 18.0]);
    assert_eq!(read(23, &[], &[]).unwrap(), [23.0]);
    assert_eq!(read(23, &[1, 1], &[i64::MAX, 0]).unwrap(), [23.0]);
    assert_eq!(read(22, &[2, 1], &[1, i64::MAX]).unwrap(), [22.0, 23.0]);
    assert_eq!(read(1, &[2, 1, 2], &[4, i64::MAX, 2]).unwrap(), [1.0, 3.0, 5.0, 7.0]);
    assert_eq!(read(24, &[0, 5], &[5, 1]).unwrap(), [0.0; 0]);
    for (offset, shape, strides, expected) in [
        (0, &[25][..], &[1][..], "outside of its storage of 24"),
        (1, &[24], &[1], "outside"),
        (25, &[0], &[1], "outside"),
        (24, &[], &[], "outside"),
        (i64::MAX, &[2], &[1], "outside"),
        (0, &[i64::MAX], &[1], "outside"),
        (0, &[2], &[i64::MAX], "outside"),
        (0, &[3, 3], &[i64::MAX, 1], "outside"),
        (0, &[i64::MAX, i64::MAX], &[1, 1], "outside"),
        (0, &[i64::MAX, i64::MAX, 0], &[1, 1, 1], "outside"),
        (0, &[1 << 32, 1 << 32], &[1 << 32, 1], "outside"),
        (0, &[24], &[0], "overlap"),
        (0, &[4, 4], &[2, 1], "overlap"),
        (0, &[2, 2, 2], &[3, 2, 1], "overlap"),
        (-1, &[2], &[1], "offset is -1"),
        (0, &[-2], &[1], "offset is -2"),
        (0, &[2], &[-1], "offset is -1"),
        (0, &[2, 2], &[1], "2 dimensions has 1 strides"),
        (0, &[1; 9], &[1; 9], "9 dimensions, expected at most 8"),
    ] {
        let problem = read(offset, shape, strides).unwrap_err();
        assert!(problem.contains(expected), "{shape:?} {strides:?} {offset}: {problem}");
    }
}

/// The file that `torch.save` writes for a tensor with PyTorch's negative bit, which
/// `torch._neg_view` sets.
#[test]
fn numbers_that_count_with_the_other_sign_are_refused() {
    let read = |more: &[u8]| {
        let plain = view(2, 0, &[2], &[1]);
        let cut = plain.strip_suffix(b"tR").unwrap();
        let object = dict(&[named("a", [cut, more, b"tR"].concat())]);
        tensors(&legacy(&object, &[("0", &[1.0, 2.0])]))
    };
    let negated = dict(&[named("neg", b"\x88".to_vec())]);
    assert!(read(&negated).unwrap_err().contains("negated"));
    for nothing in [&b"}"[..], b"N", b""] {
        assert_eq!(read(nothing).unwrap()[0].values, [1.0, 2.0]);
    }
}

#[test]
fn storages_that_are_not_what_the_pickle_says_are_refused() {
    let one = |count| dict(&[named("a", view(count, 0, &[2], &[1]))]);
    let (good, raw) = ([1.0, 2.0], [0; 8]);
    assert_eq!(tensors(&archive(&one(2), &[("archive/data/0", &raw)])).unwrap()[0].values, [0.0; 2]);
    refuse(&archive(&one(2), &[]), &["no entry \"archive/data/0\""]);
    refuse(&archive(&one(3), &[("archive/data/0", &raw)]), &["of 8 bytes, expected 3 numbers of 4 bytes"]);
    refuse(&archive(&one(i64::MAX), &[("archive/data/0", &raw)]), &["expected 9223372036854775807 numbers"]);
    refuse(&legacy(&one(3), &[("0", &good)]), &["has 2 numbers, its pickle says 3"]);
    refuse(&legacy(&one(2), &[]), &["lies on storage \"0\", which the file does not have"]);
    refuse(&legacy(&one(2), &[("1", &good)]), &["a storage that no tensor is on"]);
    for count in [1 << 62, i64::MAX] {
        let mut bytes = legacy(&one(count), &[("0", &[])]);
        let at = bytes.len() - 8;
        bytes[at..].copy_from_slice(&count.to_le_bytes());
        refuse(&bytes, &["truncated: it ends in storage \"0\""]);
    }
    // One storage with two types.
    let as_type = |kind| on(storage(kind, "0", 2), int(0), ints(&[2]), ints(&[1]));
    let two = dict(&[named("a", as_type("FloatStorage")), named("b", as_type("IntStorage"))]);
    refuse(&legacy(&two, &[("0", &good)]), &["has two types or lengths"]);
    // The reader does not keep integers, but they must lie inside their storage too.
    let whole = on(storage("IntStorage", "1", 2), int(0), ints(&[3]), ints(&[1]));
    let two = dict(&[named("a", as_type("FloatStorage")), named("b", whole)]);
    refuse(&legacy(&two, &[("0", &good), ("1", &good)]), &["tensor \"b\"", "outside"]);
    // A part of a storage in the format of early versions; a module's source; an unknown type.
    let kind = || b"ctorch\nFloatStorage\n".to_vec();
    let part = tuple(&[text("storage"), kind(), text("0"), text("cpu"), int(2), ints(&[1, 0, 2])]);
    refuse(&legacy(&[&part[..], b"Q"].concat(), &[]), &["early versions of PyTorch"]);
    let module = tuple(&[text("module"), kind(), text("0"), text("cpu"), int(2)]);
    refuse(&legacy(&[&module[..], b"Q"].concat(), &[]), &["other than a storage"]);
    refuse(&legacy(&storage("ComplexFloatStorage", "0", 2), &[]), &["\"torch.ComplexFloatStorage\""]);
}

#[test]
fn other_archives_are_named() {
    refuse(&zipped(&[("a.npy", b""), ("b.npy", b"")]), &["NumPy arrays (.npz)"]);
    refuse(&zipped(&[("config.json", b""), ("model.weights.h5", b"")]), &["begins with \"config.json\""]);
    refuse(&zipped(&[]), &[]);
    refuse(b"PK\x03\x04", &["damaged or not complete"]);
    refuse(&zipped(&[("data.pkl", b"")]), &["begins with \"data.pkl\"", "in a folder"]);
    for part in ["archive/constants.pkl", "archive/code/__torch__.py"] {
        refuse(&archive(&dict(&[]), &[(part, b"")]), &["TorchScript", "model.state_dict()"]);
    }
    refuse(&archive(&dict(&[]), &[("archive/byteorder", b"big")]), &["byte order \"big\""]);
    let many: Vec<String> = (0..=MAX_ENTRIES).map(|i| i.to_string()).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|name| (name.as_str(), &b""[..])).collect();
    refuse(&zipped(&many), &["10001 entries, expected at most 10000"]);
}

#[test]
fn entries_that_are_not_plain_parts_of_the_file_are_refused() {
    let object = dict(&[named("a", view(2, 0, &[2], &[1]))]);
    let good = archive(&object, &[("archive/data/0", &[7; 8])]);
    let numbers = good.windows(8).position(|run| run == [7; 8]).unwrap();
    let mut damaged = good.clone();
    damaged[numbers] ^= 1;
    refuse(&damaged, &["\"archive/data/0\"", "checksum"]);
    // In the directory, both entries claim to be compressed, encrypted or 4 GB long.
    for (field, bytes) in [(10, &[8, 0][..]), (10, &[99, 0]), (8, &[1]), (20, &[0xfe; 8]), (24, &[0xfe; 4])] {
        let mut changed = good.clone();
        for at in 0..good.len() - 4 {
            if good[at..].starts_with(b"PK\x01\x02") {
                changed[at + field..][..bytes.len()].copy_from_slice(bytes);
            }
        }
        assert_ne!(changed, good);
        refuse(&changed, &["archive/data.pkl"]);
    }
}

#[test]
fn nesting_and_sharing_cost_no_more_than_their_bytes() {
    let deep = 100_000;
    // Nested lists, nested tuples, repeated marks.
    let lists = ["]".repeat(deep), "a".repeat(deep - 1)].concat().into_bytes();
    refuse(&legacy(&lists, &[]), &["holds a list"]);
    refuse(&legacy(&[b")", &vec![0x85; deep][..]].concat(), &[]), &["holds a tuple"]);
    refuse(&legacy(&vec![b'('; deep], &[]), &["a value is missing"]);
    refuse(&legacy(&vec![b']'; 1 << 18], &[]), &["steps, a state dict far fewer"]);
    // Each list contains the previous list ten times.
    let mut laughs = b"]q\0".to_vec();
    for i in 0..200u8 {
        laughs.extend(b"](");
        laughs.extend([b'h', i].repeat(10));
        laughs.extend([b'e', b'q', i + 1]);
    }
    refuse(&legacy(&laughs, &[]), &["holds a list"]);
    // A dict that is its own state dict, and a list that contains itself.
    refuse(&legacy(b"}q\0X\x0a\0\0\0state_dicth\0s", &[]), &["first keys are [\"state_dict\"]"]);
    refuse(&legacy(b"]q\0h\0a", &[]), &["holds a list"]);
    // The same numbers have many names.
    let numbers = vec![0.5; 10_000];
    let mut object = [&b"}("[..], &named("a", view(10_000, 0, &[10_000], &[1])), b"q\0"].concat();
    for i in 0..10_000 {
        object.extend([&text(&i.to_string())[..], b"h\0"].concat());
    }
    object.extend(b"u");
    refuse(&legacy(&object, &[("0", &numbers)]), &["shares numbers with too many others"]);
    // Tied weights appear twice.
    let object =
        [&b"}("[..], &named("a", view(10_000, 0, &[10_000], &[1])), b"q\0", &text("b"), b"h\0u"].concat();
    let tied = tensors(&legacy(&object, &[("0", &numbers)])).unwrap();
    assert!(tied.len() == 2 && tied[0].values == tied[1].values);
    // A very large memo index.
    refuse(&legacy(b"]r\xff\xff\xff\xffj\xff\xff\xff\xff", &[]), &["holds a list"]);
    refuse(&legacy(b"h\x01", &[]), &["refers to what it has not defined"]);
}

#[test]
fn lengths_beyond_the_file_are_refused() {
    for opcode in [b'X', b'T', b'B', 0x8b] {
        refuse(&legacy(&[opcode, 0xff, 0xff, 0xff, 0xff], &[]), &["truncated", "needs 4294967295 bytes"]);
    }
    for opcode in [0x8d, 0x8e] {
        let object = [&[opcode][..], &[0xff; 8]].concat();
        refuse(&legacy(&object, &[]), &["truncated", "needs 18446744073709551615 bytes"]);
    }
    refuse(&legacy(b"cos", &[]), &["truncated"]);
    refuse(&legacy(&int(i64::MIN), &[]), &["holds a number"]);
    refuse(&legacy(b"\x8b\x09\0\0\x00123456789", &[]), &["holds a number"]);
}

#[test]
fn the_older_forms_head_is_checked() {
    let with = |from: &[u8], to: &[u8]| {
        let at = STATE_LEGACY.windows(from.len()).position(|run| run == from).unwrap();
        [&STATE_LEGACY[..at], to, &STATE_LEGACY[at + from.len()..]].concat()
    };
    refuse(&with(b"\x19.", b"\x18."), &["torch.save did not write"]);
    refuse(&with(b"M\xe9\x03", b"M\xea\x03"), &["1002", "expected 1001"]);
    refuse(&with(b"\x88", b"\x89"), &["little-endian"]);
}

#[test]
fn a_file_that_is_cut_anywhere_is_refused() {
    for file in [STATE_ZIP, STATE_LEGACY, CHECKPOINT_ZIP, CHECKPOINT_LEGACY] {
        for length in 0..file.len() {
            assert!(tensors(&file[..length]).is_err(), "{length} of {}", file.len());
        }
    }
}

#[test]
fn a_file_with_any_bit_flipped_is_refused_or_of_the_same_size() {
    for file in [STATE_ZIP, STATE_LEGACY, CHECKPOINT_ZIP, CHECKPOINT_LEGACY] {
        let expected = tensors(file).unwrap();
        let mut bytes = file.to_vec();
        for bit in 0..8 * bytes.len() {
            bytes[bit / 8] ^= 1 << (bit % 8);
            if let Ok(read) = tensors(&bytes) {
                let count =
                    |tensors: &[Tensor]| tensors.iter().map(|tensor| tensor.values.len()).sum::<usize>();
                assert!(count(&read) <= count(&expected), "bit {bit}");
                // An archive has a checksum of all data that the reader uses.
                assert!(file[0] != b'P' || read == expected, "bit {bit}");
            }
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// The file is read or refused, whatever bytes follow.
    #[test]
    fn anything_after_a_valid_beginning_is_refused_or_read(
        part in 0.0..1.0,
        rest in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        for file in [STATE_ZIP, STATE_LEGACY, CHECKPOINT_ZIP, CHECKPOINT_LEGACY] {
            let start = (part * file.len() as f64) as usize;
            let _ = tensors(&[&file[..start], &rest].concat());
            let end = file.len().min(start + rest.len());
            let _ = tensors(&[&file[..start], &rest[..end - start], &file[end..]].concat());
        }
    }

    /// Programs of the machine's opcodes. Most of these opcodes have an effect.
    #[test]
    fn any_program_is_refused_or_read(
        opcodes in proptest::collection::vec(
            proptest::sample::select(&b"(N\x88\x89K\x01U\x01aX\x01\0\0\0b)]}t\x85\x86\x87aesuq\0h\0\x94RbQ"[..]),
            0..200,
        ),
    ) {
        let _ = tensors(&legacy(&opcodes, &[]));
        let functions = b"ccollections\nOrderedDict\nq\0ctorch._utils\n_rebuild_tensor_v2\nq\x01";
        let _ = tensors(&legacy(&[&functions[..], &opcodes].concat(), &[]));
    }
}
