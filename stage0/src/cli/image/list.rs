//! `rkt image list`.

use std::time::{Duration, SystemTime};

use clap::ValueEnum;
use serde::Serialize;

use crate::cli::listing::ListFlags;
use crate::cli::{Verb, parse};
use crate::display::{Table, full_time, short_size, short_time};
use crate::store::{ImageInfo, Store};

/// Digits of a key in the short table.
const SHORT: usize = 12;

/// `rkt image list`.
pub const VERB: Verb = Verb {
    name: "list",
    about: "List images in the local store",
    privileged: false,
    command: || parse::command::<List>("image list", VERB.about),
    run,
};

/// Flags of `rkt image list`.
#[derive(Debug, clap::Args)]
pub struct List {
    /// Comma-separated list of columns: id, name, importtime, lastused, size
    #[arg(
        long,
        value_name = "LIST",
        default_value = "id,name,size,importtime,lastused",
        value_delimiter = ','
    )]
    fields: Vec<Field>,

    /// Sort by name, importtime, lastused or size
    #[arg(long, value_name = "FIELDS", default_value = "importtime", value_delimiter = ',')]
    sort: Vec<SortKey>,

    /// Order of the list
    #[arg(long, value_name = "ORDER", default_value = "asc")]
    order: Order,

    #[command(flatten)]
    shown: ListFlags,
}

/// A column.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "lower")]
enum Field {
    Id,
    Name,
    ImportTime,
    LastUsed,
    Size,
}

/// What the list is sorted by.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "lower")]
enum SortKey {
    Name,
    ImportTime,
    LastUsed,
    Size,
}

/// Small or early things first, or last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Order {
    Asc,
    Desc,
}

/// An image for programs.
#[derive(Debug, Serialize)]
struct Record {
    id: String,
    name: String,
    import_time: i64,
    last_used_time: i64,
    size: u64,
}

fn run(words: &[String]) -> anyhow::Result<u8> {
    let parsed = parse::parse::<List>((VERB.command)(), words)?;
    let flags = parsed.own;
    let mut images = Store::open_to_make_room(&parsed.global.data_dir()?)?.index().images()?;
    sort(&mut images, &flags);
    flags.shown.print(|| table(&images, &flags), || records(&images))?;
    Ok(0)
}

fn sort(images: &mut [ImageInfo], flags: &List) {
    images.sort_by(|a, b| {
        let order = flags.sort.iter().fold(std::cmp::Ordering::Equal, |order, key| {
            order.then_with(|| match key {
                SortKey::Name => name(a).cmp(&name(b)),
                SortKey::ImportTime => a.import_time.cmp(&b.import_time),
                SortKey::LastUsed => a.last_used.cmp(&b.last_used),
                SortKey::Size => size(a).cmp(&size(b)),
            })
        });
        if flags.order == Order::Desc { order.reverse() } else { order }
    });
}

fn name(image: &ImageInfo) -> String {
    match &image.version {
        Some(version) => format!("{}:{version}", image.name),
        None => image.name.clone(),
    }
}

fn size(image: &ImageInfo) -> u64 {
    image.size.saturating_add(image.tree_size)
}

fn time(nanos: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos.unsigned_abs())
}

fn table(images: &[ImageInfo], flags: &List) -> Table {
    let mut table = Table::default();
    if !flags.shown.no_legend {
        table.row(flags.fields.iter().map(|field| match field {
            Field::Id => "ID",
            Field::Name => "NAME",
            Field::ImportTime => "IMPORT TIME",
            Field::LastUsed => "LAST USED",
            Field::Size => "SIZE",
        }));
    }
    for image in images {
        table.row(flags.fields.iter().map(|field| cell(image, *field, flags.shown.full)));
    }
    table
}

fn cell(image: &ImageInfo, field: Field, full: bool) -> String {
    let show = |nanos| if full { full_time(time(nanos)) } else { short_time(time(nanos)) };
    match field {
        Field::Id if full => image.key.to_string(),
        Field::Id => image.key.short(SHORT).to_owned(),
        Field::Name => name(image),
        Field::ImportTime => show(image.import_time),
        Field::LastUsed => show(image.last_used),
        Field::Size if full => size(image).to_string(),
        Field::Size => short_size(size(image)),
    }
}

fn records(images: &[ImageInfo]) -> Vec<Record> {
    let record = |image: &ImageInfo| Record {
        id: image.key.to_string(),
        name: name(image),
        import_time: image.import_time,
        last_used_time: image.last_used,
        size: size(image),
    };
    images.iter().map(record).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Key;

    fn image(n: u8) -> ImageInfo {
        ImageInfo {
            key: Key::of(&[n]),
            name: format!("example.com/{}", char::from(b'z' - n)),
            version: Some(n.to_string()),
            import_time: i64::from(n) * 1_000_000_000,
            last_used: 0,
            latest: false,
            size: 1024 * u64::from(n),
            tree_size: 512,
        }
    }

    fn flags(text: &str) -> List {
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        parse::parse::<List>((VERB.command)(), &words).unwrap().own
    }

    #[test]
    fn columns_come_in_the_order_asked_for() {
        let flags = flags("--fields=name,id,size");
        let text = table(&[image(1)], &flags).to_string();
        let cells: Vec<Vec<&str>> =
            text.lines().map(|l| l.split('\t').filter(|c| !c.is_empty()).collect()).collect();
        assert_eq!(cells[0], ["NAME", "ID", "SIZE"]);
        assert_eq!(cells[1], ["example.com/y:1", image(1).key.short(12), "1.50KiB"]);
    }

    #[test]
    fn sorted_as_asked_for() {
        let order = |text: &str| {
            let mut images = [image(1), image(2)];
            sort(&mut images, &flags(text));
            images.map(|i| i.size / 1024)
        };
        assert_eq!(
            (order("--sort=name"), order("--sort=size"), order("--order=desc")),
            ([2, 1], [1, 2], [2, 1])
        );
    }

    #[test]
    fn full_cells_are_for_programs() {
        let full = |field| cell(&image(1), field, true);
        assert_eq!((full(Field::Size).as_str(), full(Field::Id).len()), ("1536", 71));
        assert!(full(Field::ImportTime).starts_with("1970-01-01 "));
    }
}
