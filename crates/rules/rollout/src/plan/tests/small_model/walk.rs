//! The walk over every state of the model, and whether each has a way to an end.

use super::{Model, Move, Rules};
use std::collections::HashMap;

/// States beyond which a model has run away.
const STATES_MAX: usize = 3_000_000;

#[derive(Debug, Default)]
pub(super) struct Explored {
    pub(super) states: usize,
    pub(super) transitions: usize,
    pub(super) ends: usize,
}

/// Walks every state.
///
/// # Errors
/// What a state broke, with the moves that led there.
pub(super) fn explore(start: Model, rules: &Rules) -> Result<Explored, String> {
    let mut ids: HashMap<u128, u32> = HashMap::new();
    let mut edges: Vec<(u32, u32)> = Vec::new();
    let mut came: Vec<(u32, Move)> = vec![(0, Move::Tick)];
    let mut over: Vec<bool> = vec![start.world.plan.is_over()];
    ids.insert(start.key(), 0);
    let mut stack = vec![(0u32, start.clone())];
    let trail = |came: &[(u32, Move)], mut at: u32| {
        let mut moves = Vec::new();
        while at != 0 {
            moves.push(came[at as usize].1);
            at = came[at as usize].0;
        }
        moves.reverse();
        moves
    };
    while let Some((from, model)) = stack.pop() {
        for a_move in model.moves(rules) {
            let next = model.after(a_move, rules).map_err(|broken| format!("{broken}: {:?} then {a_move:?}", trail(&came, from)))?;
            let fresh = u32::try_from(ids.len()).expect("few");
            let id = *ids.entry(next.key()).or_insert(fresh);
            edges.push((from, id));
            if id == fresh {
                came.push((from, a_move));
                over.push(next.world.plan.is_over());
                stack.push((id, next));
            }
        }
        if ids.len() > STATES_MAX {
            return Err("too many states".into());
        }
    }
    let explored = Explored { states: ids.len(), transitions: edges.len(), ends: over.iter().filter(|over| **over).count() };
    match dead_end(&edges, &over) {
        Some(state) => Err(format!("no way out: {:?}: {}", trail(&came, state), rest_of(start, &trail(&came, state), rules))),
        None => Ok(explored),
    }
}

/// Where a rollout stands some time after these moves.
fn rest_of(start: Model, moves: &[Move], rules: &Rules) -> String {
    let mut model = moves.iter().fold(start, |model, a_move| model.after(*a_move, rules).expect("these moves broke nothing"));
    for _ in 0..30 {
        model.world.tick_by(rules);
        model.world.all_move();
    }
    model.world.glance()
}

/// A state from which no end can be reached.
fn dead_end(edges: &[(u32, u32)], over: &[bool]) -> Option<u32> {
    let mut first = vec![u32::MAX; over.len()];
    let mut next = vec![u32::MAX; edges.len()];
    for (number, (_, to)) in edges.iter().enumerate() {
        next[number] = first[*to as usize];
        first[*to as usize] = u32::try_from(number).expect("few");
    }
    let mut alive = over.to_vec();
    let mut open: Vec<u32> = (0..u32::try_from(over.len()).expect("few")).filter(|state| over[*state as usize]).collect();
    while let Some(state) = open.pop() {
        let mut edge = first[state as usize];
        while edge != u32::MAX {
            let from = edges[edge as usize].0;
            if !std::mem::replace(&mut alive[from as usize], true) {
                open.push(from);
            }
            edge = next[edge as usize];
        }
    }
    alive.iter().position(|alive| !alive).map(|state| u32::try_from(state).expect("few"))
}
