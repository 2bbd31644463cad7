//! deflate: stdin as a gzip file (RFC 1952) on stdout, compressed with
//! DEFLATE (RFC 1951: LZ77 and dynamic Huffman codes).
//!
//! The compressor is the miniz_oxide library; the gzip frame and its CRC-32
//! are made here. Input and output go through fixed buffers, so any size of
//! input takes the same memory. The same input always gives the same bytes:
//! the header carries no name and no time.

extern crate miniz_oxide;

use miniz_oxide::deflate::core::{compress, CompressorOxide, TDEFLFlush, TDEFLStatus};
use miniz_oxide::DataFormat;
use std::io::{self, Read, Write};
use std::process::ExitCode;

const LEVEL: u8 = 6;
const IN_CHUNK: usize = 64 * 1024;
const OUT_CHUNK: usize = 64 * 1024;

/// Magic, method 8 (DEFLATE), no flags, no time, no extra flags, system 255
/// (unknown).
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// CRC-32 as in RFC 1952, section 8, one table entry for each byte value.
const CRC_TABLE: [u32; 256] = crc_table();

const fn crc_table() -> [u32; 256] {
    let mut table = [0u32; 256];
    let mut n = 0;
    while n < 256 {
        let mut c = n as u32;
        let mut bit = 0;
        while bit < 8 {
            c = if c & 1 == 1 { 0xedb8_8320 ^ (c >> 1) } else { c >> 1 };
            bit += 1;
        }
        table[n] = c;
        n += 1;
    }
    table
}

/// The state starts as all ones; the CRC is its complement.
fn crc_update(state: u32, data: &[u8]) -> u32 {
    data.iter().fold(state, |c, &byte| {
        CRC_TABLE[((c ^ u32::from(byte)) & 0xff) as usize] ^ (c >> 8)
    })
}

fn failed() -> io::Error {
    io::Error::from(io::ErrorKind::Other)
}

/// Feeds `data` to the compressor and writes what comes out. With `Finish` it
/// goes on until the last block is out.
fn pump(
    deflater: &mut CompressorOxide,
    mut data: &[u8],
    flush: TDEFLFlush,
    buffer: &mut [u8],
    output: &mut dyn Write,
) -> io::Result<()> {
    loop {
        let (status, taken, made) = compress(deflater, data, buffer, flush);
        data = &data[taken..];
        output.write_all(&buffer[..made])?;
        match status {
            TDEFLStatus::Done => return Ok(()),
            TDEFLStatus::Okay => {
                if flush == TDEFLFlush::None && data.is_empty() && made < buffer.len() {
                    return Ok(());
                }
                if taken == 0 && made == 0 {
                    return Err(failed());
                }
            }
            _ => return Err(failed()),
        }
    }
}

fn run(input: &mut dyn Read, output: &mut dyn Write) -> io::Result<()> {
    let mut deflater = CompressorOxide::default();
    deflater.set_format_and_level(DataFormat::Raw, LEVEL);

    let mut in_buffer = vec![0u8; IN_CHUNK];
    let mut out_buffer = vec![0u8; OUT_CHUNK];
    let mut crc = !0u32;
    let mut size = 0u32; // modulo 2^32, as the trailer wants it

    output.write_all(&HEADER)?;
    loop {
        let got = match input.read(&mut in_buffer) {
            Ok(0) => break,
            Ok(got) => got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let data = &in_buffer[..got];
        crc = crc_update(crc, data);
        size = size.wrapping_add(got as u32);
        pump(&mut deflater, data, TDEFLFlush::None, &mut out_buffer, output)?;
    }
    pump(&mut deflater, &[], TDEFLFlush::Finish, &mut out_buffer, output)?;
    output.write_all(&(!crc).to_le_bytes())?;
    output.write_all(&size.to_le_bytes())
}

fn main() -> ExitCode {
    let mut stdout = io::stdout().lock();
    let result = run(&mut io::stdin().lock(), &mut stdout).and_then(|()| stdout.flush());
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => {
            let _ = io::stderr().write_all(b"deflate: cannot read stdin or write stdout\n");
            ExitCode::FAILURE
        }
    }
}
