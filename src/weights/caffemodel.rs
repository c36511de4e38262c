//! A reader for `.caffemodel` files: the binary form of `NetParameter` in Caffe's `caffe.proto`.
//!
//! It reads both generations of layers (`V1LayerParameter`, which the published file uses, and
//! `LayerParameter`), both encodings of shapes, and packed or unpacked numbers in single or double
//! precision. It skips the auxiliary classifiers, which are used in training only.

use super::layout::check_classes;
use super::number::Number;
use super::protobuf::{FieldValue, each_integer, fields};
use super::tensor::{Packing, Tensor, count, numbers, squeeze};
use crate::network::{Network, Op};
use crate::text::shown;

/// The classifier's name in the published network. Fine-tuned networks use another name, so that
/// Caffe does not load the old weights.
const CLASSIFIER: &str = "loss3/classifier";

/// Largest number of layers with weights; no GoogLeNet has as many, including training layers.
const MAX_LAYERS: usize = 1000;

/// Largest number of dimensions of a blob. Caffe's limit is 32; GoogLeNet needs 4.
const MAX_DIMENSIONS: usize = 8;

/// A layer with weights in the file.
struct CaffeLayer<'a> {
    name: String,
    fully_connected: bool,
    /// The messages of the first two blobs: weights and biases.
    blobs: [&'a [u8]; 2],
    blob_count: usize,
}

/// Reads the tensors of BVLC GoogLeNet with any number of classes, in the order of the table, each
/// layer's bias before its weight.
///
/// # Errors
/// If the bytes are not a complete caffemodel, or hold another network. The message names the
/// layer, and what was found and expected.
pub(crate) fn tensors(bytes: &[u8]) -> Result<Vec<Tensor>, String> {
    let mut layers = layers(bytes)?;
    name_classifier(&mut layers)?;
    let network = Network::googlenet();
    let mut tensors = Vec::new();
    for layer in &network.layers {
        let Some(mut shape) = network.weight_shape(layer) else {
            continue;
        };
        let at = layers.iter().position(|found| found.name == layer.name);
        let found = layers.swap_remove(at.ok_or_else(|| {
            format!("has no layer {} with weights, expected the layers of GoogLeNet's prototxt", layer.name)
        })?);
        if found.blob_count != 2 {
            return Err(format!(
                "layer {} has {} blobs, expected 2: weights and biases",
                layer.name, found.blob_count
            ));
        }
        let in_layer =
            |part: &'static str| move |problem: String| format!("layer {}, {part}: {problem}", layer.name);
        let weight = CaffeBlob::of(found.blobs[0]).map_err(in_layer("weights"))?;
        let bias = CaffeBlob::of(found.blobs[1]).map_err(in_layer("biases"))?;
        if let (Op::Classifier, Some(&classes)) = (layer.op, squeeze(&weight.shape, 2).first()) {
            check_classes(&layer.name, classes)?;
            shape[0] = classes;
        }
        let bias_shape = vec![shape[0]];
        let values = bias.values(&bias_shape).map_err(in_layer("biases"))?;
        tensors.push(Tensor { name: format!("{}.bias", layer.name), shape: bias_shape, values });
        let values = weight.values(&shape).map_err(in_layer("weights"))?;
        tensors.push(Tensor { name: format!("{}.weight", layer.name), shape, values });
    }
    match layers.first() {
        None => Ok(tensors),
        Some(extra) => Err(format!("layer {} has weights and is unknown to GoogLeNet", shown(&extra.name))),
    }
}

