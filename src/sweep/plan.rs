//! Plans a batch's pass: the order of the layers, how each blob is stored, and which dense blobs
//! share memory. The plan follows from the table of layers alone.

use crate::network::geometry::Window;
use crate::network::{BlobId, Layer, Network, Op};

/// A window that reads one pixel.
pub(crate) const ONE: Window = Window::convolution(1, 1, 0);

/// Index of a layer in [`Network::layers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LayerId(pub(crate) usize);

/// Index of a buffer that dense blobs share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotId(pub(crate) usize);

/// Storage of a blob in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Storage {
    /// The image, of which each position has a copy.
    Images,
    /// All values, in a buffer that blobs share when their lifetimes do not overlap.
    Dense(SlotId),
    /// Without zeros: the outputs of an inception block's branches, and the blob that the next pool
    /// makes of them. Layers read these blobs pixel by pixel.
    Sparse,
    /// Not at all: the output of a pool that runs together with the convolution that reads it.
    Nowhere,
}

/// One step of a batch's pass: a layer, or a pool and the 1x1 convolution after it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) layer: LayerId,
    /// The pool that runs together with this 1x1 convolution.
    pub(crate) pool: Option<LayerId>,
    /// The blob that the step reads: the pool's input, if there is a pool.
    pub(crate) input: BlobId,
    pub(crate) output: BlobId,
    /// The window by which the step reads its input without zeros, and the side of the plane that
    /// the window slides over.
    pub(crate) sparse_read: Option<(Window, usize)>,
}

/// The steps in the order in which they run, and the storage of each blob.
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    pub(crate) storage: Vec<Storage>,
    /// Number of buffers that the dense blobs share.
    pub(crate) slots: usize,
}

impl Plan {
    pub(crate) fn new(network: &Network) -> Plan {
        let steps: Vec<Step> = order(network).into_iter().map(|layer| Step::new(network, layer)).collect();
        let mut storage = vec![Storage::Nowhere; network.blobs.len()];
        storage[BlobId::IMAGE] = Storage::Images;
        for step in steps.iter().filter(|step| is_sparse(network, &network.layers[step.layer.0])) {
            storage[step.output] = Storage::Sparse;
        }
        let (storage, slots) = share_slots(network, &steps, storage);
        Plan { steps, storage, slots }
    }
}

impl Step {
    fn new(network: &Network, layer: LayerId) -> Step {
        let pool = pool_before(network, &network.layers[layer.0]);
        let reader = &network.layers[pool.unwrap_or(layer).0];
        let window = match reader.op {
            Op::Convolution(_) if reader.input == BlobId::IMAGE => None,
            Op::Convolution(_) | Op::MaxPool(_) | Op::AveragePool => Some(network.window(reader)),
            Op::Lrn | Op::Classifier => None,
        };
        Step {
            layer,
            pool,
            input: reader.input,
            output: network.layers[layer.0].output,
            sparse_read: window.map(|window| (window, network.blobs[reader.output].side)),
        }
    }
}

/// The pool that only this 1x1 convolution reads, as in every inception block: the two run as one
/// step.
fn pool_before(network: &Network, layer: &Layer) -> Option<LayerId> {
    let pool = network.layers.iter().position(|l| l.output == layer.input)?;
    let stays = matches!(network.layers[pool].op, Op::MaxPool(window) if window.stride == 1);
    (stays && layer.op == Op::Convolution(ONE)).then_some(LayerId(pool))
}

/// The table's order, except that a pool and its 1x1 convolution come before the other readers of
/// the pool's input, because they make its sparse form, which the others use as well.
fn order(network: &Network) -> Vec<LayerId> {
    let mut order = Vec::new();
    for (index, layer) in network.layers.iter().enumerate() {
        let with_pool = |reader: &Layer| {
            pool_before(network, reader).is_some_and(|pool| network.layers[pool.0].input == layer.input)
        };
        let is_pooled = network.layers.iter().any(|l| pool_before(network, l) == Some(LayerId(index)));
        for next in network.layers.iter().position(with_pool).into_iter().chain([index]).map(LayerId) {
            if !is_pooled && !order.contains(&next) {
                order.push(next);
            }
        }
    }
    order
}

/// True if a batch keeps the layer's outputs without zeros ([`Storage::Sparse`]).
fn is_sparse(network: &Network, layer: &Layer) -> bool {
    let is_branch = |layer: &Layer| layer.channels < network.blobs[layer.output].channels;
    let reads_branches = || network.layers.iter().any(|l| l.output == layer.input && is_branch(l));
    is_branch(layer) || matches!(layer.op, Op::MaxPool(window) if window.stride > 1) && reads_branches()
}

