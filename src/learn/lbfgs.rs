//! L-BFGS: minimises a smooth convex function by its gradients (Liu and Nocedal, 1989; Nocedal and
//! Wright, "Numerical Optimization", algorithm 7.4).

use std::collections::VecDeque;

/// Number of earlier steps that approximate the curvature.
const MEMORY: usize = 12;
/// The largest number of steps. Logistic regression takes some dozens.
const MOST_STEPS: usize = 2000;
/// The share of the decrease along the gradient that a step must reach.
const DECREASE: f64 = 1e-4;

/// The end of a minimisation.
pub(super) struct Minimum {
    pub point: Vec<f64>,
    pub value: f64,
    pub steps: usize,
}

/// Minimises `f`, which returns its value and its gradient at a point, from `point` on. Ends where the
/// squared norm of the gradient is at most `enough`, or where rounding prevents a further decrease.
pub(super) fn minimise(
    point: Vec<f64>,
    enough: f64,
    mut f: impl FnMut(&[f64]) -> (f64, Vec<f64>),
) -> Minimum {
    let mut x = point;
    let (mut value, mut gradient) = f(&x);
    let mut pairs: VecDeque<Pair> = VecDeque::with_capacity(MEMORY);
    for steps in 0..MOST_STEPS {
        if dot(&gradient, &gradient) <= enough {
            return Minimum { point: x, value, steps };
        }
        let direction = descent(&pairs, &gradient);
        let slope = dot(&gradient, &direction);
        // The first direction has no scale: its first trial moves by 1 in all.
        let mut length = if pairs.is_empty() { 1.0 / dot(&direction, &direction).sqrt() } else { 1.0 };
        let next = loop {
            let to: Vec<f64> = x.iter().zip(&direction).map(|(x, d)| x + length * d).collect();
            let (reached, slopes) = f(&to);
            if reached <= value + DECREASE * length * slope {
                break Some((to, reached, slopes));
            }
            length /= 2.0;
            if length < 1e-12 {
                break None;
            }
        };
        let Some((to, reached, slopes)) = next else {
            return Minimum { point: x, value, steps };
        };
        let step: Vec<f64> = to.iter().zip(&x).map(|(to, from)| to - from).collect();
        let change: Vec<f64> = slopes.iter().zip(&gradient).map(|(to, from)| to - from).collect();
        let curvature = dot(&step, &change);
        if curvature > 1e-12 * dot(&change, &change) {
            if pairs.len() == MEMORY {
                pairs.pop_front();
            }
            pairs.push_back(Pair { step, change, curvature });
        }
        (x, value, gradient) = (to, reached, slopes);
    }
    Minimum { point: x, value, steps: MOST_STEPS }
}

/// A step, the change of the gradient along it, and their product.
struct Pair {
    step: Vec<f64>,
    change: Vec<f64>,
    curvature: f64,
}

/// The direction `-H g`, where `H` approximates the inverse of the second derivatives by the pairs.
fn descent(pairs: &VecDeque<Pair>, gradient: &[f64]) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut factors = Vec::with_capacity(pairs.len());
    for pair in pairs.iter().rev() {
        let factor = dot(&pair.step, &direction) / pair.curvature;
        add(&mut direction, -factor, &pair.change);
        factors.push(factor);
    }
    if let Some(last) = pairs.back() {
        let scale = last.curvature / dot(&last.change, &last.change);
        direction.iter_mut().for_each(|d| *d *= scale);
    }
    for (pair, factor) in pairs.iter().zip(factors.into_iter().rev()) {
        let back = dot(&pair.change, &direction) / pair.curvature;
        add(&mut direction, factor - back, &pair.step);
    }
    direction
}

fn add(to: &mut [f64], factor: f64, values: &[f64]) {
    to.iter_mut().zip(values).for_each(|(to, value)| *to += factor * value);
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).fold(0.0, |sum, (a, b)| sum + a * b)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stretched bowl, 1 at its lowest point, and the sum of two exponentials, whose minimum is at
    /// x = ln(2) / 3.
    #[test]
    fn minima_are_found() {
        let weight = |i: usize| 10f64.powi(i as i32 % 5);
        let bowl = |x: &[f64]| {
            let value: f64 = x.iter().enumerate().map(|(i, x)| weight(i) * (x - i as f64).powi(2)).sum();
            let gradient = x.iter().enumerate().map(|(i, x)| 2.0 * weight(i) * (x - i as f64)).collect();
            (value + 1.0, gradient)
        };
        let found = minimise(vec![0.0; 20], 1e-16, bowl);
        assert!(found.steps < 100 && (found.value - 1.0).abs() < 1e-12, "{} {}", found.steps, found.value);
        assert!(found.point.iter().enumerate().all(|(i, x)| (x - i as f64).abs() < 1e-7));

        let valley = |x: &[f64]| {
            let (up, down) = (x[0].exp(), (-2.0 * x[0]).exp());
            (up + down, vec![up - 2.0 * down])
        };
        let found = minimise(vec![30.0], 1e-20, valley);
        assert!((found.point[0] - 2f64.ln() / 3.0).abs() < 1e-9, "{}", found.point[0]);
    }

    #[test]
    fn the_end_is_a_point_without_a_decrease() {
        // A gradient that is wrong on purpose: no step decreases the value.
        let found = minimise(vec![1.0], 0.0, |x| (x[0], vec![-1.0]));
        assert_eq!((found.point, found.steps), (vec![1.0], 0));
    }
}
