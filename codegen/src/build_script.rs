//! The generator for `build.rs`: files in, files out, and what cargo must be told.

use std::path::{Path, PathBuf};
use std::{env, fmt, fs, io};

use thiserror::Error;

use crate::emit::emit;
use crate::lint::lint;
use crate::{Source, SpecErrors, resolve, standard};

/// Why nothing was generated.
///
/// A `main` that returns it prints its [`Debug`](fmt::Debug) form, which is made to be read: what is wrong with a
/// specification is listed one problem a line, each with file, line and column.
#[derive(Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Something is wrong with the specification: one problem a line.
    #[error(transparent)]
    Spec(#[from] SpecErrors),
    /// A file can't be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not run by cargo as a build script.
    #[error("the environment variable {0} isn't set; this function is for build scripts")]
    NoBuildScript(&'static str),
}

impl fmt::Debug for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // A line of its own for each, below the word that `main` puts before an error.
            Self::Spec(errors) => {
                let count = errors.problems().len();
                let plural = if count == 1 { "" } else { "s" };
                write!(f, "{count} problem{plural} in the specification\n{errors}")
            }
            Self::File { .. } | Self::NoBuildScript(_) => fmt::Display::fmt(self, f),
        }
    }
}

/// Generates `protocol.rs` and `round_trip.rs` in `OUT_DIR` from specification files, given as paths below the folder of
/// the package; the first is the base, the others are overlays. For use in `build.rs`.
///
/// If the generated code would print credentials, as it would if made from the published files alone, cargo shows a warning.
///
/// Files that would stay the same aren't written, so that what includes them isn't built anew.
///
/// # Errors
///
/// What is wrong with the specification, or a file that can't be read or written.
pub fn build(spec_files: &[&str]) -> Result<(), BuildError> {
    run(Vec::new(), spec_files)
}

/// As [`build`], with overlays on the [`standard`]: everything that the crate `amqp091` has, and what they add.
///
/// This is all that a `build.rs` needs:
///
/// ```no_run
/// fn main() -> Result<(), amqp091_codegen::BuildError> {
///     amqp091_codegen::extend(&["spec/acme.xml"])
/// }
/// ```
///
/// # Errors
///
/// What is wrong with an overlay, or a file that can't be read or written.
pub fn extend(overlays: &[&str]) -> Result<(), BuildError> {
    run(standard(), overlays)
}

fn run(base: Vec<Source>, spec_files: &[&str]) -> Result<(), BuildError> {
    let folder = variable("CARGO_MANIFEST_DIR")?;
    let out = variable("OUT_DIR")?;
    // Told first: a build that fails is tried again when the mistake is corrected.
    for name in spec_files {
        println!("cargo::rerun-if-changed={name}");
    }
    if spec_files.is_empty() {
        // Told nothing, cargo would run this whenever any file of the package changes.
        println!("cargo::rerun-if-changed=build.rs");
    }
    build_in(&folder, &out, base, spec_files)
}

fn build_in(
    folder: &Path,
    out: &Path,
    mut sources: Vec<Source>,
    spec_files: &[&str],
) -> Result<(), BuildError> {
    for name in spec_files {
        let path = folder.join(name);
        let source = fs::File::open(&path).and_then(|file| Source::read(*name, file));
        sources.push(source.map_err(|source| BuildError::File { path, source })?);
    }
    let model = resolve(&sources)?;
    for warning in lint(&model).iter().filter(|warning| warning.is_of_credentials()) {
        println!("cargo::warning={warning}");
    }
    let generated = emit(&model)?;
    write_if_changed(&out.join("protocol.rs"), &generated.protocol)?;
    write_if_changed(&out.join("round_trip.rs"), &generated.round_trip)
}

fn variable(name: &'static str) -> Result<PathBuf, BuildError> {
    env::var_os(name).map(PathBuf::from).ok_or(BuildError::NoBuildScript(name))
}