/// Reads the layers with weights, except those of the auxiliary classifiers.
fn layers(bytes: &[u8]) -> Result<Vec<CaffeLayer<'_>>, String> {
    let mut layers: Vec<CaffeLayer> = Vec::new();
    for field in fields(bytes) {
        // `layers` has its name, type and blobs in the fields 4, 5 and 6; `layer` has them in 1, 2
        // and 7.
        let (message, [name, kind, blobs]) = match field? {
            (2, FieldValue::Bytes(message)) => (message, [4, 5, 6]),
            (100, FieldValue::Bytes(message)) => (message, [1, 2, 7]),
            _ => continue,
        };
        let mut layer =
            CaffeLayer { name: String::new(), fully_connected: false, blobs: [&[]; 2], blob_count: 0 };
        for field in fields(message) {
            match field.map_err(|problem| format!("layer \"{}\": {problem}", shown(&layer.name)))? {
                (n, FieldValue::Bytes(text)) if n == name => {
                    layer.name = String::from_utf8_lossy(&text[..text.len().min(256)]).into_owned();
                }
                (n, FieldValue::Varint(number)) if n == kind => layer.fully_connected = number == 14,
                (n, FieldValue::Bytes(text)) if n == kind => layer.fully_connected = text == b"InnerProduct",
                (n, FieldValue::Bytes(blob)) if n == blobs => {
                    if let Some(slot) = layer.blobs.get_mut(layer.blob_count) {
                        *slot = blob;
                    }
                    layer.blob_count += 1;
                }
                _ => {}
            }
        }
        let auxiliary = layer.name.starts_with("loss1/") || layer.name.starts_with("loss2/");
        if layer.blob_count == 0 || auxiliary {
            continue;
        }
        if layers.iter().any(|other| other.name == layer.name) {
            return Err(format!("has two layers {}", shown(&layer.name)));
        }
        if layers.len() == MAX_LAYERS {
            return Err(format!("has more than {MAX_LAYERS} layers with weights, expected GoogLeNet's 58"));
        }
        layers.push(layer);
    }
    Ok(layers)
}

/// Renames the one fully connected layer to the classifier's name in the table.
fn name_classifier(layers: &mut [CaffeLayer]) -> Result<(), String> {
    let mut connected: Vec<_> = layers.iter_mut().filter(|layer| layer.fully_connected).collect();
    match &mut connected[..] {
        [] => {}
        [one] => one.name = CLASSIFIER.to_string(),
        several => {
            let names: Vec<_> = several.iter().take(3).map(|layer| shown(&layer.name)).collect();
            return Err(format!(
                "has {} fully connected layers ({}) besides the auxiliary classifiers, expected one",
                several.len(),
                names.join(", ")
            ));
        }
    }
    Ok(())
}

/// A blob whose numbers have not been read.
struct CaffeBlob<'a> {
    message: &'a [u8],
    shape: Vec<usize>,
}

