//! Words, numbers and signs of the text forms, with their places, and the helpers that every parser uses.

use crate::Error;

pub(crate) type PResult<T> = Result<T, Error>;

/// Line and column, from 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    pub line: usize,
    pub column: usize,
}

#[derive(Clone, PartialEq, Debug)]
enum Kind {
    Word,
    /// Digits, possibly with a point and an exponent, or `0x…`.
    Number,
    Text,
    Sign,
    End,
}

#[derive(Clone, Debug)]
struct Token {
    kind: Kind,
    text: String,
    span: Span,
}

/// The tokens of a text and the place that has been reached.
pub struct Lexer {
    tokens: Vec<Token>,
    at: usize,
}

impl Lexer {
    pub fn new(source: &str) -> PResult<Lexer> {
        let mut tokens = Vec::new();
        let mut end = Span { line: 1, column: 1 };
        for (number, line) in source.lines().enumerate() {
            end = Span { line: number + 1, column: line.chars().count() + 1 };
            line_tokens(line, number + 1, &mut tokens)?;
        }
        tokens.push(Token { kind: Kind::End, text: String::new(), span: end });
        Ok(Lexer { tokens, at: 0 })
    }

    fn token(&self) -> &Token {
        &self.tokens[self.at]
    }

    fn next(&mut self) -> Token {
        let token = self.token().clone();
        if token.kind != Kind::End {
            self.at += 1;
        }
        token
    }

    /// Where the next token stands.
    pub fn span(&self) -> Span {
        self.token().span
    }

    pub fn error_at(&self, span: Span, message: impl Into<String>) -> Error {
        Error::Parse { line: span.line, column: span.column, message: message.into() }
    }

    /// An error at the next token.
    pub fn expected(&self, what: &str) -> Error {
        let found = match self.token().kind {
            Kind::End => "the end".to_string(),
            _ => self.token().text.clone(),
        };
        self.error_at(self.span(), format!("expected {what}, found {found}"))
    }

    pub fn peek_is(&self, text: &str) -> bool {
        let token = self.token();
        matches!(token.kind, Kind::Word | Kind::Sign) && token.text == text
    }

    pub fn peek_is_number(&self) -> bool {
        self.token().kind == Kind::Number
    }

    pub fn at_end(&self) -> bool {
        self.token().kind == Kind::End
    }

    /// Takes the next token if it is this word or sign.
    pub fn eat(&mut self, text: &str) -> bool {
        let is = self.peek_is(text);
        if is {
            self.at += 1;
        }
        is
    }

    pub fn expect(&mut self, text: &str) -> PResult<()> {
        if self.eat(text) { Ok(()) } else { Err(self.expected(&format!("`{text}`"))) }
    }

    pub fn expect_end(&self) -> PResult<()> {
        if self.at_end() { Ok(()) } else { Err(self.expected("the end")) }
    }

    pub fn word(&mut self, what: &str) -> PResult<String> {
        if self.token().kind != Kind::Word {
            return Err(self.expected(what));
        }
        Ok(self.next().text)
    }

    pub fn word_or_string(&mut self, what: &str) -> PResult<String> {
        if !matches!(self.token().kind, Kind::Word | Kind::Text) {
            return Err(self.expected(what));
        }
        Ok(self.next().text)
    }

    /// The number as it is written; [`Lexer::peek_is_number`] holds.
    pub fn raw_number(&mut self) -> String {
        debug_assert!(self.peek_is_number());
        self.next().text
    }

    /// An integer without sign.
    pub fn number<T: std::str::FromStr>(&mut self, what: &str) -> PResult<T> {
        let parsed = if self.peek_is_number() { self.token().text.parse().ok() } else { None };
        match parsed {
            Some(n) => {
                self.at += 1;
                Ok(n)
            }
            None => Err(self.expected(what)),
        }
    }

    /// An integer that may be negative.
    pub fn signed(&mut self, what: &str) -> PResult<i64> {
        let negative = self.eat("-");
        let n: i64 = self.number(what)?;
        Ok(if negative { -n } else { n })
    }

