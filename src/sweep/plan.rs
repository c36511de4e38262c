//! In which order a group runs the layers, which blobs it keeps without their zeros, and which share memory. All of it follows
//! from the table; no activation is touched here.

use crate::network::geometry::Window;
use crate::network::{BlobId, Layer, Network, Op};

/// A window that reads one pixel.
pub(crate) const ONE: Window = Window { size: 1, stride: 1, padding: 0 };

/// The pool that only this 1x1 convolution reads, as in every inception block: the two run as one, see
/// `MaskBatch::pool_and_convolve`.
pub(crate) fn pool_before(network: &Network, layer: &Layer) -> Option<usize> {
    let pool = network.layers.iter().position(|l| l.output == layer.input)?;
    let stays = matches!(network.layers[pool].op, Op::MaxPool(window) if window.stride == 1);
    (stays && layer.op == Op::Convolution(ONE)).then_some(pool)
}

/// The table's order, but where a pool and its 1x1 convolution run as one, they come before the other readers of the
/// pool's input: they prepare it for those on the way.
pub(crate) fn order(network: &Network) -> Vec<usize> {
    let mut order = Vec::new();
    for (index, layer) in network.layers.iter().enumerate() {
        let with_pool = |reader: &Layer| {
            pool_before(network, reader).is_some_and(|pool| network.layers[pool].input == layer.input)
        };
        let is_pooled = network.layers.iter().any(|l| pool_before(network, l) == Some(index));
        for next in network.layers.iter().position(with_pool).into_iter().chain([index]) {
            if !is_pooled && !order.contains(&next) {
                order.push(next);
            }
        }
    }
    order
}

/// Whether a group keeps the layer's outputs as a list without zeros, not as a dense blob: those of an inception block's
/// branches, and what is pooled from them for the next block. They are read a pixel at a time, by 1x1 convolutions and pools.
pub(crate) fn is_sparse(network: &Network, layer: &Layer) -> bool {
    let is_branch = |layer: &Layer| layer.channels < network.blobs[layer.output].channels;
    let reads_branches = || network.layers.iter().any(|l| l.output == layer.input && is_branch(l));
    is_branch(layer) || matches!(layer.op, Op::MaxPool(window) if window.stride > 1) && reads_branches()
}

/// Gives each blob that is not sparse_blobs a slot that is free from its first writer to its last reader.
pub(crate) fn share_slots(network: &Network, order: &[usize]) -> Vec<usize> {
    let reads = |layer: &Layer, blob| match pool_before(network, layer) {
        Some(pool) => network.layers[pool].input == blob,
        None => layer.input == blob,
    };
    let last_read = |blob: BlobId| order.iter().rposition(|&l| reads(&network.layers[l], blob));
    let mut slot_of = vec![usize::MAX; network.blobs.len()];
    let size = |blob: BlobId| network.blobs[blob].side.pow(2) * network.blobs[blob].channels;
    // Free slots with the size of the largest blob that they held: large ones serve large blobs again.
    let mut free: Vec<usize> = Vec::new();
    let mut sizes: Vec<usize> = Vec::new();
    for (i, &index) in order.iter().enumerate() {
        let layer = &network.layers[index];
        if !is_sparse(network, layer) {
            let wanted = size(layer.output);
            let best = (0..free.len()).min_by_key(|&f| sizes[free[f]].abs_diff(wanted));
            slot_of[layer.output] = best.map(|f| free.swap_remove(f)).unwrap_or_else(|| {
                sizes.push(0);
                sizes.len() - 1
            });
            let slot = slot_of[layer.output];
            sizes[slot] = sizes[slot].max(wanted);
        }
        if last_read(layer.input) == Some(i) && slot_of[layer.input] != usize::MAX {
            free.push(slot_of[layer.input]);
        }
    }
    // The images and sparse_blobs blobs have memory of their own, and outputs of pools that run with a convolution are not kept.
    slot_of.iter_mut().filter(|slot| **slot == usize::MAX).for_each(|slot| *slot = 0);
    slot_of
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layer_runs_after_those_that_it_reads_from() {
        for network in [Network::googlenet(), Network::torchvision(1000)] {
            in_order(network);
        }
    }

    fn in_order(network: Network) {
        let order = order(&network);
        let pools = network.layers.iter().filter(|l| pool_before(&network, l).is_some()).count();
        assert_eq!((order.len(), pools), (network.layers.len() - 9, 9));
        for (at, &index) in order.iter().enumerate() {
            let layer = &network.layers[index];
            let reads = pool_before(&network, layer).map_or(layer.input, |pool| network.layers[pool].input);
            for (writer, _) in network.layers.iter().enumerate().filter(|(_, l)| l.output == reads) {
                assert!(order[..at].contains(&writer), "{}", layer.name);
            }
        }
    }

    /// Follows the blobs through their slots: what a layer reads must not have been overwritten by another blob.
    /// SparseBlob blobs have two buffers in turns: each is read before the next but one is begun.
    #[test]
    fn no_blob_loses_its_slot_before_it_is_read() {
        for network in [Network::googlenet(), Network::torchvision(1000)] {
            keeps_slots(network);
        }
    }

    fn keeps_slots(network: Network) {
        let order = order(&network);
        let slot_of = share_slots(&network, &order);
        let mut holds = vec![usize::MAX; network.blobs.len()];
        let mut begun: Vec<BlobId> = Vec::new();
        for &index in &order {
            let layer = &network.layers[index];
            let reads = pool_before(&network, layer).map_or(layer.input, |pool| network.layers[pool].input);
            let reads_listed = network.layers.iter().any(|l| l.output == reads && is_sparse(&network, l));
            if is_sparse(&network, layer) && !begun.contains(&layer.output) {
                begun.push(layer.output);
            }
            if reads_listed {
                assert!(begun[begun.len().saturating_sub(2)..].contains(&reads), "{}", layer.name);
            } else {
                assert!(reads == 0 || holds[slot_of[reads]] == reads, "{} has lost its input", layer.name);
            }
            if !is_sparse(&network, layer) {
                assert!(
                    reads == 0 || reads_listed || slot_of[reads] != slot_of[layer.output],
                    "{}",
                    layer.name
                );
                holds[slot_of[layer.output]] = layer.output;
            }
        }
        assert!(slot_of.iter().max() <= Some(&3), "{slot_of:?}");
    }
}
