//! Heads of requests and responses (RFC 9112 §2 to §5). Their lines are found while they arrive, and they are
//! parsed once.

use alloc::vec;
use core::ops::Range;

use bytes::Bytes;
use httparse::Status;

use super::error::{RequestError, ResponseError};
use crate::{
    config::Config,
    handshake::headers::{Headers, text_len},
    text::utf8::Utf8Bytes,
};

/// Finds the lines of a head. It looks at each byte only once, however the bytes arrive.
#[derive(Debug)]
pub(super) struct Head {
    /// The number of bytes that were looked at.
    at: usize,
    /// The position at which the current line begins.
    line: usize,
    /// The position at which the fields begin, after the start line.
    fields_at: Option<usize>,
    fields: usize,
    /// Whether a line begins with white space.
    folded: bool,
    /// The most bytes that the head may have.
    max: usize,
}

/// The part of a head that was found.
pub(super) enum Found {
    /// The request or status line, with its CRLF.
    StartLine(Range<usize>),
    /// The fields, with the empty line after them.
    Fields(Range<usize>),
}

/// The reason why the bytes are not a valid head, reported at the first byte that shows it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum HeadError {
    Syntax,
    StartLineTooLong,
    FieldTooLong,
    TooManyFields,
    TooLarge,
}

impl Head {
    pub(super) const fn new(max: usize) -> Self {
        Self {
            at: 0,
            line: 0,
            fields_at: None,
            fields: 0,
            folded: false,
            max,
        }
    }

    /// Returns how many more bytes the head may have.
    pub(super) const fn remaining(&self) -> usize {
        self.max.saturating_sub(self.at)
    }

    /// Looks at the new bytes of `input`, which begins where the head does.
    pub(super) fn find(
        &mut self,
        input: &[u8],
        config: &Config,
    ) -> Result<Option<Found>, HeadError> {
        while let Some(rest @ [byte, ..]) = input.get(self.at..) {
            let start = self.at.checked_sub(1).filter(|&last| last >= self.line);
            let after_cr = start.and_then(|last| input.get(last)) == Some(&b'\r');
            let text = if after_cr { 0 } else { text_len(rest) };
            if text > 0 {
                self.folded |= self.at == self.line && matches!(byte, b' ' | b'\t');
                self.skip_text(text, config)?;
                continue;
            }
            if self.remaining() == 0 {
                return Err(HeadError::TooLarge);
            }
            self.at = self.at.saturating_add(1);
            match byte {
                // A lone LF or CR ends a line for some readers and not for others.
                b'\n' if after_cr => {
                    if let Some(found) = self.end_line(config)? {
                        return Ok(Some(found));
                    }
                }
                b'\r' if !after_cr => {}
                _ => return Err(HeadError::Syntax),
            }
        }
        Ok(None)
    }

    /// Skips `len` bytes that contain no line ending.
    fn skip_text(&mut self, len: usize, config: &Config) -> Result<(), HeadError> {
        let of_line = self.at.saturating_sub(self.line);
        let fits = config
            .max_head_line
            .saturating_sub(of_line)
            .min(self.remaining());
        self.at = self.at.saturating_add(len.min(fits));
        if len <= fits {
            return Ok(());
        }
        Err(match self.fields_at {
            _ if self.remaining() == 0 => HeadError::TooLarge,
            None => HeadError::StartLineTooLong,
            Some(_) => HeadError::FieldTooLong,
        })
    }

    fn end_line(&mut self, config: &Config) -> Result<Option<Found>, HeadError> {
        let line = self.line..self.at;
        let is_empty = line.len() == 2;
        self.line = self.at;
        match self.fields_at {
            // RFC 9112 §2.2: "SHOULD ignore at least one empty line … prior to the request-line".
            None if is_empty => Ok(None),
            None => {
                self.fields_at = Some(self.at);
                Ok(Some(Found::StartLine(line)))
            }
            Some(start) if is_empty => Ok(Some(Found::Fields(start..self.at))),
            Some(_) => {
                self.fields = self.fields.saturating_add(1);
                if self.fields > config.max_head_fields {
                    return Err(HeadError::TooManyFields);
                }
                Ok(None)
            }
        }
    }

    /// Returns a copy of the fields of a response, with each on one line. RFC 9112 §5.2: a user agent "MUST replace
    /// each received obs-fold with one or more SP octets".
    pub(super) fn unfolded(&self, fields: &[u8]) -> Bytes {
        if !self.folded {
            return Bytes::copy_from_slice(fields);
        }
        let is_fold = |window: &[u8]| matches!(window, [b'\r', b'\n', b' ' | b'\t']);
        let is_space = |byte: &&mut u8| matches!(**byte, b' ' | b'\t');
        let mut block = fields.to_vec();
        let mut rest = &mut block[..];
        while let Some(at) = rest.windows(3).position(is_fold) {
            let (before, fold) = rest.split_at_mut_checked(at).unwrap_or_default();
            before
                .iter_mut()
                .rev()
                .take_while(is_space)
                .for_each(|byte| *byte = b' ');
            let (end_of_line, after) = fold.split_at_mut_checked(2).unwrap_or_default();
            end_of_line.fill(b' ');
            after
                .iter_mut()
                .take_while(is_space)
                .for_each(|byte| *byte = b' ');
            rest = after;
        }
        block.into()
    }

    /// Parses the fields in `block`, a copy of what [`find`](Self::find) found.
    pub(super) fn parse_fields(&self, block: Bytes) -> Result<Headers, HeadError> {
        // RFC 9112 §5.2: a server "MUST either reject the message" that has an obs-fold, or replace it.
        let mut fields = vec![httparse::EMPTY_HEADER; self.fields];
        let Ok(Status::Complete((_, fields))) = httparse::parse_headers(&block, &mut fields) else {
            return Err(HeadError::Syntax);
        };
        let mut headers = Headers::with_capacity(fields.len());
        for field in fields {
            let name = Utf8Bytes::try_from(block.slice_ref(field.name.as_bytes()));
            let name = name.map_err(|_| HeadError::Syntax)?;
            let value = block.slice_ref(field.value);
            headers.push(name, value).map_err(|_| HeadError::Syntax)?;
        }
        Ok(headers)
    }
}

impl From<HeadError> for RequestError {
    fn from(error: HeadError) -> Self {
        match error {
            HeadError::Syntax => Self::Syntax,
            HeadError::StartLineTooLong => Self::TargetTooLong,
            HeadError::FieldTooLong => Self::FieldTooLong,
            HeadError::TooManyFields => Self::TooManyFields,
            HeadError::TooLarge => Self::HeadTooLarge,
        }
    }
}

impl From<HeadError> for ResponseError {
    fn from(error: HeadError) -> Self {
        match error {
            HeadError::Syntax => Self::Syntax,
            HeadError::StartLineTooLong | HeadError::FieldTooLong => Self::LineTooLong,
            HeadError::TooManyFields => Self::TooManyFields,
            HeadError::TooLarge => Self::HeadTooLarge,
        }
    }
}
