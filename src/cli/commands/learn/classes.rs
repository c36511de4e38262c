//! The classes of the photographs, and the classes of the network before and after.

use occlude::forward::{exp, log_sum_exp};
use occlude::text::shown;
use occlude::{Error, Labels, Result, Weights};

use super::examples::{Before, Example, LEAST};
use crate::cli::args::{self, Learn};
use crate::cli::photographs::labelled::class_named;

/// The name of the photographs of `--others`.
const OTHERS: &str = "(others)";

/// The largest number of bytes of a network's name.
const LONGEST_NAME: usize = 80;

/// The role of a class of the photographs.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Role {
    /// A class that is trained, with its index among these.
    New(usize),
    /// A class that the network has and keeps, with its index.
    Kept(usize),
    /// Anything but the new classes.
    Others,
}

/// The answer to a photograph.
pub struct Answer {
    /// The index of the class in the trained network.
    pub index: usize,
    /// The index among the classes of the photographs, if it is one of them.
    pub place: Option<usize>,
    pub label: String,
    pub probability: f64,
}

/// The classes of the photographs.
pub struct Classes {
    pub names: Vec<String>,
    roles: Vec<Role>,
    /// True if the network keeps its classes.
    pub keeps: bool,
    /// The names of the trained network's classes.
    pub labels: Labels,
    /// Number of classes of the network before.
    before: usize,
}

impl Classes {
    /// Compares the names of the photographs' classes with those of the network.
    ///
    /// # Errors
    /// [`Error::Image`] if there are too few classes, or if all are known; [`Error::Labels`] if two names
    /// mean one class.
    pub fn new(input: &str, mut names: Vec<String>, weights: &Weights, options: &Learn) -> Result<Classes> {
        let refuse = |problem: String| Err(Error::Image { name: input.to_string(), problem });
        let known = weights.labels();
        let mut new = Vec::new();
        let mut roles = Vec::new();
        let refuse_name = |name: &str, problem: &str| {
            let problem = format!("has the class \"{}\", {problem}: rename the folder", shown(name));
            Err(Error::Labels { name: input.to_string(), problem })
        };
        for name in &names {
            if name.bytes().all(|byte| byte.is_ascii_digit()) {
                return refuse_name(name, "which is a number, expected a name");
            }
            let role = match class_named(&known, name) {
                Ok(class) if options.keep => Role::Kept(class),
                Err(error @ Error::Option { .. }) if options.keep => return Err(error),
                _ => {
                    new.push(name.as_str());
                    Role::New(new.len() - 1)
                }
            };
            if let Some(other) = roles.iter().position(|before| *before == role) {
                let other = shown(&names[other]);
                return refuse_name(name, &format!("which is the same class of the network as \"{other}\""));
            }
            roles.push(role);
        }
        if !options.keep && names.len() < 2 {
            return refuse(format!(
                "has photographs of 1 class, \"{}\": expected at least 2 classes, or --keep with photographs of other \
                 things (--others)",
                names.first().map_or("", |name| name)
            ));
        }
        if new.is_empty() {
            return refuse(
                "has only classes that the network has: expected a new one, or no --keep, which trains them anew".to_string(),
            );
        }
        let lines = new.join("\n");
        let lines = if options.keep { format!("{}\n{lines}", known.lines()) } else { lines };
        let labels = Labels::parse("the names of the classes", lines.as_bytes())?;
        // A name, and the first one of several, must find its own class in --classes.
        let first = labels.count() - new.len();
        for (class, name) in (first..).zip(&new) {
            let finds = |name: &str| {
                let found = args::classes::Classes::parse(&[name.to_string()], &labels);
                found.is_ok_and(|found| found == args::classes::Classes::of(vec![class]))
            };
            if !finds(name) || !finds(labels.short(class)) {
                return refuse_name(name, "which --classes would not tell from other classes or options");
            }
        }
        if options.keep && !options.others.is_empty() {
            names.push(OTHERS.to_string());
            roles.push(Role::Others);
        }
        if options.keep && !roles.iter().any(|role| !matches!(role, Role::New(_))) {
            return refuse(
                "has only new classes: with --keep, expected also photographs of other things, in folders that are named as \
                 classes of the network, or with --others"
                    .to_string(),
            );
        }
        Ok(Classes { names, roles, keeps: options.keep, labels, before: known.count() })
    }

    /// The index of the photographs of `--others`.
    pub fn others(&self) -> Option<usize> {
        self.roles.iter().position(|role| *role == Role::Others)
    }

    pub fn new_count(&self) -> usize {
        self.roles.iter().filter(|role| matches!(role, Role::New(_))).count()
    }

    /// The target of the training for a class of the photographs; see [`occlude::learn::Fit`].
    pub fn target(&self, class: usize) -> usize {
        match self.roles[class] {
            Role::New(new) => new,
            Role::Kept(_) | Role::Others => self.new_count(),
        }
    }

    /// The answer to a photograph of `class`: the largest of the new logits and of those before.
    pub fn answer(&self, class: usize, logits: &[f64], before: &Before) -> Answer {
        let best = (0..logits.len()).fold(0, |best, at| if logits[at] > logits[best] { at } else { best });
        let mut all = logits.to_vec();
        all.extend(self.keeps.then_some(before.all));
        let (index, place, logit) = if self.keeps && before.logit >= logits[best] {
            // Any class of the network is right for a photograph of others.
            let place = match self.roles[class] {
                Role::Others => Some(class),
                _ => self.roles.iter().position(|role| *role == Role::Kept(before.best)),
            };
            (before.best, place, before.logit)
        } else {
            let place = self.roles.iter().position(|role| *role == Role::New(best));
            (if self.keeps { self.before + best } else { best }, place, logits[best])
        };
        Answer {
            index,
            place,
            label: self.labels.short(index).to_string(),
            probability: exp(logit - log_sum_exp(&all)),
        }
    }

    /// Checks that there are enough photographs: of each new class, and of all others together.
    ///
    /// # Errors
    /// [`Error::Image`], which names all classes with too few.
    pub fn check_counts(&self, input: &str, examples: &[Example]) -> Result<()> {
        let count = |is_meant: &dyn Fn(usize) -> bool| examples.iter().filter(|e| is_meant(e.class)).count();
        let mut few: Vec<String> = Vec::new();
        for (class, name) in self.names.iter().enumerate() {
            let found = count(&|of| of == class);
            if matches!(self.roles[class], Role::New(_)) && found < LEAST {
                few.push(format!("\"{}\" has {found}", shown(name)));
            }
        }
        let others = count(&|of| !matches!(self.roles[of], Role::New(_)));
        if self.keeps && others < LEAST {
            few.push(format!("the classes that the network has, and --others, have {others} together"));
        }
        if few.is_empty() {
            return Ok(());
        }
        let problem = format!(
            "{}: expected at least {LEAST} different photographs of each class; 20 or more are better",
            few.join(", ")
        );
        Err(Error::Image { name: input.to_string(), problem })
    }

    /// The name of the trained network.
    pub fn network_name(&self, weights: &Weights) -> String {
        const TAUGHT: &str = "taught ";
        let name = weights.name();
        let name = name.strip_prefix(TAUGHT).unwrap_or(name);
        let mut end = name.len().min(LONGEST_NAME - TAUGHT.len());
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        format!("{TAUGHT}{}", &name[..end])
    }
}
