//! Sentences for an operator: what stands between backticks is a command to type.

/// A piece of a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    pub(super) text: &'a str,
    /// It is a command.
    pub(super) command: bool,
}

/// The pieces of a sentence, in order, without the backticks. A backtick without its partner is text.
pub(super) fn pieces(sentence: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = sentence;
    while let Some((before, from)) = rest.split_once('`') {
        let Some((command, after)) = from.split_once('`') else { break };
        pieces.push(Piece { text: before, command: false });
        pieces.push(Piece { text: command, command: true });
        rest = after;
    }
    pieces.push(Piece { text: rest, command: false });
    pieces.retain(|p| !p.text.is_empty());
    pieces
}

#[cfg(test)]
mod tests {
    use super::pieces;

    #[test]
    fn commands_are_told_apart() {
        let told = |sentence| pieces(sentence).iter().map(|p| (p.text, p.command)).collect::<Vec<_>>();
        assert_eq!(told("read `weir logs X`, then go on"), [("read ", false), ("weir logs X", true), (", then go on", false)]);
        assert_eq!(told("`a`"), [("a", true)]);
        assert_eq!(told("a ` b"), [("a ` b", false)]);
        assert_eq!(told(""), []);
    }
}
