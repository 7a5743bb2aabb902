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

/// A sentence with its first letter large, unless it begins with a name: an address, a version, a file.
pub(super) fn capital(sentence: &str) -> String {
    let first = sentence.split(' ').next().unwrap_or_default();
    if !first.chars().all(|c| c.is_ascii_alphabetic() || matches!(c, '\'' | ',' | ':')) {
        return sentence.to_owned();
    }
    let (letter, rest) = sentence.split_at(first.chars().next().map_or(0, char::len_utf8));
    letter.to_ascii_uppercase() + rest
}

#[cfg(test)]
mod tests {
    use super::{capital, pieces};

    #[test]
    fn a_sentence_begins_large_and_a_name_as_it_is() {
        for (told, shown) in [
            ("not a container: no header", "Not a container: no header"),
            ("http://host.test/a answered 404", "http://host.test/a answered 404"),
            ("host.test is private", "host.test is private"),
            ("1.0.0-b1 is what runs", "1.0.0-b1 is what runs"),
            ("", ""),
        ] {
            assert_eq!(capital(told), shown);
        }
    }

    #[test]
    fn commands_are_told_apart() {
        let told = |sentence| pieces(sentence).iter().map(|p| (p.text, p.command)).collect::<Vec<_>>();
        assert_eq!(told("read `weir logs X`, then go on"), [("read ", false), ("weir logs X", true), (", then go on", false)]);
        assert_eq!(told("`a`"), [("a", true)]);
        assert_eq!(told("a ` b"), [("a ` b", false)]);
        assert_eq!(told(""), []);
    }
}