impl<'a> CaffeBlob<'a> {
    fn of(message: &'a [u8]) -> Result<CaffeBlob<'a>, String> {
        let mut shape = Vec::new();
        // `num`, `channels`, `height` and `width`, which older files have in place of `shape`.
        let mut legacy = [None; 4];
        // A size beyond `usize` cannot match the number of values, so any too large size will do.
        let size = |size| usize::try_from(size).unwrap_or(usize::MAX);
        for field in fields(message) {
            match field? {
                (n @ 1..=4, FieldValue::Varint(dimension)) => legacy[n as usize - 1] = Some(size(dimension)),
                (7, FieldValue::Bytes(dimensions)) => {
                    for field in fields(dimensions) {
                        if let (1, value) = field? {
                            // One dimension more than the limit suffices to refuse the blob.
                            each_integer(value, |dimension| {
                                if shape.len() <= MAX_DIMENSIONS {
                                    shape.push(size(dimension));
                                }
                            })?;
                        }
                    }
                }
                _ => {}
            }
        }
        if shape.is_empty() && legacy.iter().any(Option::is_some) {
            shape = legacy.map(|dimension| dimension.unwrap_or(0)).to_vec();
        }
        Ok(CaffeBlob { message, shape })
    }

    /// Reads the numbers, if the blob has this shape and the right number of values. If there are
    /// numbers in double precision, they are used, as in Caffe, and rounded to the nearest `f32`.
    fn values(&self, shape: &[usize]) -> Result<Vec<f32>, String> {
        if squeeze(&self.shape, shape.len()) != shape {
            return Err(format!("has shape {:?}, expected {shape:?}", self.shape));
        }
        // `double_data` and `data`.
        let double = [(8, Packing::Bytes)];
        if count(self.message, &double, Number::F64)? > 0 {
            return numbers(self.message, &double, Number::F64, shape);
        }
        numbers(self.message, &[(5, Packing::Bytes)], Number::F32, shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::encode::{Caffe, Layer, Message, PUBLISHED, layers};
    use crate::weights::tensor::tests::{expected, mangle, structure};
    use proptest::prelude::*;

    fn message(bytes: &[u8]) -> String {
        tensors(bytes).expect_err("accepted")
    }

    const NEW: Caffe = Caffe { old_layers: false, legacy_shapes: false, packed: true, double: false };

    #[test]
    fn every_way_to_write_a_network_is_read_bit_for_bit() {
        let layers = layers(1000);
        let expected = expected(&layers);
        let styles = [
            PUBLISHED,
            NEW,
            Caffe { packed: false, legacy_shapes: false, ..PUBLISHED },
            Caffe { double: true, legacy_shapes: true, ..NEW },
            Caffe { double: true, packed: false, ..NEW },
        ];
        for style in styles {
            assert!(tensors(&style.file(&layers)).unwrap() == expected, "{style:?}");
        }
    }

    #[test]
    fn a_network_of_any_number_of_classes_is_read_whatever_its_classifier_is_called() {
        for (classes, name) in [(1, "loss3/classifier"), (102, "loss3/classifier_flowers"), (1500, "cars")] {
            let mut layers = layers(classes);
            let expected = expected(&layers);
            layers.last_mut().unwrap().name = name.to_string();
            for style in [PUBLISHED, NEW] {
                assert!(tensors(&style.file(&layers)).unwrap() == expected, "{name} {style:?}");
            }
        }
    }

    #[test]
    fn auxiliary_classifiers_are_left_out_and_layers_may_come_in_any_order() {
        let layers = layers(10);
        for style in [PUBLISHED, NEW] {
            let mut all: Vec<Layer> = layers.iter().rev().cloned().collect();
            for name in ["loss1/conv", "loss1/fc", "loss2/classifier_cars"] {
                all.insert(3, Layer { name: name.to_string(), ..layers[57].clone() });
            }
            assert!(tensors(&style.file(&all)).unwrap() == expected(&layers), "{style:?}");
        }
    }

    #[test]
    fn numbers_in_double_precision_are_rounded_to_the_nearest() {
        let blob = Message::default().packed(1, &[]).message(7, &Message::default().packed(1, &[2]));
        // Halfway between two neighbouring `f32`, and slightly above.
        let (half, more) = (1.0 + f64::from(f32::EPSILON) / 2.0, 1.0 + f64::from(f32::EPSILON) * 0.51);
        let blob = blob.fixed32(5, 7.0).fixed64(8, half).fixed64(8, more);
        assert_eq!(CaffeBlob::of(&blob.0).unwrap().values(&[2]).unwrap(), [1.0, 1.0 + f32::EPSILON]);
    }

    #[test]
    fn another_network_is_refused_by_the_layer_that_differs() {
        let layers = layers(2);
        let of = |edit: &dyn Fn(&mut Vec<Layer>)| {
            let mut layers = layers.clone();
            edit(&mut layers);
            message(&PUBLISHED.file(&layers))
        };
        let without = of(&|layers| layers.retain(|layer| layer.name != "inception_4a/3x3_reduce"));
        assert!(without.contains("has no layer inception_4a/3x3_reduce with weights"), "{without}");
        let extra = of(&|layers| layers.push(Layer { name: "other".into(), ..layers[3].clone() }));
        assert!(extra.contains("layer other has weights and is unknown to GoogLeNet"), "{extra}");
        let twice = of(&|layers| layers.push(layers[3].clone()));
        assert!(twice.contains("has two layers inception_3a/3x3_reduce"), "{twice}");
        let heads = of(&|layers| layers.push(Layer { name: "mine".into(), ..layers[57].clone() }));
        assert!(heads.contains("has 2 fully connected layers (loss3/classifier, mine)"), "{heads}");
        let shape = of(&|layers| layers[0].shape = vec![64, 3, 49]);
        assert!(
            shape.contains("layer conv1/7x7_s2, weights: has shape [1, 64, 3, 49], expected [64, 3, 7, 7]"),
            "{shape}"
        );
        let few = of(&|layers| layers[1].bias.truncate(63));
        assert!(
            few.contains(
                "layer conv2/3x3_reduce, biases: holds 63 numbers, expected as many as its shape [64]"
            ),
            "{few}"
        );
        let none = of(&|layers| layers.clear());
        assert!(none.contains("has no layer conv1/7x7_s2"), "{none}");
        assert!(message(b"").contains("has no layer conv1/7x7_s2"));
    }

    #[test]
    fn a_layer_has_weights_and_biases_and_whole_numbers() {
        let first = &layers(2)[0];
        let blobs = [PUBLISHED.blob(&first.shape, &first.weight), PUBLISHED.blob(&[64], &first.bias)];
        let of =
            |blobs: &[Message]| message(&PUBLISHED.add_with(Message::default(), &first.name, false, blobs).0);
        assert!(of(&blobs[..1]).contains("layer conv1/7x7_s2 has 1 blobs, expected 2"));
        assert!(of(&[&blobs[..], &blobs[..1]].concat()).contains("has 3 blobs, expected 2"));
        // 64 numbers and one byte more; no shape; more dimensions than the limit.
        let bytes = Message::default().message(7, &Message::default().packed(1, &[64])).bytes(5, [0; 257]);
        assert!(of(&[blobs[0].clone(), bytes]).contains("biases: 257 bytes of numbers of 4 bytes each"));
        let bytes = Message::default().bytes(5, [0; 256]);
        assert!(of(&[blobs[0].clone(), bytes]).contains("biases: has shape [], expected [64]"));
        let bytes = Message::default().message(7, &Message::default().packed(1, &[1; 100_000]));
        assert!(
            of(&[blobs[0].clone(), bytes])
                .contains("biases: has shape [1, 1, 1, 1, 1, 1, 1, 1, 1], expected")
        );
    }

    #[test]
    fn a_length_of_2_to_the_60_is_refused_wherever_it_is_claimed() {
        const HUGE: u64 = 1 << 60;
        let in_blob = |blob: Message| {
            let blobs = [PUBLISHED.blob(&[64], &[0.0; 64]), blob];
            PUBLISHED.add_with(Message::default(), "conv1/7x7_s2", false, &blobs).0
        };
        let claim = |field| Message::default().claim(field, HUGE);
        let cases = [
            ("a layer", claim(2).0),
            ("a new layer", claim(100).0),
            ("a name", Message::default().message(2, &claim(4)).0),
            ("a blob", Message::default().message(2, &claim(6)).0),
            ("numbers", in_blob(claim(5))),
            ("doubles", in_blob(claim(8))),
            ("a shape", in_blob(claim(7))),
            ("dimensions", in_blob(Message::default().message(7, &claim(1)))),
        ];
        for (what, bytes) in cases {
            assert!(
                message(&bytes).contains("claims 1152921504606846976 bytes of 0"),
                "{what}: {}",
                message(&bytes)
            );
        }
        // Dimensions with a product beyond any memory, in the one layer with a variable number of
        // rows.
        let many = "loss3/classifier is for 1152921504606846976 classes, expected 1 to 32768";
        let few = "layer loss3/classifier, biases: holds 1 numbers";
        for (classes, expected) in [(HUGE as usize, many), (0, "is for 0 classes"), (32768, few)] {
            let mut layers = layers(1);
            layers.last_mut().unwrap().shape[0] = classes;
            for style in [PUBLISHED, NEW] {
                let message = message(&style.file(&layers));
                assert!(message.contains(expected), "{message}");
            }
        }
    }

    #[test]
    fn many_small_layers_are_refused_before_they_take_memory() {
        let mut net = Message::default();
        for i in 0..=MAX_LAYERS {
            net = NEW.add_with(net, &i.to_string(), false, &[Message::default()]);
        }
        assert!(message(&net.0).contains("more than 1000 layers"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        /// Files that are truncated anywhere or have flipped bits outside long runs are read or
        /// refused; nothing panics.
        #[test]
        fn damaged_files_are_refused_or_read(damage in mangle(), old in any::<bool>()) {
            static FILES: std::sync::OnceLock<[(Vec<u8>, Vec<usize>); 2]> = std::sync::OnceLock::new();
            let files = FILES.get_or_init(|| [PUBLISHED, NEW].map(|style| {
                // Without the last layer, which has no weights and may be cut off.
                let net = layers(2).iter().fold(Message::default(), |net, layer| style.add(net, layer));
                let positions = structure(&net.0);
                (net.0, positions)
            }));
            let (file, positions) = &files[usize::from(old)];
            let (bytes, cut) = damage.apply(file, positions);
            let read = tensors(&bytes);
            prop_assert!(!cut || read.is_err());
        }
    }
}
