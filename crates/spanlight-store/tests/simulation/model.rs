//! What a store must have: every record that was acknowledged, unless another of the same span stands in its place, or
//! it may have been deleted for its age, or the disk lost it in a way that the store has to admit.

use std::collections::{BTreeMap, BTreeSet};

use super::spans::{Key, Record};

/// What is known of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It has to be there.
    Acknowledged,
    /// Nobody knows: the answer never came.
    Uncertain,
    /// The sender was told that it failed: it may be there after the next start, and not before.
    Refused,
    /// It was not there when the store had everything that it will ever have.
    Dead,
}

#[derive(Debug)]
struct Known {
    record: Record,
    text: String,
    fate: Fate,
    /// How often it was sent, and so may be stored.
    sends: usize,
    /// The last request that it was in, and the life of the store in which that was sent.
    append: u64,
    life: u64,
    may_expire: bool,
    /// A damaged file had it.
    is_hurt: bool,
    /// It was refused and came back with a start, from memory that a failed sync has given up: the next power cut
    /// takes it. Nobody was promised anything.
    is_shaky: bool,
    /// It was acknowledged, and replaced or deleted since.
    is_gone: bool,
    /// Somebody had its trace deleted.
    is_deleted: bool,
}

#[derive(Debug, Default)]
pub(super) struct Model {
    known: BTreeMap<u64, Known>,
    appends: u64,
    /// How often the store was opened.
    lives: u64,
    /// Bits that changed in the log, and that have cost nothing yet.
    log_flips: usize,
}

/// Rows that a query gave.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The numbers of the records, and what they say where all of it was read.
    pub(super) rows: Vec<(u64, Option<String>)>,
    /// Errors that came instead of rows.
    pub(super) errors: Vec<String>,
}

/// What a query asked for.
pub(super) struct Asked<'a> {
    pub(super) what: &'a str,
    pub(super) covers: &'a dyn Fn(&Record) -> bool,
    pub(super) is_everything: bool,
    /// Nothing failed to be read but damaged files.
    pub(super) is_whole: bool,
}

impl Model {
    /// A request is about to be sent.
    pub(super) fn send(&mut self, records: &[Record], texts: Vec<String>) -> u64 {
        self.appends += 1;
        for (record, text) in records.iter().zip(texts) {
            let known = self.known.entry(record.number).or_insert_with(|| Known {
                record: record.clone(),
                text,
                fate: Fate::Uncertain,
                sends: 0,
                append: 0,
                life: 0,
                may_expire: false,
                is_hurt: false,
                is_shaky: false,
                is_gone: false,
                is_deleted: false,
            });
            known.sends += 1;
            known.append = self.appends;
            known.life = self.lives;
            // Sent again, it may be there again.
            if matches!(known.fate, Fate::Refused | Fate::Dead) {
                known.fate = Fate::Uncertain;
            }
            if known.is_gone || known.is_deleted {
                known.is_gone = false;
                known.is_deleted = false;
                known.fate = Fate::Uncertain;
            }
        }
        self.appends
    }

    pub(super) fn acknowledge(&mut self, records: &[Record]) {
        for record in records {
            let known = self.known.get_mut(&record.number).unwrap();
            known.fate = Fate::Acknowledged;
            known.is_hurt = false;
            known.is_shaky = false;
        }
    }

    pub(super) fn refuse(&mut self, records: &[Record]) {
        for record in records {
            let known = self.known.get_mut(&record.number).unwrap();
            if known.fate == Fate::Uncertain && known.sends == 1 {
                known.fate = Fate::Refused;
            }
        }
    }

    /// Records received before this moment may have been deleted.
    pub(super) fn expire(&mut self, before: i64) {
        for known in self.known.values_mut() {
            known.may_expire |= known.record.received < before;
        }
    }

    /// These records may go, for whatever reason.
    pub(super) fn release(&mut self, covers: &dyn Fn(&Record) -> bool) {
        for known in self.known.values_mut() {
            known.may_expire |= covers(&known.record);
        }
    }

    /// These records were deleted, and the store has said that they are gone.
    pub(super) fn delete(&mut self, covers: &dyn Fn(&Record) -> bool) {
        self.release(covers);
        for known in self.known.values_mut() {
            // One that was refused may come back from the log.
            known.is_deleted |= covers(&known.record) && known.fate == Fate::Acknowledged;
        }
    }

    /// These records are in a file that was damaged.
    pub(super) fn hurt(&mut self, numbers: &BTreeSet<u64>) {
        for number in numbers {
            self.known.get_mut(number).unwrap().is_hurt = true;
        }
    }

    pub(super) fn flip_in_log(&mut self) {
        self.log_flips += 1;
    }

    /// The store is open again.
    pub(super) fn begin_life(&mut self) {
        self.lives += 1;
    }

