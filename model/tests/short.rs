//! The checks that are short enough, mutants included.

use segring_model::waiting;

#[test]
fn every_short_check_is_as_expected() {
    let mut wrong = Vec::new();
    for check in waiting::checks().iter().filter(|c| c.short) {
        let found = check.run(1);
        println!("{}: {} states, {}", check.name, found.states, found.verdict());
        if !found.is(check.expected) {
            wrong.push(format!("{}: {}, expected {:?}", check.name, found.verdict(), check.expected));
        }
    }
    assert!(wrong.is_empty(), "not as expected:\n{}", wrong.join("\n"));
}
