//! XML text to a tree of elements with their positions; knows nothing of AMQP.

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Arc;

use quick_xml::escape::{EscapeError, resolve_predefined_entity};
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;
use quick_xml::{Error, XmlVersion};

use crate::problem::{Problem, ProblemKind};
use crate::schema::Position;

/// How deep elements may be nested. The schema has six levels; more than these, and dropping the tree, which is a
/// recursion, would be a question of stack.
const DEPTH_MAX: usize = 32;

/// An element, its text and its children.
#[derive(Debug)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) children: Vec<Self>,
    /// The text directly inside, children left out.
    pub(super) text: String,
    /// Where the first of the text is that isn't white space.
    pub(super) text_position: Option<Position>,
    pub(super) position: Position,
}

/// Reads one file. The first mistake ends the reading: what follows one in XML can't be trusted.
pub(super) fn read(source: usize, name: &str, text: &str) -> Result<Element, Box<Problem>> {
    let places = Places::new(source, name, text);
    let malformed = |offset: usize, message: String| {
        let kind = ProblemKind::Malformed(message);
        Box::new(Problem::new(&places.at(offset), "", kind))
    };
    let mut reader = Reader::from_str(text);
    reader.config_mut().enable_all_checks(true);
    reader.config_mut().expand_empty_elements = true;

    let mut open: Vec<Element> = Vec::new();
    let mut root: Option<Element> = None;
    loop {
        let offset = offset(reader.buffer_position());
        let event = match reader.read_event() {
            Ok(event) => event,
            Err(error) => {
                return Err(malformed(self::offset(reader.error_position()), error.to_string()));
            }
        };
        let text: Cow<'_, str> = match event {
            Event::Start(start) => {
                if root.is_some() {
                    return Err(malformed(
                        offset,
                        format!("a second outermost element <{}>", start.name().0),
                    ));
                }
                if open.len() == DEPTH_MAX {
                    return Err(malformed(
                        offset,
                        format!("elements are nested deeper than {DEPTH_MAX} levels"),
                    ));
                }
                let attributes =
                    attributes(&start).map_err(|message| malformed(offset, message))?;
                open.push(Element {
                    name: start.name().0.to_owned(),
                    attributes,
                    children: Vec::new(),
                    text: String::new(),
                    text_position: None,
                    position: places.at(offset),
                });
                continue;
            }
            Event::End(_) => {
                // The reader has checked that the end matches the start.
                if let Some(element) = open.pop() {
                    match open.last_mut() {
                        Some(parent) => parent.children.push(element),
                        None => root = Some(element),
                    }
                }
                continue;
            }
            Event::Eof => break,
            Event::Text(text) => text.xml10_content(),
            Event::CData(text) => text.xml10_content(),
            Event::GeneralRef(reference) => match reference.resolve_char_ref() {
                Ok(Some(character)) => character.to_string().into(),
                Ok(None) => match resolve_predefined_entity(&reference) {
                    Some(text) => text.into(),
                    None => {
                        let message = format!("unknown entity &{};", &*reference);
                        return Err(malformed(offset, message));
                    }
                },
                Err(error) => return Err(malformed(offset, error.to_string())),
            },
            // Expanded to a start and an end by the reader.
            Event::Empty(_) => continue,
            // The document type is named, never fetched: the schema is known here.
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => continue,
        };
        let blank = text.len() - text.trim_start().len();
        match open.last_mut() {
            Some(element) => {
                if blank < text.len() && element.text_position.is_none() {
                    element.text_position = Some(places.at(offset + blank));
                }
                element.text.push_str(&text);
            }
            None if blank < text.len() => {
                return Err(malformed(
                    offset + blank,
                    "text outside of the outermost element".to_owned(),
                ));
            }
            None => {}
        }
    }
    if let Some(element) = open.last() {
        let message = format!("<{}> is never closed", element.name);
        let kind = ProblemKind::Malformed(message);
        return Err(Box::new(Problem::new(&element.position, "", kind)));
    }
    root.ok_or_else(|| malformed(0, "no element at all".to_owned()))
}

