//! Which column of the output layer stands for which piece: pieces that are never produced come last and cost nothing.

use crate::engine::TokenId;

/// Marks a column that only fills a panel.
const SPARE: TokenId = TokenId::MAX;

/// The order of an output layer's columns.
///
/// Pieces that may be produced come first, by id, up to a whole number of panels; then the suppressed ones.
pub(super) struct Columns {
    of_piece: Vec<u32>,
    pieces: Vec<TokenId>,
    open: usize,
    choices: usize,
}

impl Columns {
    /// The order for a vocabulary of which `suppressed` (sorted) is never produced, in panels of `width` columns.
    pub(super) fn new(vocabulary: usize, suppressed: &[TokenId], width: usize) -> Self {
        let ids = 0..vocabulary as TokenId;
        let mut pieces: Vec<TokenId> = ids.filter(|id| suppressed.binary_search(id).is_err()).collect();
        let choices = pieces.len();
        let open = choices.next_multiple_of(width);
        if choices < vocabulary {
            pieces.resize(open, SPARE);
            pieces.extend(suppressed.iter().filter(|id| (**id as usize) < vocabulary));
        }
        let mut of_piece = vec![0; vocabulary];
        for (column, &piece) in pieces.iter().enumerate().filter(|(_, piece)| **piece != SPARE) {
            of_piece[piece as usize] = column as u32;
        }
        Columns { of_piece, pieces, open, choices }
    }

    /// Number of columns.
    pub(super) fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Number of leading columns, whole panels, that hold all pieces that may be produced.
    pub(super) fn open(&self) -> usize {
        self.open
    }

    /// Number of pieces that may be produced.
    pub(super) fn choices(&self) -> usize {
        self.choices
    }

    /// The column of a piece of the vocabulary.
    pub(super) fn of(&self, piece: TokenId) -> usize {
        self.of_piece[piece as usize] as usize
    }

    /// The piece of a column, unless it only fills a panel.
    pub(super) fn piece(&self, column: usize) -> Option<TokenId> {
        self.pieces.get(column).copied().filter(|&piece| piece != SPARE)
    }
}

#[cfg(test)]
mod tests {
    use super::Columns;

    #[test]
    fn the_identity_where_nothing_is_suppressed() {
        let columns = Columns::new(19, &[], 8);
        assert_eq!((columns.len(), columns.open(), columns.choices()), (19, 24, 19));
        assert!((0..19).all(|id| columns.of(id) == id as usize && columns.piece(id as usize) == Some(id)));
        assert_eq!(columns.piece(19), None);
    }

    #[test]
    fn suppressed_pieces_lie_behind_the_last_open_panel() {
        let columns = Columns::new(12, &[0, 3, 11], 8);
        assert_eq!((columns.len(), columns.open(), columns.choices()), (19, 16, 9));
        let order: Vec<Option<u32>> = (0..19).map(|column| columns.piece(column)).collect();
        let open = [1, 2, 4, 5, 6, 7, 8, 9, 10].map(Some);
        assert_eq!(order[..9], open);
        assert_eq!(order[9..16], [None; 7]);
        assert_eq!(order[16..], [Some(0), Some(3), Some(11)]);
        assert!((0..12).all(|id| columns.piece(columns.of(id)) == Some(id)));
    }
}