    /// The store was opened, and this is all that it has. What is not there will never be.
    pub(super) fn settle(
        &mut self,
        seen: &Seen,
        is_damage_admitted: bool,
        did_syncs_fail: bool,
    ) -> Result<(), String> {
        let mut copies: BTreeMap<u64, usize> = BTreeMap::new();
        for (number, _) in &seen.rows {
            *copies.entry(*number).or_default() += 1;
        }
        for known in self.known.values_mut() {
            if known.life == self.lives {
                continue;
            }
            let is_there = copies.contains_key(&known.record.number);
            if matches!(known.fate, Fate::Refused | Fate::Uncertain) {
                known.fate = if is_there {
                    Fate::Acknowledged
                } else {
                    Fate::Dead
                };
                known.is_shaky = is_there && did_syncs_fail;
            } else if known.is_shaky && !is_there {
                known.fate = Fate::Dead;
            }
        }
        if self.log_flips > 0 {
            self.forgive(&copies, is_damage_admitted)?;
        }
        Ok(())
    }

    /// A changed bit costs one record of the log, which is one request; and the store says so.
    fn forgive(
        &mut self,
        copies: &BTreeMap<u64, usize>,
        is_damage_admitted: bool,
    ) -> Result<(), String> {
        let missing: Vec<u64> = self.missing(copies, &|_| true);
        let appends: BTreeSet<u64> = missing.iter().map(|n| self.known[n].append).collect();
        let flips = self.log_flips;
        if appends.len() > flips {
            return Err(format!(
                "{flips} changed bits in the log cost {} requests: records {missing:?}",
                appends.len()
            ));
        }
        if !missing.is_empty() && !is_damage_admitted {
            return Err(format!("records {missing:?} are lost, and nobody says so"));
        }
        // A record that another had replaced is missed only once that one is lost too: the rest of the allowance stays.
        self.log_flips -= appends.len();
        // The request is lost as a whole, with what others stand for.
        for (number, known) in &mut self.known {
            if appends.contains(&known.append) && !copies.contains_key(number) {
                known.fate = Fate::Dead;
            }
        }
        Ok(())
    }

    /// Whether these rows are what was asked for.
    pub(super) fn judge(&mut self, asked: &Asked<'_>, seen: &Seen) -> Result<(), String> {
        let mut copies: BTreeMap<u64, usize> = BTreeMap::new();
        for (number, text) in &seen.rows {
            *copies.entry(*number).or_default() += 1;
            self.judge_row(*number, text.as_deref())?;
        }
        for (number, count) in &copies {
            let known = self.known.get_mut(number).unwrap();
            if *count > known.sends {
                let sends = known.sends;
                return Err(format!(
                    "record {number} is there {count} times, sent {sends} times"
                ));
            }
            known.is_shaky |= known.life < self.lives && known.fate != Fate::Acknowledged;
            known.fate = Fate::Acknowledged;
        }
        if !asked.is_whole {
            return Ok(());
        }
        let missing = self.missing(&copies, asked.covers);
        if !missing.is_empty() {
            let missing: Vec<_> = missing.iter().map(|n| &self.known[n]).collect();
            return Err(format!("{} lacks {missing:#?}", asked.what));
        }
        if asked.is_everything && seen.errors.is_empty() {
            for (number, known) in &mut self.known {
                if known.fate == Fate::Acknowledged && !copies.contains_key(number) {
                    known.is_gone = true;
                }
            }
        }
        Ok(())
    }

    fn judge_row(&self, number: u64, text: Option<&str>) -> Result<(), String> {
        let Some(known) = self.known.get(&number) else {
            return Err(format!("record {number} was never sent"));
        };
        if let Some(text) = text.filter(|text| *text != known.text) {
            return Err(format!(
                "record {number} says\n{text}\nand not\n{}",
                known.text
            ));
        }
        match known.fate {
            Fate::Refused if known.life == self.lives => {
                Err(format!("record {number} was refused, and is there"))
            }
            Fate::Dead => Err(format!("record {number} was lost at a start, and is back")),
            Fate::Acknowledged if known.is_deleted => {
                Err(format!("record {number} was deleted, and is there"))
            }
            Fate::Acknowledged if known.is_gone => Err(format!(
                "record {number} was deleted or replaced, and is back"
            )),
            Fate::Acknowledged | Fate::Uncertain | Fate::Refused => Ok(()),
        }
    }

    /// The records that have to be there themselves, or a later one of the same span, and are not.
    fn missing(&self, copies: &BTreeMap<u64, usize>, covers: &dyn Fn(&Record) -> bool) -> Vec<u64> {
        let mut best: BTreeMap<Key, (i64, i64)> = BTreeMap::new();
        for number in copies.keys() {
            let record = &self.known[number].record;
            let rank = best.entry(record.key).or_insert_with(|| record.rank());
            *rank = record.rank().max(*rank);
        }
        // A later record that does not match the query, or that a damaged file has, may have replaced one that does.
        let replaced = |record: &Record| {
            let mut others = self.known.values().filter(|other| {
                other.record.key == record.key && (other.is_hurt || !covers(&other.record))
            });
            others.any(|other| other.record.rank() >= record.rank())
        };
        let required = self.known.values().filter(|known| {
            known.fate == Fate::Acknowledged
                && !known.may_expire
                && !known.is_hurt
                && !known.is_shaky
                && covers(&known.record)
        });
        required
            .filter(|known| {
                let there = best.get(&known.record.key);
                there.is_none_or(|rank| *rank < known.record.rank()) && !replaced(&known.record)
            })
            .map(|known| known.record.number)
            .collect()
    }
}
