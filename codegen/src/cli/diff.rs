//! `diff`: what changed between two specifications, and whom it breaks.

use amqp091_codegen::diff::{Change, ChangeKind, diff};

use super::Verdict;
use super::arguments::{Argument, Arguments};
use super::check::counted;
use super::color::Style;
use super::input::{Files, only_once};
use super::output::{Output, one_line};
use super::stop::Stop;

const OPTIONS: &[&str] = &["breaking", "places", "standard"];

pub(super) fn run(arguments: &mut Arguments) -> Result<Verdict, Stop> {
    let mut sides = Vec::new();
    let (mut standard, mut breaking, mut places) = (false, false, false);
    while let Some(argument) = arguments.next()? {
        match argument {
            Argument::Value(names) => sides.push(Files::separated(&names)),
            Argument::Option(name) => match name.as_str() {
                "breaking" => breaking = true,
                "places" => places = true,
                "standard" => standard = true,
                _ => return Err(arguments.unknown_option(&name, OPTIONS)),
            },
        }
    }
    let [mut was, mut now] = <[Files; 2]>::try_from(sides).map_err(|sides| {
        let count = sides.len();
        arguments.usage(format!(
            "two specifications can be compared, not {count}; join the files of one with commas"
        ))
    })?;
    if standard {
        was.put_standard_first();
        now.put_standard_first();
    }
    only_once(arguments, &[&was, &now])?;
    // As with diff(1), 1 is for differences: what can't be compared is 2.
    let was = was.resolve(arguments, 2)?;
    let now = now.resolve(arguments, 2)?;

    let mut changes = diff(&was, &now);
    if breaking {
        changes.retain(Change::is_breaking);
    }
    let mut output = Output::new(arguments.color());
    for change in &changes {
        print(&mut output, change, places)?;
    }
    summary(&mut output, &changes, breaking)?;
    output.finish()?;
    Ok(if changes.is_empty() { Verdict::Clean } else { Verdict::Found })
}

fn print(output: &mut Output, change: &Change, places: bool) -> Result<(), Stop> {
    let (style, mark) = match change.kind {
        ChangeKind::Added(_) => (Style::Added, '+'),
        ChangeKind::Removed(_) => (Style::Removed, '-'),
        _ => (Style::Changed, '~'),
    };
    let line = output.styled(style, format!("{mark} {change}"));
    output.line(format_args!("{line}"))?;
    for (whom, why) in [("API", change.breaks.api), ("wire", change.breaks.wire)] {
        if let Some(why) = why {
            let whom = output.styled(Style::Error, format!("breaks the {whom}"));
            output.line(format_args!("    {whom}: {why}"))?;
        }
    }
    if places {
        for (when, place) in [("was", &change.was_at), ("now", &change.now_at)] {
            if let Some(place) = place {
                let place =
                    output.styled(Style::Faint, one_line(format_args!("{when} at {place}")));
                output.line(format_args!("    {place}"))?;
            }
        }
    }
    Ok(())
}

fn summary(output: &mut Output, changes: &[Change], breaking: bool) -> Result<(), Stop> {
    let count = |breaks: fn(&Change) -> bool| changes.iter().filter(|c| breaks(c)).count();
    let api = count(|change| change.breaks.api.is_some());
    let wire = count(|change| change.breaks.wire.is_some());
    let what = if breaking { "breaking change" } else { "change" };
    let summary = match changes.len() {
        0 => format!("no {what}s"),
        all => format!("{}: {api} break the API, {wire} break the wire", counted(all, what)),
    };
    let summary = output.styled(Style::Heading, summary);
    output.line(format_args!("{summary}"))
}
