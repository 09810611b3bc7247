//! Reading the control line: one request a line, bounded, and never fatal. A line over the limit is skipped to its
//! newline and reported once.

use std::io::{self, BufRead};

#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// Without its newline; not yet known to be UTF-8 or JSON.
    Text(Vec<u8>),
    /// Longer than the limit; its bytes are gone.
    TooLong,
    Eof,
}

/// The next line of at most `limit` bytes, newline included. A last line without newline counts as a line.
pub fn read_line(input: &mut impl BufRead, limit: usize) -> io::Result<Line> {
    let mut line = Vec::new();
    let mut too_long = false;
    loop {
        let chunk = match input.fill_buf() {
            Ok(chunk) => chunk,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if chunk.is_empty() {
            return Ok(match (too_long, line.is_empty()) {
                (true, _) => Line::TooLong,
                (false, true) => Line::Eof,
                (false, false) => Line::Text(line),
            });
        }
        let newline = chunk.iter().position(|byte| *byte == b'\n');
        let taken = newline.map_or(chunk.len(), |at| at + 1);
        if line.len() + taken > limit {
            too_long = true;
            line = Vec::new();
        } else if !too_long {
            line.extend_from_slice(&chunk[..newline.unwrap_or(taken)]);
        }
        input.consume(taken);
        if newline.is_some() {
            return Ok(if too_long { Line::TooLong } else { Line::Text(line) });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_over_the_limit_is_skipped_and_the_next_one_read() {
        let input = format!("{}\nok\nlast", "x".repeat(100));
        let mut input = BufReader::with_capacity(7, input.as_bytes());
        assert_eq!(read_line(&mut input, 100).expect("read"), Line::TooLong);
        assert_eq!(read_line(&mut input, 100).expect("read"), Line::Text(b"ok".to_vec()));
        assert_eq!(read_line(&mut input, 100).expect("read"), Line::Text(b"last".to_vec()));
        assert_eq!(read_line(&mut input, 100).expect("read"), Line::Eof);
    }

    proptest! {
        #[test]
        fn lines_come_back_whole_at_any_buffer_size(
            lines in prop::collection::vec("[a-z]{0,40}", 0..8),
            capacity in 1usize..50,
            limit in 1usize..45,
        ) {
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            let mut input = BufReader::with_capacity(capacity, text.as_bytes());
            for line in &lines {
                let wanted = if line.len() + 1 > limit { Line::TooLong } else { Line::Text(line.clone().into_bytes()) };
                prop_assert_eq!(read_line(&mut input, limit).expect("read"), wanted);
            }
            prop_assert_eq!(read_line(&mut input, limit).expect("read"), Line::Eof);
        }
    }
}
