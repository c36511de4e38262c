//! Softmax (`docs/04-scores.md`). It uses an exponential and a logarithm of its own, because those of
//! a C library differ from machine to machine in the last bits.

/// Computes class probabilities from logits: `exp(l - max) / sum`, evaluated in f64 in the order of
/// the classes and rounded once to f32. Each probability is in 0..=1. Adding the same number to all
/// logits changes the probabilities by rounding only.
///
/// ```
/// let probabilities = occlude::forward::softmax(&[2.0, 1.0, 1.0]);
/// assert!((probabilities[0] / probabilities[1] - 1f32.exp()).abs() < 1e-5);
/// assert_eq!(occlude::forward::softmax(&[102.0, 101.0, 101.0]), probabilities);
/// ```
pub fn softmax(logits: &[f32]) -> Vec<f32> {
    let logits: Vec<f64> = logits.iter().map(|&l| f64::from(l)).collect();
    softmax_f64(&logits).into_iter().map(|p| p as f32).collect()
}

/// [`softmax`] of f64 logits, not rounded to f32.
pub(crate) fn softmax_f64(logits: &[f64]) -> Vec<f64> {
    let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = logits.iter().map(|&l| exp(l - max)).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|p| p / sum).collect()
}

/// Computes `e^x` for `x <= 0` with a relative error of about 1e-15 and the same bits on every machine;
/// 0 below -150. It splits `x` into `n ln 2 + r` with |r| <= ln 2 / 2, evaluates a Taylor polynomial for
/// `e^r` and builds `2^n` from its bits. It uses only additions and multiplications, which round the same
/// on every machine.
pub fn exp(x: f64) -> f64 {
    // ln 2 in two parts. The first has so few bits that its product with `n` is exact.
    const LN_2_HIGH: f64 = 6.931_471_803_691_238e-1;
    const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    // Below this, the result is 0 in f32.
    if x < -150.0 {
        return 0.0;
    }
    let n = (x / std::f64::consts::LN_2 - 0.5) as i64; // truncation rounds up here: x <= 0
    let r = x - n as f64 * LN_2_HIGH - n as f64 * LN_2_LOW;
    let sum = TAYLOR.iter().rev().fold(0.0, |sum, coefficient| sum * r + coefficient);
    sum * f64::from_bits(((1023 + n) as u64) << 52)
}

/// Computes `ln x` for finite `x >= 1` with a relative error of about 1e-15. It splits `x` into
/// `m * 2^n` with `m` in 0.75..=1.5 and sums the series of `2 atanh((m - 1) / (m + 1)) = ln m`.
pub(crate) fn ln(x: f64) -> f64 {
    debug_assert!(x >= 1.0 && x.is_finite());
    let bits = x.to_bits();
    let (mut n, mut m) = ((bits >> 52) as i32 - 1023, f64::from_bits(bits & ((1 << 52) - 1) | 1023 << 52));
    if m > 1.5 {
        (n, m) = (n + 1, m / 2.0);
    }
    let s = (m - 1.0) / (m + 1.0);
    let series = (0..12).rev().fold(0.0, |sum, k| sum * s * s + 1.0 / f64::from(2 * k + 1));
    f64::from(n) * std::f64::consts::LN_2 + 2.0 * s * series
}

/// Computes `ln(sum(exp(l)))` of finite logits, of which there is at least one, with the same bits on
/// every machine. The probability of a class is the exponential of its logit minus this value.
///
/// ```
/// let all = occlude::forward::log_sum_exp(&[2.0, 1.0, 1.0]);
/// let probabilities = occlude::forward::softmax(&[2.0, 1.0, 1.0]);
/// assert!(((2.0 - all).exp() - f64::from(probabilities[0])).abs() < 1e-7);
/// ```
pub fn log_sum_exp(logits: &[f64]) -> f64 {
    let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    max + ln(logits.iter().map(|&l| exp(l - max)).sum())
}

/// The Taylor coefficients `1 / k!`.
const TAYLOR: [f64; 15] = {
    let mut coefficients = [1.0; 15];
    let mut k = 1;
    while k < 15 {
        coefficients[k] = coefficients[k - 1] / k as f64;
        k += 1;
    }
    coefficients
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_the_exponential() {
        for i in 0..150_000 {
            let x = -f64::from(i) * 1e-3;
            let (got, want) = (exp(x), x.exp());
            assert!((got - want).abs() <= 2e-15 * want, "exp({x}) = {got}, expected {want}");
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(f64::NEG_INFINITY), 0.0);
    }

    #[test]
    fn the_logarithm_is_the_logarithm() {
        for i in 0..20_000 {
            let x = 1.0 + f64::from(i * i) * 1e-4;
            assert!((ln(x) - x.ln()).abs() <= 2e-15 * x.ln().max(1e-3), "ln({x}) = {}", ln(x));
        }
        assert_eq!((ln(1.0), ln(2.0), ln(1024.0)), (0.0, 2f64.ln(), 1024f64.ln()));
        assert!((log_sum_exp(&[1000.0, 1000.0]) - 1000.0 - 2f64.ln()).abs() < 1e-12);
        assert_eq!(log_sum_exp(&[-3.0]), -3.0);
    }

    #[test]
    fn probabilities_sum_to_one_and_survive_large_logits() {
        let p = softmax(&[1e30, 0.0, 1e30]);
        assert_eq!(p, [0.5, 0.0, 0.5]);
        let p = softmax(&[0.1, 3.0, -2.0, 0.7]);
        assert!((p.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!(p[1] > p[3] && p[3] > p[0] && p[0] > p[2]);
    }
}
