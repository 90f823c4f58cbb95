//! `list`.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

use super::run::Folder;

const METHODS: [&str; 4] = [
    "ID     METHOD            SENT BY  MARKS               REPLIES     ARGUMENTS IN WIRE ORDER",
    "50.10  queue.declare     client   sync                declare-ok  (reserved-1: short), queue: shortstr, limit: long = 7",
    "50.11  queue.declare-ok  server   sync                -           -",
    "50.20  queue.pause       both     content deprecated  -           -",
];

#[test]
fn methods_are_a_table() {
    let folder = Folder::new("list");
    folder.run("list base.xml overlay.xml").wrote(0, &METHODS);
    folder.run("list base.xml overlay.xml --methods --class queue").wrote(0, &METHODS);
}

#[test]
fn other_things_are_tables_too() {
    let folder = Folder::new("list-others");
    let properties = ["BIT  PROPERTY    TYPE      DOMAIN", "15   queue.type  shortstr  -"];
    let constants = [
        "VALUE  CONSTANT   CLASS       MARKS",
        "206    frame-end  -           -",
        "404    not-found  soft-error  -",
    ];
    let domains = ["DOMAIN      TYPE      ASSERTS", "queue-name  shortstr  length 127"];
    folder.run("list base.xml --properties").wrote(0, &properties);
    folder.run("list base.xml --constants").wrote(0, &constants);
    folder.run("list base.xml --domains").wrote(0, &domains);
    let all = [&METHODS[..], &[""], &properties, &[""], &constants, &[""], &domains].concat();
    let line = "list --domains --constants --properties --methods base.xml overlay.xml";
    folder.run(line).wrote(0, &all);
}

#[test]
fn without_a_file_it_is_the_standard() {
    let folder = Folder::new("list-standard");
    let standard = folder.run("list");
    assert_eq!((standard.status, &*standard.err), (0, ""));
    assert_eq!(standard.out.lines().count(), 1 + 64);
    for line in ["list @standard", "list --standard", "list @amqp0-9-1 @rabbitmq"] {
        assert_eq!(folder.run(line), standard);
    }
    let nack: Vec<&str> =
        standard.out.lines().filter(|line| line.contains(" basic.nack ")).collect();
    let [nack] = nack[..] else { panic!("{nack:?}") };
    assert_eq!(
        nack.split_whitespace().collect::<Vec<_>>().join(" "),
        "60.120 basic.nack both - - delivery-tag: longlong, multiple: bit, requeue: bit = true"
    );

    // The classes that are asked for, in the order of the specification.
    let some = folder.run("list --class tx --class confirm").out;
    let of_classes = |line: &&str| line.contains(" tx.") || line.contains(" confirm.");
    let names = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(of_classes);
        lines.map(|line| line.split_whitespace().nth(1).unwrap().to_owned()).collect()
    };
    assert_eq!(names(&some), names(&standard.out));
    assert_eq!(some.lines().count(), 1 + 8);
}

#[test]
fn mistakes_are_shown_instead() {
    let folder = Folder::new("list-mistakes");
    folder.write("base.xml", "<amqp major=\"0\" minor=\"9\" revision=\"1\" port=\"x\"/>");
    folder
        .run("list base.xml")
        .complained(1, &[r#"base.xml:1:1: error: port="x"; expected a number from 0 to 65535"#]);
}
