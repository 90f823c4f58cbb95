//! Makes a program that shows a difference as short as it can be.

use crate::program::Step;

/// The shortest program that still `differs`, found by leaving out more and more.
pub(crate) fn shrink(mut steps: Vec<Step>, mut differs: impl FnMut(&[Step]) -> bool) -> Vec<Step> {
    let mut length = steps.len().div_ceil(2);
    loop {
        let mut at = 0;
        let mut any = false;
        while at < steps.len() {
            let mut fewer = steps.clone();
            fewer.drain(at..(at + length).min(steps.len()));
            if differs(&fewer) {
                steps = fewer;
                any = true;
            } else {
                at += length;
            }
        }
        if length > 1 {
            length = length.div_ceil(2);
        } else if !any {
            return steps;
        }
    }
}
