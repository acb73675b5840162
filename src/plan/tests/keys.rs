//! Every key of every record, written wrong by one letter.

use crate::plan::file::agent::{AgentFile, ProviderFile, RateFile};
use crate::plan::file::call::{CallFile, OutputFile, PassFile, RepeatFile, StopFile};
use crate::plan::file::notify::NotifyFile;
use crate::plan::file::reconcile::{ReconcileFile, SimilarFile};
use crate::plan::file::{LimitsFile, PlanFile, ReportFile, VarFile};
use crate::plan::read::Reader;
use crate::plan::record::{Record, read_record};
use crate::plan::{code, yaml};

/// Wrong by one letter, in several ways.
fn mutations(key: &str) -> Vec<String> {
    let letters: Vec<char> = key.chars().collect();
    let mut wrong = Vec::new();
    for at in 0..letters.len() {
        let mut other = letters.clone();
        other[at] = 'q';
        wrong.push(other.iter().collect());
        let mut twice = letters.clone();
        twice.insert(at, letters[at]);
        wrong.push(twice.iter().collect());
        if letters.len() > 2 {
            let mut less = letters.clone();
            less.remove(at);
            wrong.push(less.iter().collect());
            if at > 0 {
                let mut swapped = letters.clone();
                swapped.swap(at - 1, at);
                wrong.push(swapped.iter().collect());
            }
        }
    }
    wrong.retain(|mutation: &String| mutation != key);
    wrong
}

fn check<R: Record>(tried: &mut usize) {
    for key in R::KEYS {
        for wrong in mutations(key).iter().filter(|wrong| !R::KEYS.contains(&wrong.as_str())) {
            let text = format!("{wrong}: 1\n");
            let mut faults = Vec::new();
            let tree = yaml::parse(&text, 0, &mut faults).unwrap();
            let record: Option<R> = read_record(&tree, &mut Reader::new(&mut faults));
            assert!(record.is_some());
            faults.retain(|fault| fault.code == code::UNKNOWN_KEY);
            let [fault] = faults.as_slice() else { panic!("`{wrong}`: {faults:?}") };
            assert_eq!((fault.at.start, fault.at.end as usize), (0, wrong.len()));
            let help = fault.help.as_deref().unwrap_or_default();
            assert!(help.contains(&format!("`{key}`")), "`{wrong}` for `{key}`: {help}");
            *tried += 1;
        }
    }
}

#[test]
fn a_key_that_is_wrong_by_one_letter_is_an_error_with_the_right_one_proposed() {
    let mut tried = 0;
    check::<PlanFile>(&mut tried);
    check::<CallFile>(&mut tried);
    check::<AgentFile>(&mut tried);
    check::<ProviderFile>(&mut tried);
    check::<RateFile>(&mut tried);
    check::<OutputFile>(&mut tried);
    check::<PassFile>(&mut tried);
    check::<RepeatFile>(&mut tried);
    check::<StopFile>(&mut tried);
    check::<ReconcileFile>(&mut tried);
    check::<SimilarFile>(&mut tried);
    check::<LimitsFile>(&mut tried);
    check::<NotifyFile>(&mut tried);
    check::<ReportFile>(&mut tried);
    check::<VarFile>(&mut tried);
    assert!(tried > 2_000, "{tried} tried");
}

#[test]
fn a_record_has_room_for_its_keys() {
    assert!(CallFile::KEYS.len() <= 64 && PlanFile::KEYS.len() <= 64 && ReconcileFile::KEYS.len() <= 64);
}
