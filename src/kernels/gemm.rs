//! Matrix multiplication for the reference path (`docs/02-convolution.md`): a safe function around
//! `matrixmultiply::sgemm`, which takes pointers. The fast path does not use it.

/// Computes `c[i][j] = sum over k of a[i][k] * b[j][k]`, for `i < m`, `j < n`, `k < depth`. `b` is
/// thereby given as its transpose, the way weights are stored. Rows of `a` and `b` are contiguous.
/// Rows of `c` start `c_stride` apart, so `c` can be some columns of a wider matrix; the other
/// columns of that matrix stay as they are.
///
/// # Panics
/// If a slice is too short for its matrix, or rows of `c` would overlap.
pub(crate) fn multiply_transposed(
    [m, n, depth]: [usize; 3],
    a: &[f32],
    b: &[f32],
    c: &mut [f32],
    c_stride: usize,
) {
    if m == 0 || n == 0 {
        return;
    }
    assert!(a.len() >= m * depth && b.len() >= n * depth, "a matrix is shorter than its shape");
    assert!(c_stride >= n && c.len() >= (m - 1) * c_stride + n, "the output is shorter than its shape");
    // SAFETY: by the assertions every element that is read, `i * depth + k` of `a` and
    // `j * depth + k` of `b`, and every element that is written, `i * c_stride + j` of `c`, lies in
    // its slice. `c` is borrowed exclusively, and `j < n <= c_stride` keeps its elements apart. No
    // slice is longer than `isize::MAX` bytes, so the strides fit.
    unsafe {
        matrixmultiply::sgemm(
            m,
            depth,
            n,
            1.0,
            a.as_ptr(),
            depth as isize,
            1,
            b.as_ptr(),
            1,
            depth as isize,
            0.0,
            c.as_mut_ptr(),
            c_stride as isize,
            1,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_its_columns_only() {
        let a = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let b = [1.0, 0.0, -1.0, 0.0, 10.0, 0.0];
        let mut c = [7.0; 6];
        multiply_transposed([2, 2, 3], &a, &b, &mut c, 4);
        assert_eq!(c, [-2.0, 20.0, 7.0, 7.0, -2.0, 50.0]);
    }

    #[test]
    #[should_panic(expected = "shorter than its shape")]
    fn refuses_a_short_matrix() {
        multiply_transposed([2, 1, 3], &[0.0; 5], &[0.0; 3], &mut [0.0; 2], 1);
    }
}
