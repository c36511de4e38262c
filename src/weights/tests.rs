use super::*;
use ::safetensors::Dtype;

/// Name, dtype and shape of each tensor of a file.
type Tensors = Vec<(String, &'static str, Vec<usize>)>;

/// Makes a file whose header is the right one, changed by `edit`, followed by `data(size)` for the
/// size that the header announces.
fn file(edit: impl Fn(&mut Tensors), data: impl Fn(usize) -> Vec<u8>) -> Vec<u8> {
    let mut tensors: Tensors =
        expected_tensors(&Network::googlenet()).into_iter().map(|(n, s)| (n, "F32", s)).collect();
    edit(&mut tensors);
    let mut offset = 0;
    let rows: Vec<String> = tensors
        .iter()
        .map(|(name, dtype, shape)| {
            let start = offset;
            offset += shape.iter().product::<usize>() * if *dtype == "F64" { 8 } else { 4 };
            format!(
                "\"{name}\":{{\"dtype\":\"{dtype}\",\"shape\":{shape:?},\"data_offsets\":[{start},{offset}]}}"
            )
        })
        .collect();
    let header = format!("{{{}}}", rows.join(","));
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.bytes());
    bytes.extend(data(offset));
    bytes
}

fn message(bytes: &[u8]) -> String {
    Weights::from_bytes("w", bytes).expect_err("accepted").to_string()
}

/// The data of a file of which only the header is read.
fn zeros(size: usize) -> Vec<u8> {
    vec![0; size]
}

#[test]
fn a_right_file_gives_each_layer_its_values() {
    let bytes = file(|_| {}, |size| (0..size / 4).flat_map(|i| (i as f32).to_le_bytes()).collect());
    let weights = Weights::from_bytes("w", &bytes).unwrap();
    // The tensors are in the order of the table: 64 biases, then 64 x 3 x 7 x 7 weights.
    assert_eq!(weights.bias("conv1/7x7_s2"), (0..64).map(|i| i as f32).collect::<Vec<_>>());
    assert_eq!(weights.weight("conv1/7x7_s2").len(), 64 * 3 * 7 * 7);
    assert_eq!(weights.weight("conv1/7x7_s2")[0], 64.0);
    assert_eq!(*weights.weight("loss3/classifier").last().unwrap(), 6_998_551.0);
}

#[test]
fn what_is_not_a_safetensors_file_is_refused_before_memory_is_taken() {
    assert!(message(b"").contains("an empty file; expected a safetensors file, a caffemodel"));
    assert!(message(&[0xff; 100]).contains("not a weights file"));
    assert!(message(b"\0\0\xff\xff\0\0\0\0{}").contains("claim a header of 4294901760 bytes"));
    assert!(message(&[200, 0, 0, 0, 0, 0, 0, 0, b'{']).contains("truncated: 9 bytes"));
    assert!(message(b"\x04\0\0\0\0\0\0\0{ope").contains("its header is damaged"));
    // Its header claims 4 TB.
    let huge = "{\"a\":{\"dtype\":\"F32\",\"shape\":[1000000000000],\"data_offsets\":[0,4000000000000]}}";
    let bytes = [&(huge.len() as u64).to_le_bytes()[..], huge.as_bytes()].concat();
    assert!(message(&bytes).contains("truncated"), "{}", message(&bytes));
    // A stream that is announced with 4 TB.
    let error = Weights::from_reader("w", 4_000_000_000_000, &bytes[..], None).unwrap_err().to_string();
    assert!(error.contains("not a GoogLeNet: 4000000000000 bytes"), "{error}");
}

