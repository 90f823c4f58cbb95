//! What couldn't be read of the files, and what the later stages find for that reason alone.

use std::collections::HashSet;

use crate::problem::{Problem, ProblemKind};

use super::tree::Element;

/// What couldn't be read.
#[derive(Debug, Default)]
pub(crate) struct Unread {
    /// The paths of all that is wrong, and of what is around it.
    wrong: HashSet<String>,
    /// The same without attributes that the schema doesn't have: those don't make an element unreadable.
    incomplete: HashSet<String>,
    /// The paths of classes, methods and fields that aren't in the documents.
    lost: HashSet<String>,
    /// The names of what isn't in the documents, and of all inside.
    names: HashSet<String>,
    /// Whether something among that has no name that could be read, so that it may be anything.
    nameless: bool,
}

impl Unread {
    /// An element of the schema that can't be made sense of.
    pub(super) fn lost(&mut self, element: &Element, parent: &str) {
        match element.get("name") {
            Some(name) if parent.is_empty() => {
                self.lost.insert(name.to_owned());
            }
            Some(name) => {
                self.lost.insert(format!("{parent}.{name}"));
            }
            None => self.nameless = true,
        }
        self.unknown(element);
    }

    /// An element that the schema doesn't have, perhaps one that is misspelled.
    pub(super) fn unknown(&mut self, element: &Element) {
        self.names.extend(element.get("name").map(str::to_owned));
        // No deeper than elements are nested, which is bounded.
        element.children.iter().for_each(|child| self.unknown(child));
    }

    pub(super) fn mistakes(&mut self, problems: &[Problem]) {
        for problem in problems {
            let harmless = matches!(problem.kind, ProblemKind::UnknownAttribute { .. });
            for path in outwards(&problem.path) {
                self.wrong.insert(path.to_owned());
                if !harmless {
                    self.incomplete.insert(path.to_owned());
                }
            }
        }
    }

    /// Whether a problem of a later stage may be there only because something couldn't be read.
    pub(crate) fn explains(&self, problem: &Problem) -> bool {
        let path = problem.path.as_str();
        let class = path.split('.').next().unwrap_or_default();
        match &problem.kind {
            ProblemKind::UnknownDomain { name, .. }
            | ProblemKind::UnknownConstant { name, .. }
            | ProblemKind::UnknownResponse { name, .. }
            | ProblemKind::UnknownAssertMethod { name, .. }
            | ProblemKind::UnknownAssertField { name, .. } => {
                self.nameless || self.names.contains(name)
            }
            ProblemKind::NotAReplyCode { name, .. } => self.is_wrong(&format!("constant {name}")),
            ProblemKind::ResponseDirection { response, .. } => {
                self.is_incomplete(path) || self.is_incomplete(&format!("{class}.{response}"))
            }
            ProblemKind::ContentWithoutProperties => self.is_incomplete(class),
            ProblemKind::NoDirection => self.is_incomplete(path),
            // Without these, an element isn't read at all.
            ProblemKind::OverlayRedefines {
                what: "the index" | "the value" | "the type", ..
            } => false,
            // The attribute that is absent may be there, misspelled.
            ProblemKind::MissingAttribute { .. }
            | ProblemKind::OverlayRedefines { .. }
            | ProblemKind::RecoverableWithoutClass => self.is_wrong(path),
            _ => false,
        }
    }

    /// Whether something is wrong with the element of that path or with one inside it, or one around it isn't there.
    fn is_wrong(&self, path: &str) -> bool {
        self.wrong.contains(path) || self.is_lost(path)
    }

    /// The same without attributes that the schema doesn't have.
    fn is_incomplete(&self, path: &str) -> bool {
        self.incomplete.contains(path) || self.is_lost(path)
    }

    fn is_lost(&self, path: &str) -> bool {
        outwards(path).any(|path| self.lost.contains(path))
    }
}

/// A path and those of the elements around it: `c.m.f`, `c`, `c.m`. In a name that isn't one, there may be more dots.
fn outwards(path: &str) -> impl Iterator<Item = &str> {
    let around = path.match_indices('.').take(2).map(|(dot, _)| &path[..dot]);
    std::iter::once(path).chain(around)
}
