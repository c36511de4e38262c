//! Features of pictures, and networks whose last layer has learned other classes from them.

use std::ffi::c_int;

use super::network::{Image, Network, in_c};
use super::{OutHandle, Outcome, array, copy, given, make, not_null, refuse, status};
use crate::learn::{Features, Fit, cross_validate, stratified_folds};
use crate::{GoogLeNet, Labels};

#[unsafe(no_mangle)]
pub extern "C" fn occlude_features_count(network: Option<&Network>) -> usize {
    network.map_or(0, |network| network.net.features_len())
}

/// # Safety
/// See the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn occlude_features(
    network: Option<&Network>,
    image: Option<&Image>,
    features: *mut f32,
    count: usize,
) -> c_int {
    status(|| {
        let Network { net, .. } = given(network, "network")?;
        let image = given(image, "image")?;
        not_null(features, "features")?;
        let expected = net.features_len();
        if count != expected {
            return Err(refuse("count", format!("is {count}, expected {expected}")));
        }
        net.check_memory()?;
        // SAFETY: the header requires room for `count` values.
        unsafe { copy(&net.features(&image.input), features, count, "features") }
    })
}

/// # Safety
/// See the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn occlude_network_learn(
    network: Option<&Network>,
    features: *const f32,
    values: usize,
    views: usize,
    targets: *const usize,
    photographs: usize,
    classes: usize,
    l2: f64,
    out: OutHandle<Network>,
) -> c_int {
    make(out, "learned", || {
        let Network { net, .. } = given(network, "network")?;
        // SAFETY: the header requires `values` values.
        let features = unsafe { array(features, values, "features") }?;
        // SAFETY: the header requires `photographs` values.
        let targets = unsafe { array(targets, photographs, "targets") }?;
        let width = net.features_len();
        let expected = photographs.checked_mul(views).and_then(|rows| rows.checked_mul(width));
        if views == 0 || expected != Some(values) {
            let expected = format!("{width} for each of {views} views of {photographs} photographs");
            return Err(refuse("values", format!("is {values}, expected {expected}")));
        }
        learn(net, features, views, targets, classes, l2)
    })
}

/// The network with a last layer that has learned from `[photographs][views][width]` features.
fn learn(
    net: &GoogLeNet,
    values: &[f32],
    views: usize,
    targets: &[usize],
    classes: usize,
    l2: f64,
) -> Outcome<Network> {
    let mut features = Features::new(net.features_len())?;
    values.chunks_exact(features.width()).try_for_each(|row| features.push(row))?;
    let of_rows: Vec<usize> = targets.iter().flat_map(|&target| std::iter::repeat_n(target, views)).collect();
    let mut fit = Fit { features: &features, targets: &of_rows, classes, fixed: None, l2 };
    let is_searched = l2 == 0.0;
    if is_searched {
        fit.l2 = 1.0;
    }
    let rows: Vec<usize> = (0..features.count()).collect();
    fit.check(&rows)?;
    // A class without photographs has no finite bias.
    let mut counts = vec![0; classes];
    targets.iter().for_each(|&target| counts[target] += 1);
    let least = if is_searched { 2 } else { 1 };
    if let Some(class) = counts.iter().position(|&count| count < least) {
        let found = counts[class];
        let problem = format!("has {found} photographs of class {class}, expected at least {least}");
        return Err(refuse("targets", problem));
    }
    if is_searched {
        fit.l2 = cross_validate(&fit, views, &stratified_folds(targets), &mut |_, _| Ok(()))?.l2;
    }
    let classifier = fit.run(&rows)?;
    let names = Labels::numbered(classes);
    Ok(Network { net: classifier.replace_in_network(net)?, labels: in_c(&names), names })
}
