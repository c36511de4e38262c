//! Boxes in a JSON file of COCO: lists of images, annotations and categories, which refer to each other
//! by numbers. A box is left, top, width and height.

use std::collections::HashMap;

use serde::Deserialize;

use super::BoxEntry;

#[derive(Deserialize)]
struct Contents {
    images: Vec<Image>,
    annotations: Vec<Annotation>,
    categories: Vec<Category>,
}

#[derive(Deserialize)]
struct Image {
    id: i64,
    file_name: String,
    width: Option<u64>,
    height: Option<u64>,
}

#[derive(Deserialize)]
struct Annotation {
    id: i64,
    image_id: i64,
    category_id: i64,
    bbox: [f64; 4],
}

#[derive(Deserialize)]
struct Category {
    id: i64,
    name: String,
}

pub fn entries(text: &str) -> Result<Vec<BoxEntry>, String> {
    let contents: Contents =
        serde_json::from_str(text).map_err(|error| format!("is not a JSON file of COCO: {error}"))?;
    let images = by_id("image", contents.images.iter().map(|image| (image.id, image)))?;
    let categories = by_id("category", contents.categories.iter().map(|category| (category.id, category)))?;
    let entry = |annotation: &Annotation| {
        let place = format!("annotation {}", annotation.id);
        let lacks = |kind: &str, id| format!("{place} names {kind} {id}, which the file does not have");
        let image = images.get(&annotation.image_id).ok_or_else(|| lacks("image", annotation.image_id))?;
        let category = categories
            .get(&annotation.category_id)
            .ok_or_else(|| lacks("category", annotation.category_id))?;
        let [left, top, width, height] = annotation.bbox;
        Ok(BoxEntry {
            photo: image.file_name.clone(),
            class: category.name.clone(),
            bounds: [left, top, left + width, top + height],
            size: image.width.zip(image.height).map(|(width, height)| [width, height]),
            place,
        })
    };
    contents.annotations.iter().map(entry).collect()
}

fn by_id<T>(kind: &str, all: impl Iterator<Item = (i64, T)>) -> Result<HashMap<i64, T>, String> {
    let mut by_id = HashMap::new();
    for (id, one) in all {
        if by_id.insert(id, one).is_some() {
            return Err(format!("has the {kind} {id} twice"));
        }
    }
    Ok(by_id)
}
