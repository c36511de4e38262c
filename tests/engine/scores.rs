//! Every score of a sweep against a plain loop: mask the picture, classify it, subtract.

use std::sync::LazyLock;

use occlude::{Against, Classification, GoogLeNet, Input, OcclusionSensitivity, Score, Weights};
use proptest::prelude::*;

use crate::common::{SEED, picture_input};

static NET: LazyLock<GoogLeNet> = LazyLock::new(|| GoogLeNet::new(&Weights::seeded(SEED)).unwrap());

/// A score of this answer, written out.
type Plain = Box<dyn Fn(&Classification, usize) -> f64>;

/// Each kind of score with its formula; `whole` is the answer for the uncovered picture.
fn scores(whole: &Classification, count: usize, other: usize, group: Vec<usize>) -> Vec<(Score, Plain)> {
    let order = whole.top(1000);
    let mean = move |values: &[f32], class: usize| {
        let nearest = order.iter().filter(|&&near| near != class).take(count);
        nearest.map(|&near| f64::from(values[near])).sum::<f64>() / count as f64
    };
    let mean_of_logits = mean.clone();
    let best = |values: &[f32], class: usize| {
        (0..1000).filter(|&c| c != class).map(|c| f64::from(values[c])).fold(f64::MIN, f64::max)
    };
    let members = group.clone();
    vec![
        (
            Score::Contrast(Against::Class(other)),
            Box::new(move |a, c| f64::from(a.probabilities[c]) - f64::from(a.probabilities[other])),
        ),
        (
            Score::LogitContrast(Against::Class(other)),
            Box::new(move |a, c| f64::from(a.logits[c]) - f64::from(a.logits[other])),
        ),
        (
            Score::Contrast(Against::Nearest(count)),
            Box::new(move |a, c| f64::from(a.probabilities[c]) - mean(&a.probabilities, c)),
        ),
        (
            Score::LogitContrast(Against::Nearest(count)),
            Box::new(move |a, c| f64::from(a.logits[c]) - mean_of_logits(&a.logits, c)),
        ),
        (Score::Margin, Box::new(move |a, c| f64::from(a.probabilities[c]) - best(&a.probabilities, c))),
        (Score::LogitMargin, Box::new(move |a, c| f64::from(a.logits[c]) - best(&a.logits, c))),
        (
            Score::Group { name: "group".to_string(), classes: group },
            Box::new(move |a, _| members.iter().map(|&c| f64::from(a.probabilities[c])).sum()),
        ),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn scores_are_those_of_a_plain_loop(
        size in 20usize..=100,
        count in 1usize..6,
        other in 10usize..20,
        group in prop::collection::btree_set(0usize..1000, 1..30),
    ) {
        let input = Input::from_nhwc_bgr(picture_input()).unwrap();
        let whole = NET.classify(&input);
        let classes = [whole.best(), 3];
        let sweep = OcclusionSensitivity::new(&NET).mask_size([size; 2]).stride([112, 112]);
        let plain = sweep.clone().run(&input).unwrap();
        let cover = plain.mask_value.covered(&input).unwrap();
        let answers: Vec<Classification> = (0..4)
            .map(|i| {
                let rect = plain.mask_rect(i / 2, i % 2);
                let mut values = input.values().to_vec();
                for y in rect.y0..rect.y1 {
                    let pixels = (y * 224 + rect.x0) * 3..(y * 224 + rect.x1) * 3;
                    values[pixels.clone()].copy_from_slice(&cover.values()[pixels]);
                }
                NET.classify(&Input::from_nhwc_bgr(values).unwrap())
            })
            .collect();
        for (score, formula) in scores(&whole, count, other, group.into_iter().collect()) {
            let classes = if score.is_of_class() { &classes[..] } else { &classes[..1] };
            let maps = sweep.clone().classes(classes).score(score.clone()).run(&input).unwrap();
            for (k, &class) in classes.iter().enumerate() {
                let bits = |answer: &Classification| (formula(answer, class) as f32).to_bits();
                prop_assert_eq!(maps.base_scores[k].to_bits(), bits(&whole), "{} of {}", &score, class);
                let found: Vec<u32> = maps.scores[k * 4..][..4].iter().map(|score| score.to_bits()).collect();
                prop_assert_eq!(found, Vec::from_iter(answers.iter().map(bits)), "{} of {}", &score, class);
            }
            prop_assert_eq!(&maps.argmax, &Vec::from_iter(answers.iter().map(Classification::best)));
        }
        // The entropy has another formula here, so it is not equal to the last bit.
        let maps = sweep.score(Score::Entropy).run(&input).unwrap();
        for (score, answer) in maps.scores.iter().zip(&answers) {
            let terms = answer.probabilities.iter().map(|&p| f64::from(p)).filter(|p| *p > 0.0);
            let entropy: f64 = terms.map(|p| -p * p.ln()).sum();
            prop_assert!((f64::from(*score) - entropy).abs() < 1e-5, "{score}, {entropy}");
        }
    }
}