fn attributes(start: &BytesStart<'_>) -> Result<Vec<(String, String)>, String> {
    start
        .attributes()
        .map(|attribute| {
            let attribute = attribute.map_err(|error| error.to_string())?;
            let value =
                attribute.normalized_value(XmlVersion::Implicit1_0).map_err(
                    |error| match error {
                        // Without the offsets in the value, which mean nothing beside line and column.
                        Error::Escape(EscapeError::UnrecognizedEntity(_, name)) => {
                            format!("unknown entity &{name};")
                        }
                        other => other.to_string(),
                    },
                )?;
            Ok((attribute.key.0.to_owned(), value.into_owned()))
        })
        .collect()
}

fn offset(position: u64) -> usize {
    // The whole text is in memory.
    usize::try_from(position).unwrap_or(usize::MAX)
}

/// Turns offsets into lines and columns.
struct Places<'a> {
    source: usize,
    file: Arc<str>,
    text: &'a str,
    /// The offset of the first octet of each line.
    lines: Vec<usize>,
    /// Offset and column of the last place that was asked for. The next one is counted from there if it is further on in the
    /// same line: counted from the line's start, a file of one long line would take quadratic time.
    last: Cell<(usize, usize)>,
}

impl<'a> Places<'a> {
    fn new(source: usize, name: &str, text: &'a str) -> Self {
        let newlines = text.match_indices('\n');
        Self {
            source,
            file: Arc::from(name),
            text,
            lines: std::iter::once(0).chain(newlines.map(|(offset, _)| offset + 1)).collect(),
            last: Cell::new((0, 1)),
        }
    }

    fn at(&self, offset: usize) -> Position {
        let offset = offset.min(self.text.len());
        let line = self.lines.partition_point(|start| *start <= offset);
        let start = self.lines.get(line - 1).copied().unwrap_or_default();
        let (from, mut column) = match self.last.get() {
            (last, column) if (start..=offset).contains(&last) => (last, column),
            _ => (start, 1),
        };
        if let Some(between) = self.text.get(from..offset) {
            column += between.chars().count();
            self.last.set((offset, column));
        }
        Position { source: self.source, line, column, file: Arc::clone(&self.file) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        read(0, "a.xml", text).unwrap_err().to_string()
    }

    #[test]
    fn positions_are_those_of_the_opening_bracket() {
        let root = read(0, "a.xml", "<?xml version='1.0'?>\n<a>\n  <é/><b\n/>\n</a>").unwrap();
        assert_eq!(root.position.to_string(), "a.xml:2:1");
        let places: Vec<String> =
            root.children.iter().map(|child| child.position.to_string()).collect();
        assert_eq!(places, ["a.xml:3:3", "a.xml:3:7"]);
    }

    #[test]
    fn text_is_joined_and_entities_are_resolved() {
        let root = read(0, "a.xml", "<a> x &lt;&#65;<!-- no --><![CDATA[ & ]]></a>").unwrap();
        assert_eq!(root.text, " x <A & ");
        assert_eq!(root.text_position.unwrap().to_string(), "a.xml:1:5");
    }

    #[test]
    fn what_is_not_xml_is_refused_with_its_place() {
        for (text, expected) in [
            ("", "a.xml:1:1: malformed XML: no element at all"),
            ("<a>\n <b>\n", "a.xml:2:2: malformed XML: <b> is never closed"),
            ("<a/>\n<b/>", "a.xml:2:1: malformed XML: a second outermost element <b>"),
            ("<a/>\n x", "a.xml:2:2: malformed XML: text outside of the outermost element"),
            ("<a>\n&nbsp;</a>", "a.xml:2:1: malformed XML: unknown entity &nbsp;"),
            ("<a x='1 &nbsp;'/>", "a.xml:1:1: malformed XML: unknown entity &nbsp;"),
        ] {
            assert_eq!(message(text), expected);
        }
        for (text, place) in [
            ("<a>\n</b>", "a.xml:2:1: "),
            ("<a>\n<b x='1' x='2'/></a>", "a.xml:2:1: "),
            ("<a>\n<b", "a.xml:2:1: "),
            ("<a>\n <!-- a -- b --></a>", "a.xml:2:"),
        ] {
            let message = message(text);
            assert!(message.starts_with(place), "{text}: {message}");
        }
    }
}
