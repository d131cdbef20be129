//! Running a model and judging what came out.

use stateright::{Checker, Expectation, HasDiscoveries, Model};
use std::fmt::Debug;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// What a check must say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Every property holds in every state.
    Holds,
    /// This property is violated.
    Caught(&'static str),
}

/// A property that does not hold, and a shortest way to see it.
#[derive(Clone, Debug)]
pub struct Broken {
    /// Its name.
    pub property: &'static str,
    /// The steps of the counterexample.
    pub steps: Vec<String>,
}

/// What a run found.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Different states that were visited. A run that finds a violation stops early.
    pub states: usize,
    /// Steps from the start to the farthest of them.
    pub depth: usize,
    /// The properties that were seen to fail.
    pub broken: Vec<Broken>,
    /// What should be reachable and is not: the model would prove nothing about it.
    pub unreached: Vec<&'static str>,
    /// How long the run took.
    pub took: Duration,
}

impl Finding {
    /// Whether this is what was expected.
    pub fn is(&self, expected: Expected) -> bool {
        match expected {
            Expected::Holds => self.broken.is_empty() && self.unreached.is_empty(),
            Expected::Caught(property) => self.broken.iter().any(|b| b.property == property),
        }
    }

    /// The result in a few words.
    pub fn verdict(&self) -> String {
        if !self.broken.is_empty() {
            let each = self.broken.iter().map(|b| format!("{} ({} steps)", b.property, b.steps.len()));
            return format!("caught: {}", each.collect::<Vec<_>>().join(", "));
        }
        if !self.unreached.is_empty() {
            return format!("never reached: {}", self.unreached.join(", "));
        }
        "holds".into()
    }
}

/// One line of the table.
pub struct Check {
    /// What it is called by.
    pub name: String,
    /// Short enough for the tests.
    pub short: bool,
    /// What must come out.
    pub expected: Expected,
    run: Box<dyn Fn(usize) -> Finding + Send + Sync>,
}

impl Check {
    /// A check of one model.
    pub fn new<M>(name: impl Into<String>, short: bool, expected: Expected, model: M) -> Self
    where
        M: Model + Clone + Send + Sync + 'static,
        M::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
        M::Action: Clone + Debug + PartialEq,
    {
        let run = Box::new(move |threads| explore(&model, threads));
        Self { name: name.into(), short, expected, run }
    }

    /// Explores the state space.
    pub fn run(&self, threads: usize) -> Finding {
        (self.run)(threads)
    }
}

/// Visits every reachable state, breadth first, until a property fails.
fn explore<M>(model: &M, threads: usize) -> Finding
where
    M: Model + Clone + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + Debug + PartialEq,
{
    let started = Instant::now();
    let checker = search(model, threads, None);
    let found = checker.discoveries();
    let mut broken = Vec::new();
    let mut unreached = Vec::new();
    for property in model.properties() {
        match (property.expectation, found.get(property.name)) {
            (Expectation::Sometimes, None) => unreached.push(property.name),
            (Expectation::Sometimes, Some(_)) | (_, None) => {}
            (_, Some(path)) => broken.push(Broken {
                property: property.name,
                steps: shortest(model, property.name, path.clone().into_actions()),
            }),
        }
    }
    if !broken.is_empty() {
        unreached.clear();
    }
    Finding {
        states: checker.unique_state_count(),
        depth: checker.max_depth() - 1,
        broken,
        unreached,
        took: started.elapsed(),
    }
}

fn search<M>(model: &M, threads: usize, depth: Option<usize>) -> impl Checker<M> + use<M>
where
    M: Model + Clone + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + Debug + PartialEq,
{
    let builder = model.clone().checker().threads(threads).finish_when(HasDiscoveries::AnyFailures);
    match depth {
        Some(depth) => builder.target_max_depth(depth).spawn_bfs().join(),
        None => builder.spawn_bfs().join(),
    }
}

/// stateright keeps the last counterexample of a batch of states, not the first. So it is searched
/// again below the length of what it gave, until there is none.
fn shortest<M>(model: &M, property: &'static str, mut actions: Vec<M::Action>) -> Vec<String>
where
    M: Model + Clone + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + Debug + PartialEq,
{
    // A state after n actions has depth n + 1, and those of the target depth are left out.
    while let Some(path) = search(model, 1, Some(actions.len() + 1)).discoveries().remove(property) {
        actions = path.into_actions();
    }
    actions.iter().map(|action| model.format_action(action)).collect()
}