#[test]
fn a_tensor_that_is_missing_unknown_or_of_another_kind_is_named() {
    type Edit = fn(&mut Tensors);
    let cases: [(Edit, &str); 5] = [
        (|t| drop(t.remove(0)), "has no tensor conv1/7x7_s2.bias"),
        (|t| drop(t.drain(1..)), "conv2/3x3_reduce.weight and 112 more"),
        (|t| t.push(("extra".into(), "F32", vec![1])), "tensor extra unknown to this network"),
        (|t| t[1].1 = "I32", "tensor conv1/7x7_s2.weight has dtype I32, expected F32, F16, BF16 or F64"),
        (
            |t| t[1].2 = vec![64, 3, 49],
            "tensor conv1/7x7_s2.weight has shape [64, 3, 49], expected [64, 3, 7, 7]",
        ),
    ];
    for (edit, expected) in cases {
        let message = message(&file(edit, zeros));
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn a_file_of_another_length_than_its_header_says_is_refused() {
    let other = "its header describes another number of them";
    assert!(message(&file(|_| {}, |_| Vec::new())).contains(other));
    assert!(message(&file(|_| {}, |size| vec![0; size - 1])).contains(other));
    assert!(message(&file(|_| {}, |size| vec![0; size + 1])).contains(other));
    // The length is right, but the header lacks one tensor of 64 biases.
    let one_less = file(|t| drop(t.remove(0)), |size| vec![0; size + 4 * 64]);
    assert!(message(&one_less).contains(other), "{}", message(&one_less));
}

#[test]
fn a_classifier_has_any_number_of_classes_in_its_bounds() {
    let classifier = |classes: usize| {
        file(
            |tensors| {
                for (name, _, shape) in tensors.iter_mut().filter(|(name, ..)| name.starts_with("loss3/")) {
                    *shape = if name.ends_with("bias") { vec![classes] } else { vec![classes, 1024] };
                }
            },
            zeros,
        )
    };
    for classes in [1, 17, 1001] {
        let weights = Weights::from_bytes("w", &classifier(classes)).unwrap();
        assert_eq!((weights.network().classes(), weights.name()), (classes, "BVLC GoogLeNet"));
        assert_eq!(weights.bias("loss3/classifier").len(), classes);
    }
    assert!(
        message(&classifier(0)).contains("loss3/classifier.weight is for 0 classes, expected 1 to 32768")
    );
    let two = |tensors: &mut Tensors| {
        tensors
            .iter_mut()
            .filter(|(name, ..)| name == "loss3/classifier.weight")
            .for_each(|t| t.2 = vec![2, 1024]);
    };
    let expected = "tensor loss3/classifier.bias has shape [1000], expected [2]";
    assert!(message(&file(two, zeros)).contains(expected), "{}", message(&file(two, zeros)));
}

#[test]
fn torchvisions_table_is_known_by_its_names() {
    let torchvision = Network::torchvision(3);
    let tensors = || expected_tensors(&torchvision).into_iter().map(|(n, s)| (n, "F32", s)).collect();
    let weights = Weights::from_bytes("w", &file(|t| *t = tensors(), zeros)).unwrap();
    assert_eq!((weights.network().classes(), weights.name()), (3, "torchvision googlenet"));
    assert_eq!(weights.bias("inception4e.branch3.1").len(), 128);
}

#[test]
fn a_stream_that_ends_early_is_refused() {
    let bytes = file(|_| {}, zeros);
    let error = Weights::from_reader("w", bytes.len() as u64, &bytes[..bytes.len() - 1], None).unwrap_err();
    assert!(error.to_string().contains("ended before"), "{error}");
}

#[test]
fn a_value_that_is_not_finite_is_named() {
    for (value, shown) in [(f32::NAN, "NaN"), (f32::NEG_INFINITY, "-inf")] {
        for at in [0, 64 + 5, 6_998_551] {
            let mut bytes = file(|_| {}, zeros);
            let start = bytes.len() - 4 * 6_998_552 + 4 * at;
            bytes[start..start + 4].copy_from_slice(&value.to_le_bytes());
            let name = match at {
                0 => "conv1/7x7_s2.bias holds {} at position 0",
                69 => "conv1/7x7_s2.weight holds {} at position 5",
                _ => "loss3/classifier.weight holds {} at position 1023999",
            };
            let message = message(&bytes);
            assert!(message.contains(&name.replace("{}", shown)), "{message}");
        }
    }
}

#[test]
fn a_directory_and_a_missing_file_are_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let error = Weights::load(directory.path()).unwrap_err().to_string();
    assert!(
        error.contains("directory") && error.contains(&directory.path().display().to_string()),
        "{error}"
    );
    let missing = directory.path().join("missing");
    assert!(Weights::load(&missing).unwrap_err().to_string().starts_with("cannot read"));
}

/// A file with the tensors of a seeded network at half width, of this number type, under the names
/// that `rename` returns.
fn narrow(dtype: Dtype, rename: impl Fn(&str) -> String, metadata: &[(&str, &str)]) -> Vec<u8> {
    let weights = Weights::seeded_for(Network::torchvision_half(3), 1);
    let encode = |value: &f32| match dtype {
        Dtype::F16 => encode::half_bits(*value).to_le_bytes().to_vec(),
        Dtype::BF16 => value.to_le_bytes()[2..].to_vec(),
        Dtype::F64 => f64::from(*value).to_le_bytes().to_vec(),
        _ => value.to_le_bytes().to_vec(),
    };
    let tensors: Vec<_> = weights
        .tensors()
        .map(|(name, shape, values)| {
            (rename(&name), shape, values.iter().flat_map(encode).collect::<Vec<u8>>())
        })
        .collect();
    let views = tensors.iter().map(|(name, shape, bytes)| {
        (name, ::safetensors::tensor::TensorView::new(dtype, shape.clone(), bytes).unwrap())
    });
    let metadata = metadata.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    ::safetensors::serialize(views, Some(metadata)).unwrap()
}

fn same(name: &str) -> String {
    name.to_string()
}

#[test]
fn numbers_of_16_and_64_bits_are_read_and_the_width_is_that_of_the_first_layer() {
    let full = Weights::from_bytes("w", &narrow(Dtype::F32, same, &[])).unwrap();
    assert_eq!(full.name(), "torchvision googlenet at half its width");
    assert!(full.tensors().eq(Weights::seeded_for(Network::torchvision_half(3), 1).tensors()));
    let double = Weights::from_bytes("w", &narrow(Dtype::F64, same, &[])).unwrap();
    assert!(double.tensors().eq(full.tensors()));
    for (dtype, bits) in [(Dtype::F16, 10), (Dtype::BF16, 7)] {
        let weights = Weights::from_bytes("w", &narrow(dtype, same, &[])).unwrap();
        for ((name, _, found), (_, _, exact)) in weights.tensors().zip(full.tensors()) {
            for (found, exact) in found.iter().zip(exact) {
                // Written by truncation, not rounding, and 0 below the smallest normal F16.
                let smallest = 2f32.powi(-14);
                let step = if exact.abs() < smallest { smallest } else { exact.abs() * 2f32.powi(-bits) };
                assert!((found - exact).abs() <= step, "{dtype:?} {name}: {found}, not {exact}");
            }
        }
    }
}

#[test]
fn a_width_that_no_network_has_is_refused() {
    let of_width = |width: usize| {
        let tensors = vec![
            ("conv1.weight".to_string(), vec![width, 3, 7, 7]),
            ("fc.weight".to_string(), vec![3, 1024]),
        ];
        Layout::of(tensors).map(|_| ()).unwrap_err()
    };
    for width in [0, 16, 48, 128, usize::MAX] {
        assert!(of_width(width).contains("expected 64, or half as many"), "{}", of_width(width));
    }
}

/// The prefix in the names of these tensors.
fn prefix(names: &[&str]) -> Prefix {
    Prefix::of(names.iter().copied())
}

#[test]
fn what_wrappers_put_before_names_is_taken_off() {
    let plain = Weights::from_bytes("w", &narrow(Dtype::F32, same, &[])).unwrap();
    for before in ["module.", "model.", "_orig_mod.", "module._orig_mod.", "net.", "backbone.", "a.b.c.", "."]
    {
        let bytes = narrow(Dtype::F32, |name| format!("{before}{name}"), &[]);
        assert!(Weights::from_bytes("w", &bytes).unwrap().tensors().eq(plain.tensors()), "{before}");
    }
    // A new classifier outside of the wrapper.
    let outside = |name: &str| format!("{}{name}", if name.starts_with("fc.") { "" } else { "model." });
    assert!(
        Weights::from_bytes("w", &narrow(Dtype::F32, outside, &[])).unwrap().tensors().eq(plain.tensors())
    );
    let twice = ["fc.weight", "module.fc.weight"].map(|name| (name.to_string(), vec![3, 8]));
    assert!(
        Layout::of([twice[0].clone(), twice[0].clone()].into())
            .is_err_and(|e| e.contains("two tensors of the same"))
    );
    assert_eq!(prefix(&["fc.weight", "module.fc.weight"]), Prefix::default());
    // Only whole parts of a name are a prefix, and only before names of this network.
    assert_eq!(prefix(&["myfc.weight", "module.conv2.weight"]), Prefix::default());
    assert_eq!(prefix(&["b.fc.weight", "a.conv1.weight"]), prefix(&["a.conv1.weight", "b.fc.weight"]));
}

#[test]
fn a_prefix_before_another_network_is_named() {
    let before = |name: &str| format!("net.{}", name.replace("conv2", "conv9"));
    let message = message(&narrow(Dtype::F32, before, &[]));
    for expected in [
        "has no tensors conv2.bias, conv2.weight, but tensors conv9.bias, conv9.weight;",
        "the names in the file begin with \"net.\"",
        "`torch.save(model.net.state_dict(), ",
    ] {
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn what_only_training_uses_is_left_out() {
    let plain = Prefix::default();
    let used = ["conv1.weight", "loss3/classifier.weight", "inception3a.branch1.bn.running_var"];
    assert!(used.iter().all(|name| plain.used_name(name).as_deref() == Some(*name)));
    let unused =
        ["loss1/classifier.weight", "loss2/fc.bias", "aux1.fc1.weight", "conv1.bn.num_batches_tracked"];
    assert!(unused.iter().all(|name| plain.used_name(name).is_none()));
    assert_eq!(prefix(&["module.fc.weight"]).used_name("module.aux2.conv.bn.weight"), None);
    let with_auxiliary = file(|t| t.push(("loss1/fc.weight".into(), "I32", vec![])), zeros);
    assert!(Weights::from_bytes("w", &with_auxiliary).is_ok(), "{}", message(&with_auxiliary));
}

#[test]
fn a_classifier_of_several_layers_is_named() {
    let tensors = vec![
        ("conv1.conv.weight".to_string(), vec![64, 3, 7, 7]),
        ("fc.1.weight".to_string(), vec![3, 1024]),
    ];
    let problem = Layout::of(tensors).map(|_| ()).unwrap_err();
    assert!(problem.contains("`fc` is a Sequential (it has the tensor fc.1.weight)"), "{problem}");
}

#[test]
fn types_that_are_refused_do_not_depend_on_the_order_of_a_hash_table() {
    for _ in 0..8 {
        let all = message(&file(|t| t.iter_mut().for_each(|t| t.1 = "I32"), zeros));
        assert!(all.contains("tensor conv1/7x7_s2.bias has dtype I32"), "{all}");
    }
}

#[test]
fn metadata_has_the_name_the_labels_and_how_pictures_are_prepared() {
    let read = |metadata: &[(&str, &str)]| Weights::from_bytes("w", &narrow(Dtype::F32, same, metadata));
    let weights =
        read(&[("network", "mine"), ("labels", "a\nb, bee\nc"), ("transform_input", "false")]).unwrap();
    assert_eq!((weights.name(), weights.labels().words(1)), ("mine", "b, bee"));
    assert_eq!(weights.network().mean_bgr.map(f32::round), [104.0, 116.0, 124.0]);
    let again: Vec<(&str, String)> = weights.metadata();
    let again: Vec<(&str, &str)> = again.iter().map(|(key, value)| (*key, value.as_str())).collect();
    assert_eq!(again, [("network", "mine"), ("transform_input", "false"), ("labels", "a\nb, bee\nc")]);
    assert_eq!(read(&[]).unwrap().labels().words(2), "class 2");
    let padded = read(&[("resize", "pad")]).unwrap();
    assert_eq!(padded.resize(), Some("pad"));
    assert!(padded.metadata().contains(&("resize", "pad".to_string())));
    // Other programs may mean something else by it.
    assert_eq!(read(&[("resize", "a\nb")]).unwrap().resize(), None);
    let refused = [
        (&[("labels", "a\nb")][..], "has 2 labels in its metadata, expected one for each of 3 classes"),
        (&[("labels", "")], "is empty"),
        (
            &[("transform_input", "maybe")],
            "transform_input \"maybe\" in its metadata, expected true or false",
        ),
        (&[("network", "a\nb")], "not one line of at most 80 bytes"),
    ];
    for (metadata, expected) in refused {
        let error = read(metadata).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn transform_input_is_refused_where_it_can_do_nothing() {
    let read = |bytes: &[u8], asked| {
        Weights::from_reader("w", bytes.len() as u64, bytes, asked).map_err(|error| error.to_string())
    };
    let published = file(|_| {}, zeros);
    assert!(read(&published, Some(true)).unwrap_err().contains("leave that option out"));
    let converted = narrow(Dtype::F32, same, &[("transform_input", "false")]);
    assert!(read(&converted, Some(false)).is_ok());
    assert!(read(&converted, Some(true)).unwrap_err().contains("convert the original file again"));
}

#[cfg(feature = "builtin")]
#[test]
fn the_built_in_network_is_read() {
    let weights = Weights::builtin();
    assert_eq!((weights.name(), weights.network().blobs[1].channels), ("built-in network", 32));
    let labels = weights.labels();
    assert_eq!((labels.words(0), labels.words(1)), ("cat", "dog"));
    assert_eq!(labels.count(), weights.network().classes());
}
