//! `segring create`, `ls` and `rm`, and what all commands say to wrong arguments.

use super::name::TestName;
use super::side::{Side, run, until_ring};
use segring::mpmc;
use segring::spsc::{ByteRing, Ring};

#[test]
fn create_ls_rm() {
    let name = TestName::new("admin");
    run(&["create", name.as_str(), "--capacity", "100K", "--mode", "640", "--prefault"]).expect(0, "");
    run(&["create", name.as_str()]).expect(1, "exists already");
    let listed = run(&["ls", name.as_str()]);
    listed.expect(0, "");
    let text = String::from_utf8(listed.out).expect("text");
    let key = format!("{:#010x}", name.key());
    for word in ["NAME", "STATE", name.as_str(), &key, "spsc-bytes", "131072", "640", "open"] {
        assert!(text.split_whitespace().any(|w| w == word), "{word} is not in\n{text}");
    }
    run(&["rm", name.as_str()]).expect(0, "");
    name.is_gone();
    run(&["rm", name.as_str()]).expect(1, "no such ring");
    run(&["ls", name.as_str()]).expect(1, "no such ring");
}

#[test]
fn ls_tells_a_program_who_is_there() {
    let name = TestName::new("json");
    let mut tx = Side::send(name.as_str());
    tx.feed(b"data");
    until_ring(name.as_str(), "it is in the ring", |s| s.pushed == 1);
    let listed = run(&["ls", "--json"]);
    listed.expect(0, "");
    let rings: serde_json::Value = serde_json::from_slice(&listed.out).expect("JSON");
    let ring = rings.as_array().expect("array").iter().find(|r| r["name"] == name.as_str()).expect("listed");
    assert_eq!(ring["key"], format!("{:#010x}", name.key()));
    assert_eq!(ring["producer"], serde_json::json!({ "state": "live", "pid": tx.pid() }));
    assert_eq!(ring["consumer"], serde_json::json!({ "state": "never" }));
    assert_eq!((&ring["len"], &ring["capacity"]), (&1.into(), &(4 << 20).into()));
    assert_eq!(
        (&ring["ephemeral"], &ring["removed"], &ring["closed"]),
        (&true.into(), &false.into(), &false.into())
    );
    assert_eq!((&ring["mode"], &ring["attached"]), (&"600".into(), &1.into()));
    // The same ring by its id and by its key.
    for other in [format!("id:{}", ring["shmid"]), format!("key:{:#x}", name.key())] {
        run(&["ls", &other]).expect(0, "");
    }
    tx.signal(libc::SIGKILL);
    tx.end();
    let listed = String::from_utf8(run(&["ls", name.as_str()]).out).expect("text");
    assert!(listed.contains(" died "), "{listed}");
}

#[test]
fn ls_tells_where_messages_of_many_lie_and_how_many_may_be_held() {
    let shown = |name: &TestName| {
        let listed = run(&["ls", name.as_str()]);
        listed.expect(0, "");
        let text = String::from_utf8(listed.out).expect("text");
        let cells = |line: Option<&str>| -> Vec<String> {
            line.expect("two lines").split_whitespace().map(str::to_owned).collect()
        };
        let mut lines = text.lines();
        let (heads, row) = (cells(lines.next()), cells(lines.next()));
        let at = heads.iter().position(|head| head == "IN-HAND").expect("a column");
        let json = run(&["ls", name.as_str(), "--json"]);
        let rings: serde_json::Value = serde_json::from_slice(&json.out).expect("JSON");
        (row[at].clone(), rings[0]["layout"].clone(), rings[0]["in_hand"].clone())
    };
    let (one, slots, entries) = (TestName::new("one"), TestName::new("slots"), TestName::new("entries"));
    ByteRing::builder(one.as_str()).create().expect("create");
    assert_eq!(shown(&one), ("-".to_owned(), "dense".into(), serde_json::Value::Null));
    mpmc::Ring::<u64>::builder(slots.as_str()).in_hand(3).create().expect("create");
    assert_eq!(shown(&slots), ("3".to_owned(), "dense".into(), 3.into()));
    let ring = mpmc::Ring::<u64>::builder(entries.as_str()).create().expect("create");
    // Without the instruction that it takes, slots serve.
    let inline = ring.in_hand() == 0;
    let wanted = if inline { ("inline", "inline", 0) } else { ("1", "dense", 1) };
    assert_eq!(shown(&entries), (wanted.0.to_owned(), wanted.1.into(), wanted.2.into()));
}

#[test]
fn ls_says_why_more_messages_are_there_than_fit() {
    let (entries, slots) = (TestName::new("entries"), TestName::new("slots"));
    let listed = |name: &TestName| {
        let listed = run(&["ls", name.as_str()]);
        listed.expect(0, "");
        String::from_utf8(listed.out).expect("text")
    };
    let note = "\n\ninline: CAPACITY counts entries, LEN messages";
    let ring = mpmc::Ring::<u64>::builder(entries.as_str()).capacity(4).create().expect("create");
    if ring.in_hand() > 0 {
        return; // Without the instruction that it takes, slots serve.
    }
    let (mut tx, mut rx) = (ring.producer().expect("join"), ring.consumer().expect("join"));
    assert_eq!(tx.push_slice(&[7; 64]), Ok(64));
    let text = listed(&entries);
    assert!(text.contains(" 64 ") && text.contains(note) && text.ends_with(".\n"), "{text}");
    let json = run(&["ls", entries.as_str(), "--json"]);
    let rings: serde_json::Value = serde_json::from_slice(&json.out).expect("nothing but JSON");
    assert_eq!((&rings[0]["len"], &rings[0]["capacity"]), (&64.into(), &4.into()));
    assert_eq!(rx.pop_slice(&mut [0; 60]), Ok(60));
    // Four are no riddle, nor are slots.
    assert_eq!(listed(&entries).lines().count(), 2);
    let ring = mpmc::Ring::<u64>::builder(slots.as_str()).capacity(4).in_hand(1).create().expect("create");
    assert_eq!(ring.producer().expect("join").push_slice(&[7; 64]), Ok(4));
    assert_eq!(listed(&slots).lines().count(), 2);
    let help = String::from_utf8(run(&["ls", "--help"]).out).expect("text");
    assert!(help.contains("entries") && help.contains("LEN may be more"), "{help}");
}

