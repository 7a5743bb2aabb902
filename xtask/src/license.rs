//! SPDX licence expressions: can one be met with a set of allowed licences?

use std::collections::BTreeSet;

use anyhow::{Result, bail};

/// Nesting of parentheses that is read; published expressions nest twice.
const DEPTH_MAX: usize = 16;

/// Whether `expression` can be met with `allowed` only. `/` is read as OR, as old manifests write it.
pub(crate) fn satisfied(expression: &str, allowed: &BTreeSet<&str>) -> Result<bool> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader { tokens: &tokens, at: 0, allowed };
    let met = reader.any(0)?;
    match reader.peek() {
        None => Ok(met),
        Some(token) => bail!("{expression:?}: unexpected {token:?}"),
    }
}

/// OR binds weaker than AND, AND weaker than WITH (SPDX 2.3, annex D).
struct Reader<'a> {
    tokens: &'a [&'a str],
    at: usize,
    allowed: &'a BTreeSet<&'a str>,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.tokens.get(self.at).copied()
    }

    fn take(&mut self, token: &str) -> bool {
        let here = self.peek() == Some(token);
        self.at += usize::from(here);
        here
    }

    fn any(&mut self, depth: usize) -> Result<bool> {
        let mut met = self.all(depth)?;
        while self.take("OR") {
            met |= self.all(depth)?;
        }
        Ok(met)
    }

    fn all(&mut self, depth: usize) -> Result<bool> {
        let mut met = self.one(depth)?;
        while self.take("AND") {
            met &= self.one(depth)?;
        }
        Ok(met)
    }

    fn one(&mut self, depth: usize) -> Result<bool> {
        if self.take("(") {
            if depth == DEPTH_MAX {
                bail!("more than {DEPTH_MAX} nested parentheses");
            }
            let met = self.any(depth + 1)?;
            if !self.take(")") {
                bail!("a parenthesis is not closed");
            }
            return Ok(met);
        }
        let Some(name) = self.peek().filter(|token| !matches!(*token, "AND" | "OR" | "WITH" | ")")) else { bail!("a licence is missing") };
        self.at += 1;
        if !self.take("WITH") {
            return Ok(self.allowed.contains(name));
        }
        let Some(exception) = self.peek() else { bail!("an exception is missing") };
        self.at += 1;
        Ok(self.allowed.contains(format!("{name} WITH {exception}").as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions() {
        let allowed = BTreeSet::from(["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"]);
        let cases = [
            ("MIT", true),
            ("GPL-3.0", false),
            ("GPL-3.0 OR MIT", true),
            ("GPL-3.0/MIT", true),
            ("GPL-3.0 AND MIT", false),
            ("MIT AND ISC", true),
            ("GPL-3.0 OR MIT AND ISC", true),
            ("(GPL-3.0 OR MIT) AND GPL-2.0", false),
            ("Apache-2.0", false),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("ISC AND (GPL-3.0 OR (MIT))", true),
        ];
        for (expression, met) in cases {
            assert_eq!(satisfied(expression, &allowed).unwrap(), met, "{expression}");
        }
        for bad in ["", "MIT OR", "(MIT", "MIT)", "MIT ISC", "AND MIT", "MIT WITH"] {
            assert!(satisfied(bad, &allowed).is_err(), "{bad}");
        }
    }
}
