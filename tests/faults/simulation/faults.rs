//! What goes wrong beside the log's own faults: instances crash and start again with this or that state, stand still,
//! lag behind, have wrong clocks; and the newsroom's rules change under all of it.

use std::rc::Rc;
use std::time::Duration;

use chrono::TimeDelta;
use copydesk::desk::propose;
use copydesk::log::Log;
use copydesk::log::memory::Faults;
use copydesk_article::newsroom::Role;

use super::dice::Dice;
use super::world::{Found, World};
use crate::path::newsroom;

/// Makes faults for ever. `step` is how far the scheduler is.
pub async fn make(world: Rc<World>, seed: u64, step: Rc<std::cell::Cell<u64>>) {
    let mut dice = Dice::new(seed, 2);
    let line = world.log.with_faults(Faults::rough());
    loop {
        sleep(&world, dice.draw() % 400).await;
        let number = dice.roll(world.machines.len());
        match dice.roll(14) {
            0..=3 => {
                let all = dice.once_in(5);
                let down: Vec<usize> = if all { (0..world.machines.len()).collect() } else { vec![number] };
                down.iter().for_each(|number| world.crash(*number));
                if dice.once_in(2) {
                    sleep(&world, dice.draw() % 3_000).await;
                }
                for number in down {
                    let found = *dice.pick(&[
                        Found::AsItWas,
                        Found::AsItWas,
                        Found::AsItWas,
                        Found::Nothing,
                        Found::Yesterdays,
                    ]);
                    world.start(number, found);
                }
            }
            4 | 5 => world.keep(number),
            6..=8 => {
                let until = step.get() + 20 + dice.draw() % 600;
                let only = (!dice.once_in(3)).then(|| dice.roll(8));
                world.scheduler.stop(world.owner(number), only, until);
            }
            9 | 10 => {
                let skew = *dice.pick(&[0, 0, 3, -3, 1, -1]);
                if let Some(instance) = world.up(number) {
                    instance.set_skew(TimeDelta::seconds(skew));
                }
            }
            11 | 12 => {
                let mut set = newsroom();
                set.rules.approvals = 1 + u32::from(dice.once_in(3));
                if dice.once_in(2) {
                    // Who may do nothing now.
                    let who = *dice.pick(&["ana", "eva", "chen", "pia"]);
                    set.people.get_mut(who).unwrap().roles = vec![Role::Auditor];
                }
                let salt = dice.id().into_bytes();
                // Where the log fails it isn't proposed, and nobody minds.
                let _ = propose(&line, &set, "/copydesk", salt, true).await;
            }
            _ => {}
        }
    }
}

async fn sleep(world: &World, ms: u64) {
    world.log.clock().sleep(Duration::from_millis(ms)).await;
}
