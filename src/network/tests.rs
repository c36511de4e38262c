use super::*;
use crate::network::geometry::Rect;

#[test]
fn every_layer_and_blob_is_found_by_its_name_and_listed() {
    for net in [Network::googlenet(), Network::torchvision(3)] {
        let names = net.output_names();
        assert_eq!(names.len(), net.layers.len() + 9, "{names:?}");
        assert_eq!(names.iter().collect::<std::collections::HashSet<_>>().len(), names.len());
        for name in names {
            let (blob, channels) = net.output(name).unwrap();
            assert!(!channels.is_empty() && channels.end <= net.blobs[blob].channels, "{name}");
        }
    }
    let net = Network::googlenet();
    let block = net.find("inception_4c/output").unwrap();
    assert_eq!(net.output("inception_4c/output").unwrap(), (block, 0..512));
    assert_eq!(net.output("inception_4c/5x5").unwrap(), (block, 384..448));
    // Names of the other variant, in both directions and at another width.
    assert_eq!(net.output("inception4c").unwrap(), (block, 0..512));
    assert_eq!(net.output("inception4c.branch3.1").unwrap(), (block, 384..448));
    assert_eq!(net.output("fc").unwrap(), net.output("loss3/classifier").unwrap());
    let narrow = Network::torchvision_half(7);
    assert_eq!(narrow.output("inception_4c/5x5").unwrap(), narrow.output("inception4c.branch3.1").unwrap());
    assert_eq!(narrow.output("conv1/7x7_s2").unwrap(), (narrow.find("conv1").unwrap(), 0..32));
    assert_eq!(narrow.output("inception_3b/output").unwrap(), narrow.output("inception3b").unwrap());
}

#[test]
fn an_unknown_layer_is_refused_with_the_names_that_there_are() {
    let net = Network::googlenet();
    let message = |name: &str| net.output(name).unwrap_err().to_string();
    let text = message("inception_4c/ouput");
    let begin = "no layer is called \"inception_4c/ouput\"; did you mean inception_4c/output";
    assert!(text.starts_with(begin), "{text}");
    assert!(text.contains("\nexpected one of conv1/7x7_s2, pool1/3x3_s2, "), "{text}");
    assert!(message("5B/OUTPUT").contains("did you mean inception_5b/output?"), "{}", message("5B/OUTPUT"));
    assert!(message("data").starts_with("no layer is called \"data\"\nexpected"), "{}", message("data"));
}

#[test]
fn the_table_is_the_published_network() {
    let net = Network::googlenet();
    let weighted: Vec<_> = net.layers.iter().filter_map(|l| net.weight_shape(l)).collect();
    assert_eq!(weighted.len(), 58);
    let parameters: usize = weighted.iter().map(|s| s.iter().product::<usize>() + s[0]).sum();
    assert_eq!(parameters, 6_998_552);
    let side = |name: &str| net.blobs[net.find(name).unwrap()].side;
    assert_eq!(
        ["conv1/7x7_s2", "pool1/3x3_s2", "pool2/3x3_s2", "pool3/3x3_s2", "pool4/3x3_s2"].map(side),
        [112, 56, 28, 14, 7]
    );
    assert_eq!(net.blobs[net.find("inception_5b/output").unwrap()].channels, 1024);
}

#[test]
fn the_trunk_has_all_but_what_lies_in_a_block() {
    let net = Network::googlenet();
    let names: Vec<_> = net.trunk().into_iter().map(|blob| &net.blobs[blob].name[..]).collect();
    assert_eq!(names.len(), 1 + 7 + 2 + 1 + 5 + 1 + 2 + 2);
    assert_eq!(names[..3], ["data", "conv1/7x7_s2", "pool1/3x3_s2"]);
    assert_eq!(names[8..11], ["inception_3a/output", "inception_3b/output", "pool3/3x3_s2"]);
    assert_eq!(names[20], "loss3/classifier");
}

#[test]
fn torchvisions_table_is_the_published_one() {
    let net = Network::torchvision(CLASSES);
    let weighted: Vec<_> = net.layers.iter().filter_map(|l| net.weight_shape(l)).collect();
    // torchvision counts 6,624,904 parameters without the auxiliary classifiers. Here each
    // convolution has one bias in place of a batch normalisation's scale and shift.
    let parameters: usize = weighted.iter().map(|s| s.iter().product::<usize>() + s[0]).sum();
    let shifts: usize = weighted[..57].iter().map(|s| s[0]).sum();
    assert_eq!(parameters + shifts, 6_624_904);
    let sides = ["conv1", "maxpool1", "maxpool2", "maxpool3", "maxpool4"];
    let side = |name: &str| net.blobs[net.find(name).unwrap()].side;
    assert_eq!(sides.map(side), [112, 56, 28, 14, 7]);
    assert_eq!(net.blobs[net.last_plane()].name, "inception5b");
    assert_eq!(Network::torchvision(7).classes(), 7);
}