/// Gives each dense blob a slot that is free from its first writer to its last reader. Returns the
/// storage with these slots, and their number.
fn share_slots(network: &Network, steps: &[Step], mut storage: Vec<Storage>) -> (Vec<Storage>, usize) {
    let size = |blob: BlobId| network.blobs[blob].side.pow(2) * network.blobs[blob].channels;
    // For each slot, the size of the largest blob that it has held: large slots serve large blobs
    // again.
    let mut sizes: Vec<usize> = Vec::new();
    let mut free: Vec<SlotId> = Vec::new();
    for (i, step) in steps.iter().enumerate() {
        if storage[step.output] == Storage::Nowhere {
            let wanted = size(step.output);
            let best = (0..free.len()).min_by_key(|&f| sizes[free[f].0].abs_diff(wanted));
            let slot = best.map(|f| free.swap_remove(f)).unwrap_or_else(|| {
                sizes.push(0);
                SlotId(sizes.len() - 1)
            });
            sizes[slot.0] = sizes[slot.0].max(wanted);
            storage[step.output] = Storage::Dense(slot);
        }
        let is_last_reader = !steps[i + 1..].iter().any(|later| later.input == step.input);
        if let (Storage::Dense(slot), true) = (storage[step.input], is_last_reader) {
            free.push(slot);
        }
    }
    (storage, sizes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks() -> [Network; 3] {
        [Network::googlenet(), Network::torchvision(1000), Network::torchvision_half(28)]
    }

    #[test]
    fn every_layer_runs_after_those_that_it_reads_from() {
        for network in networks() {
            let plan = Plan::new(&network);
            let pools = plan.steps.iter().filter(|step| step.pool.is_some()).count();
            assert_eq!((plan.steps.len(), pools), (network.layers.len() - 9, 9));
            for (at, step) in plan.steps.iter().enumerate() {
                for (writer, _) in network.layers.iter().enumerate().filter(|(_, l)| l.output == step.input) {
                    let name = &network.layers[step.layer.0].name;
                    assert!(plan.steps[..at].iter().any(|before| before.layer.0 == writer), "{name}");
                }
            }
        }
    }

    /// Follows the blobs through their slots: no step may read a slot that another blob has
    /// overwritten. Sparse blobs alternate between two buffers: each is read before the next but
    /// one is begun.
    #[test]
    fn no_blob_loses_its_memory_before_it_is_read() {
        for network in networks() {
            let plan = Plan::new(&network);
            let mut holds = vec![BlobId(usize::MAX); plan.slots];
            let mut begun: Vec<BlobId> = Vec::new();
            for step in &plan.steps {
                let name = &network.layers[step.layer.0].name;
                if plan.storage[step.output] == Storage::Sparse && !begun.contains(&step.output) {
                    begun.push(step.output);
                }
                match plan.storage[step.input] {
                    Storage::Images => assert_eq!(step.input, BlobId::IMAGE),
                    Storage::Dense(slot) => {
                        assert_eq!(holds[slot.0], step.input, "{name} has lost its input")
                    }
                    Storage::Sparse => {
                        assert!(begun[begun.len().saturating_sub(2)..].contains(&step.input), "{name}");
                    }
                    Storage::Nowhere => panic!("{name} reads a blob that is not stored"),
                }
                if let Storage::Dense(slot) = plan.storage[step.output] {
                    assert_ne!(plan.storage[step.input], Storage::Dense(slot), "{name} overwrites its input");
                    holds[slot.0] = step.output;
                }
            }
            assert!(plan.slots <= 4, "{} slots", plan.slots);
        }
    }

    /// `SparseInput` relies on it: a 1x1 convolution reuses the pixels that the pool before has
    /// read.
    #[test]
    fn every_pool_that_runs_with_a_convolution_reads_its_own_centre() {
        for network in networks() {
            for pool in Plan::new(&network).steps.iter().filter_map(|step| step.pool) {
                let Op::MaxPool(window) = network.layers[pool.0].op else { panic!("not a pool") };
                let side = network.blobs[network.layers[pool.0].input].side;
                for at in [[0, 0], [side / 2, 1], [side - 1, side - 1]] {
                    let mut reads_centre = false;
                    window.taps(at[0], at[1], side, |y, x| reads_centre |= [y, x] == at);
                    assert!(reads_centre);
                }
            }
        }
    }
}