#[test]
fn rm_takes_several_and_goes_on_after_one_that_is_not_there() {
    let (bytes, missing, typed) = (TestName::new("b"), TestName::new("none"), TestName::new("t"));
    ByteRing::builder(bytes.as_str()).create().expect("create");
    Ring::<u64>::builder(typed.as_str()).create().expect("create");
    assert_eq!(typed.objects(), (true, true));
    let ended = run(&["rm", bytes.as_str(), missing.as_str(), typed.as_str()]);
    ended.expect(1, missing.as_str());
    assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
    bytes.is_gone();
    typed.is_gone();
}

#[test]
fn streams_are_for_byte_rings_that_are_open() {
    let name = TestName::new("typed");
    let ring = Ring::<u64>::builder(name.as_str()).create().expect("create");
    run(&["send", name.as_str()]).expect(1, "is of kind spsc, not spsc-bytes");
    run(&["recv", name.as_str()]).expect(1, "is of kind spsc, not spsc-bytes");
    ring.remove().expect("remove");
    drop(ring);
    let ring = ByteRing::builder(name.as_str()).create().expect("create");
    let mut producer = ring.producer().expect("join");
    producer.push(b"said by a program").expect("push");
    producer.close();
    drop(producer);
    run(&["send", name.as_str()]).expect(1, "closed for good");
    let received = run(&["recv", name.as_str()]);
    received.expect(0, "");
    assert_eq!(received.out, b"said by a program");
}

#[test]
fn a_ring_for_many() {
    let name = TestName::new("many");
    let create = ["create", name.as_str(), "--kind", "mpmc", "--records", "10", "--max-record", "100"];
    run(&[&create[..], &["--seats", "3", "--in-hand", "2"]].concat()).expect(0, "");
    let ring = mpmc::ByteRing::builder(name.as_str()).attach().expect("attach");
    assert_eq!((ring.capacity(), ring.max_record(), ring.seats(), ring.in_hand()), (16, 100, 3, 2));
    let (mut a, _b) = (ring.producer().expect("join"), ring.producer().expect("join"));
    a.push(b"one").expect("push");
    let listed = run(&["ls", name.as_str()]);
    listed.expect(0, "");
    let text = String::from_utf8(listed.out).expect("text");
    assert!(text.contains("mpmc-bytes") && text.contains("2 live"), "{text}");
    for command in ["send", "recv"] {
        let refused = run(&[command, name.as_str()]);
        let key = format!(
            "cannot open: ring \"{}\" (key {:#010x}): is of kind mpmc-bytes",
            name.as_str(),
            name.key()
        );
        for words in
            [&*key, "not spsc-bytes: send and recv speak spsc-bytes only", "with segring::mpmc::ByteRing"]
        {
            refused.expect(1, words);
        }
    }
    run(&["rm", name.as_str()]).expect(0, "");
}

#[test]
fn wrong_arguments_are_explained() {
    let name = TestName::new("wrong");
    let long = "x".repeat(256);
    for bad in ["", "key:zz", "key:0", "id:many", &long] {
        for command in ["create", "send", "recv", "ls", "rm"] {
            run(&[command, bad]).expect(2, "cannot be a ring's name");
        }
    }
    run(&["create", name.as_str(), "--kind", "mpmc", "--capacity", "1M"]).expect(2, "--records");
    run(&["create", name.as_str(), "--seats", "3"]).expect(2, "--seats is for --kind mpmc");
    for (option, value, words) in [
        ("--seats", "5000", "1 to 4096 seats"),
        ("--in-hand", "0", "1 to 64 in hand"),
        ("--records", "0", "a capacity of 0 cannot be"),
    ] {
        run(&["create", name.as_str(), "--kind", "mpmc", option, value]).expect(2, words);
    }
    run(&["create", name.as_str(), "--capacity", "0"]).expect(2, "at least one byte");
    run(&["send", name.as_str(), "--mode", "400"]).expect(2, "is not usable");
    run(&["create", name.as_str(), "--capacity", "much"]).expect(2, "is no size");
    run(&["create", name.as_str(), "--mode", "888"]).expect(2, "is no mode");
    run(&["create", name.as_str(), "--mode", "400"]).expect(2, "is not usable");
    run(&["create", "id:1"]).expect(1, "names an existing segment");
    run(&["send", "id:2147483647"]).expect(1, "no such ring");
    run(&["recv", "path:/does/not/exist"]).expect(1, "must be an existing file");
    run(&["rm"]).expect(2, "NAME");
    name.is_gone();
}

#[test]
fn help_teaches() {
    for command in ["create", "send", "recv", "ls", "rm"] {
        let help = run(&[command, "--help"]);
        help.expect(0, "");
        let text = String::from_utf8(help.out).expect("text");
        assert!(text.contains("Examples:") && text.contains("Exit codes:"), "{command}: {text}");
    }
}
