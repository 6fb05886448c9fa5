//! Which sub-trees are folded away, and which rows that leaves.

use std::collections::BTreeSet;

use spanlight_model::SpanId;

use super::TreeNode;

/// Which spans have what is below them folded away: those at or below a level, save for exceptions, which go both
/// ways. A million rows fold with one number, and a link stays short.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fold {
    /// Spans at this level of the tree and deeper are folded. `None` folds none.
    pub level: Option<u32>,
    /// Spans that are the other way round than the level says.
    pub toggled: BTreeSet<SpanId>,
}

impl Fold {
    /// Whether a span with children, at this depth, is folded.
    #[must_use]
    pub fn folds(&self, depth: u32, span_id: SpanId) -> bool {
        let by_level = self.level.is_some_and(|level| depth >= level);
        by_level != (!self.toggled.is_empty() && self.toggled.contains(&span_id))
    }

    /// The visible rows, in tree order: how many there are, and those of the window. `span_id` gives a row's id.
    pub(crate) fn visible(
        &self,
        nodes: &[TreeNode],
        span_id: impl Fn(usize) -> SpanId,
        offset: usize,
        limit: usize,
    ) -> (usize, Vec<usize>) {
        if self.level.is_none() && self.toggled.is_empty() {
            let end = offset.saturating_add(limit).min(nodes.len());
            return (nodes.len(), (offset.min(end)..end).collect());
        }
        let mut window = Vec::new();
        let mut total = 0;
        let mut row = 0;
        while let Some(node) = nodes.get(row) {
            if total >= offset && window.len() < limit {
                window.push(row);
            }
            total += 1;
            row += 1;
            if node.child_count > 0 && self.folds(node.depth, span_id(row - 1)) {
                row += node.descendant_count as usize;
            }
        }
        (total, window)
    }

    /// The number of a row among the visible ones; `None` when an ancestor is folded.
    pub(crate) fn position(
        &self,
        nodes: &[TreeNode],
        span_id: impl Fn(usize) -> SpanId,
        wanted: usize,
    ) -> Option<usize> {
        let mut position = 0;
        let mut row = 0;
        while row < wanted {
            let node = nodes.get(row)?;
            row += 1;
            if node.child_count > 0 && self.folds(node.depth, span_id(row - 1)) {
                row += node.descendant_count as usize;
            }
            position += 1;
        }
        (row == wanted && row < nodes.len()).then_some(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree from its depths in order.
    fn tree(depths: &[u32]) -> Vec<TreeNode> {
        let below = |row: usize| {
            depths[row + 1..]
                .iter()
                .take_while(move |&&depth| depth > depths[row])
        };
        (0..depths.len())
            .map(|row| TreeNode {
                depth: depths[row],
                child_count: below(row).filter(|&&d| d == depths[row] + 1).count() as u32,
                descendant_count: below(row).count() as u32,
                ..TreeNode::default()
            })
            .collect()
    }

    fn id(row: usize) -> SpanId {
        SpanId((row as u64 + 1).to_be_bytes())
    }

    fn fold(level: Option<u32>, toggled: &[usize]) -> Fold {
        Fold {
            level,
            toggled: toggled.iter().map(|&row| id(row)).collect(),
        }
    }

    #[test]
    fn rows_below_a_fold_are_not_visible() {
        let nodes = tree(&[0, 1, 2, 2, 1, 2, 0]);
        let visible = |fold: &Fold| fold.visible(&nodes, id, 0, 100);
        assert_eq!(visible(&fold(None, &[])).0, 7);
        assert_eq!(visible(&fold(None, &[1])), (5, vec![0, 1, 4, 5, 6]));
        assert_eq!(visible(&fold(Some(1), &[])), (4, vec![0, 1, 4, 6]));
        assert_eq!(visible(&fold(Some(1), &[4])), (5, vec![0, 1, 4, 5, 6]));
        assert_eq!(visible(&fold(Some(0), &[])), (2, vec![0, 6]));
    }

    #[test]
    fn windows_count_visible_rows_only() {
        let nodes = tree(&[0, 1, 2, 2, 1, 2, 0]);
        assert_eq!(fold(None, &[1]).visible(&nodes, id, 2, 2), (5, vec![4, 5]));
        assert_eq!(fold(None, &[]).visible(&nodes, id, 5, 9), (7, vec![5, 6]));
        assert_eq!(fold(None, &[]).visible(&nodes, id, 50, 9), (7, vec![]));
    }

    #[test]
    fn positions_agree_with_windows() {
        let nodes = tree(&[0, 1, 2, 2, 1, 2, 0]);
        let fold = fold(None, &[1]);
        let (_, rows) = fold.visible(&nodes, id, 0, 100);
        for (position, row) in rows.into_iter().enumerate() {
            assert_eq!(fold.position(&nodes, id, row), Some(position));
        }
        assert_eq!(fold.position(&nodes, id, 2), None);
        assert_eq!(fold.position(&nodes, id, 70), None);
    }
}