#[test]
fn a_narrow_table_has_the_channels_of_its_recipe() {
    let net = Network::torchvision_half(30);
    assert_eq!(net.name, "torchvision googlenet at half its width");
    let channels = |name: &str| {
        let (_, channels) = net.output(name).unwrap();
        channels.len()
    };
    // `scaled` of tools/train/net.py: 16 / 2 is 8, 24 / 2 is 12, which is rounded up, 208 / 2 is
    // 104.
    assert_eq!(["conv1", "conv2", "conv3"].map(channels), [32, 32, 96]);
    assert_eq!(["inception3a.branch3.0", "inception4b.branch3.0"].map(channels), [8, 16]);
    assert_eq!(["inception4a.branch2.1", "inception5b", "fc"].map(channels), [104, 512, 30]);
    // The kernels read channels in groups of 8 and store groups of 16, which may reach into the
    // channels that the next branch writes later.
    for net in [net, Network::googlenet(), Network::torchvision(3)] {
        assert!(net.blobs[1..net.blobs.len() - 1].iter().all(|blob| blob.channels.is_multiple_of(8)));
        for layer in &net.layers {
            let (end, room) =
                (layer.channel + layer.channels.next_multiple_of(16), net.blobs[layer.output].channels);
            assert!(end <= room.next_multiple_of(16), "{}: {}", net.name, layer.name);
        }
    }
}

#[test]
fn what_an_activation_depends_on_ends_with_the_picture() {
    let network = Network::googlenet();
    let field = |name: &str| {
        let layer = network.layers.iter().find(|layer| layer.name == name).unwrap();
        network.receptive_field_of(layer)
    };
    assert_eq!(field("conv1/7x7_s2").pixels([0, 50], INPUT_SIDE), Rect { y0: 0, x0: 97, y1: 4, x1: 104 });
    assert_eq!(
        field("conv1/7x7_s2").pixels([111, 111], INPUT_SIDE),
        Rect { y0: 219, x0: 219, y1: 224, x1: 224 }
    );
    assert_eq!(field("loss3/classifier").pixels([0, 0], INPUT_SIDE), Rect::plane(INPUT_SIDE));
}

/// Both directions give the same relation: a column of pixels reaches the activations whose
/// receptive field contains it.
#[test]
fn receptive_fields_are_what_pixels_reach() {
    for net in [Network::googlenet(), Network::torchvision(9)] {
        for pixel in 0..INPUT_SIDE {
            let mut rects = vec![Rect::default(); net.blobs.len()];
            rects[0] = Rect { y0: 0, x0: pixel, y1: INPUT_SIDE, x1: pixel + 1 };
            for layer in &net.layers {
                let side = net.blobs[layer.output].side;
                let reached = match layer.op {
                    Op::Convolution(window) | Op::MaxPool(window) => rects[layer.input].through(window, side),
                    Op::Lrn => rects[layer.input],
                    Op::AveragePool | Op::Classifier => Rect::plane(side),
                };
                rects[layer.output] = rects[layer.output].union(&reached);
            }
            // The logits have one activation, whose field is larger than the image.
            for (id, blob) in net.blobs.iter().enumerate() {
                let field = net.receptive_field(BlobId(id));
                for o in 0..blob.side {
                    let start = field.start + (o * field.step) as isize;
                    let holds = (start..start + field.size as isize).contains(&(pixel as isize));
                    let reached = (rects[id].x0..rects[id].x1).contains(&o);
                    assert_eq!(holds, reached, "{}: pixel {pixel}, activation {o}, {field:?}", blob.name);
                }
            }
        }
    }
}

#[test]
fn a_pass_is_1_58_g_multiply_adds() {
    let net = Network::googlenet();
    let total: usize =
        net.layers.iter().map(|l| net.multiply_adds_per_pixel(l) * net.blobs[l.output].side.pow(2)).sum();
    assert_eq!((total as f64 / 1e7).round(), 158.0);
}
