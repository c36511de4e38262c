//! The indices of the set bits of a byte, from a table.

/// The indices of the set bits of each byte, ascending from the lowest byte of an element.
pub(super) static SET_BITS: [i64; 256] = {
    let mut table = [0; 256];
    let mut set = 0;
    while set < 256 {
        let (mut bit, mut count) = (0, 0);
        while bit < 8 {
            if set >> bit & 1 != 0 {
                table[set] |= (bit as i64) << (8 * count);
                count += 1;
            }
            bit += 1;
        }
        set += 1;
    }
    table
};
