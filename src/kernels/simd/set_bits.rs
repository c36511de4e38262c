//! Tables of the set bits of a byte.

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

/// For each byte and each of its bits, eight times the number of set bits below: the place of a channel's
/// first value among those of the channels that are kept.
#[cfg(target_arch = "x86_64")]
pub(super) static PLACES: [[u8; 8]; 256] = {
    let mut table = [[0; 8]; 256];
    let mut set = 0;
    while set < 256 {
        let (mut bit, mut count) = (0, 0);
        while bit < 8 {
            table[set][bit] = 8 * count;
            count += (set >> bit & 1) as u8;
            bit += 1;
        }
        set += 1;
    }
    table
};