    /// A sign and a number: `%12`.
    pub fn value(&mut self, sign: &str, what: &str) -> PResult<u32> {
        if !self.eat(sign) {
            return Err(self.expected(what));
        }
        self.number(what)
    }

    /// A word made of a prefix and a number: `d3`.
    pub fn numbered(&mut self, prefix: &str, what: &str) -> PResult<u32> {
        let token = self.token();
        let number = if token.kind == Kind::Word { token.text.strip_prefix(prefix) } else { None };
        match number.and_then(|n| n.parse().ok()) {
            Some(n) => {
                self.at += 1;
                Ok(n)
            }
            None => Err(self.expected(what)),
        }
    }

    /// Items with commas between them up to the closing sign.
    pub fn list(&mut self, close: &str, mut item: impl FnMut(&mut Lexer) -> PResult<()>) -> PResult<()> {
        if self.eat(close) {
            return Ok(());
        }
        loop {
            item(self)?;
            if !self.eat(",") {
                return self.expect(close);
            }
        }
    }
}

fn line_tokens(line: &str, number: usize, tokens: &mut Vec<Token>) -> PResult<()> {
    let chars: Vec<char> = line.chars().collect();
    let mut i = 0;
    while i < chars.len() {
        let start = i;
        let span = Span { line: number, column: start + 1 };
        let c = chars[i];
        i += 1;
        let run = |i: &mut usize, more: &dyn Fn(usize) -> bool| {
            while *i < chars.len() && more(*i) {
                *i += 1;
            }
        };
        let kind = match c {
            ';' => return Ok(()),
            c if c.is_whitespace() => continue,
            c if c.is_ascii_alphabetic() || c == '_' => {
                run(&mut i, &|k| chars[k].is_ascii_alphanumeric() || chars[k] == '_');
                Kind::Word
            }
            c if c.is_ascii_digit() => {
                // A sign belongs to the number only behind a decimal exponent's `e`.
                let hex = chars.get(i) == Some(&'x');
                run(&mut i, &|k| {
                    chars[k].is_ascii_alphanumeric()
                        || chars[k] == '.'
                        || !hex && matches!(chars[k], '+' | '-') && matches!(chars[k - 1], 'e' | 'E')
                });
                Kind::Number
            }
            '"' => {
                let (text, end) = string(&chars, i).ok_or_else(|| Error::Parse {
                    line: number,
                    column: span.column,
                    message: "a string that does not end".into(),
                })?;
                i = end;
                tokens.push(Token { kind: Kind::Text, text, span });
                continue;
            }
            '-' if chars.get(i) == Some(&'>') => {
                i += 1;
                Kind::Sign
            }
            '(' | ')' | '[' | ']' | '{' | '}' | ',' | ':' | '=' | '+' | '-' | '*' | '@' | '%' | '$' | '#' => Kind::Sign,
            other => {
                let message = format!("unexpected character {other:?}");
                return Err(Error::Parse { line: number, column: span.column, message });
            }
        };
        tokens.push(Token { kind, text: chars[start..i].iter().collect(), span });
    }
    Ok(())
}

/// The contents of a string as `{:?}` writes them, and the index behind its closing quote.
fn string(chars: &[char], mut i: usize) -> Option<(String, usize)> {
    let mut text = String::new();
    loop {
        match *chars.get(i)? {
            '"' => return Some((text, i + 1)),
            '\\' => {
                i += 1;
                match *chars.get(i)? {
                    'n' => text.push('\n'),
                    't' => text.push('\t'),
                    'r' => text.push('\r'),
                    '0' => text.push('\0'),
                    'u' => {
                        let close = i + chars[i..].iter().position(|c| *c == '}')?;
                        let hex: String = chars.get(i + 2..close)?.iter().collect();
                        text.push(char::from_u32(u32::from_str_radix(&hex, 16).ok()?)?);
                        i = close;
                    }
                    c => text.push(c),
                }
            }
            c => text.push(c),
        }
        i += 1;
    }
}