fn write_if_changed(path: &Path, text: &str) -> Result<(), BuildError> {
    if fs::read(path).is_ok_and(|old| old == text.as_bytes()) {
        return Ok(());
    }
    fs::write(path, text).map_err(|source| BuildError::File { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: &str = r#"<amqp major="0" minor="9" revision="1" port="5672"/>"#;

    /// An empty folder for one test.
    fn folder(name: &str) -> PathBuf {
        let folder = env::temp_dir().join(format!("amqp091-codegen-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn files_are_written_only_if_they_change() {
        let folder = folder("change");
        fs::write(folder.join("spec.xml"), SPEC).unwrap();
        build_in(&folder, &folder, Vec::new(), &["spec.xml"]).unwrap();
        let protocol = folder.join("protocol.rs");
        let text = fs::read_to_string(&protocol).unwrap();
        assert!(text.starts_with("// @generated by amqp091-codegen from spec.xml; do not edit.\n"));
        assert!(folder.join("round_trip.rs").is_file());

        let long_ago = std::time::SystemTime::UNIX_EPOCH;
        let file = fs::File::options().write(true).open(&protocol).unwrap();
        file.set_modified(long_ago).unwrap();
        let modified = || fs::metadata(&protocol).unwrap().modified().unwrap();
        build_in(&folder, &folder, Vec::new(), &["spec.xml"]).unwrap();
        assert_eq!(modified(), long_ago);
        fs::write(folder.join("spec.xml"), SPEC.replace("5672", "5673")).unwrap();
        build_in(&folder, &folder, Vec::new(), &["spec.xml"]).unwrap();
        assert_ne!(modified(), long_ago);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn errors_say_which_file() {
        let folder = folder("errors");
        let error = build_in(&folder, &folder, Vec::new(), &["absent.xml"]).unwrap_err();
        let path = folder.join("absent.xml");
        assert!(error.to_string().starts_with(&format!("{}: ", path.display())));
        fs::write(folder.join("spec.xml"), "<amqp>\n<x/>\n<y/></amqp>").unwrap();
        let error = build_in(&folder, &folder, Vec::new(), &["spec.xml"]).unwrap_err();
        assert!(matches!(error, BuildError::Spec(_)));
        assert!(error.to_string().starts_with("spec.xml:2:1: unknown element <x>"));
        // As `main` prints it.
        let printed = format!("Error: {error:?}");
        let lines: Vec<&str> = printed.lines().collect();
        assert_eq!(lines[0], "Error: 2 problems in the specification");
        assert!(lines[1].starts_with("spec.xml:2:1: unknown element <x>"), "{printed}");
        assert!(lines[2].starts_with("spec.xml:3:1: unknown element <y>"), "{printed}");
        assert_eq!(lines.len(), 3);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn overlays_extend_the_standard() {
        let folder = folder("extend");
        let overlay = r#"<amqp>
  <class name="queue" index="50">
    <method name="pause" index="60"><chassis name="server" implement="MAY"/></method>
  </class>
</amqp>"#;
        fs::write(folder.join("acme.xml"), overlay).unwrap();
        build_in(&folder, &folder, standard(), &["acme.xml"]).unwrap();
        let text = fs::read_to_string(folder.join("protocol.rs")).unwrap();
        let header = "// @generated by amqp091-codegen from amqp091-codegen/spec/amqp0-9-1.xml, \
                      amqp091-codegen/spec/rabbitmq.xml, acme.xml; do not edit.\n";
        assert!(text.starts_with(header), "{}", text.lines().next().unwrap_or_default());
        for method in ["QueuePause(", "QueueDeclare(", "ConfirmSelect("] {
            assert!(text.contains(method), "{method}");
        }
        let wrong = overlay.replace("50", "51");
        fs::write(folder.join("acme.xml"), wrong).unwrap();
        let error = build_in(&folder, &folder, standard(), &["acme.xml"]).unwrap_err().to_string();
        assert!(
            error.starts_with("acme.xml:2:3: queue: overlay redefines the index: 50 at amqp091-codegen/spec/amqp0-9-1.xml:"),
            "{error}"
        );
        fs::remove_dir_all(folder).unwrap();
    }
}
