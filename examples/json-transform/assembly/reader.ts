// A pull reader for JSON (RFC 8259) in UTF-8, from stdin. It keeps neither the
// text nor a tree: the caller asks for what it expects next. After the first
// error every answer is empty and `error` says what was wrong and where.

import { readInput } from "./wasi";

const MAX_DEPTH = 200;
const CHUNK = 64 * 1024;

const QUOTE: u8 = 0x22;
const BACKSLASH: u8 = 0x5c;
const COMMA: u8 = 0x2c;
const COLON: u8 = 0x3a;
const MINUS: u8 = 0x2d;
const DOT: u8 = 0x2e;
const OPEN_ARRAY: u8 = 0x5b;
const CLOSE_ARRAY: u8 = 0x5d;
const OPEN_OBJECT: u8 = 0x7b;
const CLOSE_OBJECT: u8 = 0x7d;

export class Reader {
  error: string = "";
  private chunk: StaticArray<u8> = new StaticArray<u8>(CHUNK);
  private at: i32 = 0; // in chunk
  private filled: i32 = 0; // bytes in chunk
  private before: i64 = 0; // bytes of input before chunk
  private ended: bool = false;
  private depth: i32 = 0;
  private units: StaticArray<u16> = new StaticArray<u16>(256);
  private unitCount: i32 = 0;

  failed(): bool {
    return this.error.length > 0;
  }

  fail(what: string): void {
    if (!this.failed()) {
      this.error = what + " at byte " + (this.before + this.at).toString();
    }
  }

  /** True when there is a byte at `at`; it reads on for that. */
  private more(): bool {
    if (this.at < this.filled) return true;
    if (this.ended) return false;
    this.before += this.filled;
    this.at = 0;
    this.filled = 0;
    const got = readInput(changetype<usize>(this.chunk), CHUNK);
    if (got <= 0) {
      this.ended = true;
      if (got < 0) this.fail("cannot read stdin");
      return false;
    }
    this.filled = got;
    return true;
  }

  /** The byte at `at`, 0 at the end. */
  private byte(): u8 {
    return this.more() ? unchecked(this.chunk[this.at]) : 0;
  }

  private space(): void {
    while (true) {
      const b = this.byte();
      if (b != 0x20 && b != 0x0a && b != 0x0d && b != 0x09) return;
      this.at++;
    }
  }

  /** The first byte of the next token, 0 at the end. */
  peek(): u8 {
    this.space();
    return this.byte();
  }

  isArray(): bool {
    return this.peek() == OPEN_ARRAY;
  }

  isObject(): bool {
    return this.peek() == OPEN_OBJECT;
  }

  private enter(open: u8, what: string): bool {
    if (this.failed()) return false;
    if (this.peek() != open) {
      this.fail("expected " + what);
      return false;
    }
    if (++this.depth > MAX_DEPTH) {
      this.fail("too deeply nested");
      return false;
    }
    this.at++;
    return true;
  }

  enterArray(): bool {
    return this.enter(OPEN_ARRAY, "an array");
  }

  enterObject(): bool {
    return this.enter(OPEN_OBJECT, "an object");
  }

  /** True when another member follows; at the end it leaves the container. */
  private another(close: u8, first: bool): bool {
    if (this.failed()) return false;
    const b = this.peek();
    if (b == close) {
      this.at++;
      this.depth--;
      return false;
    }
    if (first) return true;
    if (b != COMMA) {
      this.fail("expected a comma or the end of the list");
      return false;
    }
    this.at++;
    return true;
  }

  nextElement(first: bool): bool {
    return this.another(CLOSE_ARRAY, first);
  }

  /** As nextElement, for an object: read the key with `key` then. */
  nextMember(first: bool): bool {
    return this.another(CLOSE_OBJECT, first);
  }

  key(): string {
    const name = this.text();
    if (!this.failed()) {
      if (this.peek() == COLON) this.at++;
      else this.fail("expected a colon");
    }
    return name;
  }

  text(): string {
    if (!this.scanText()) return "";
    return this.decoded();
  }

  private decoded(): string {
    return String.UTF16.decodeUnsafe(changetype<usize>(this.units), <usize>this.unitCount << 1);
  }

  number(): f64 {
    if (this.failed()) return 0;
    this.space();
    if (!this.scanNumber()) {
      this.fail("expected a number");
      return 0;
    }
    const value = parseFloat(this.decoded());
    if (!isFinite(value)) {
      this.fail("number out of range");
      return 0;
    }
    return value;
  }

  /** Goes past any value, checking that it is well formed. */
  skip(): void {
    if (this.failed()) return;
    const b = this.peek();
    if (b == OPEN_OBJECT) {
      this.enterObject();
      for (let first = true; this.nextMember(first); first = false) {
        if (!this.scanText()) return;
        if (this.peek() != COLON) return this.fail("expected a colon");
        this.at++;
        this.skip();
      }
    } else if (b == OPEN_ARRAY) {
      this.enterArray();
      for (let first = true; this.nextElement(first); first = false) this.skip();
    } else if (b == QUOTE) {
      this.scanText();
    } else if (b == 0x74) {
      this.word("true");
    } else if (b == 0x66) {
      this.word("false");
    } else if (b == 0x6e) {
      this.word("null");
    } else if (!this.scanNumber()) {
      this.fail("expected a value");
    }
  }

  /** Call it behind the outermost value: nothing but space may follow. */
  end(): void {
    if (this.failed()) return;
    this.space();
    if (this.more()) this.fail("text behind the value");
  }

  private word(expected: string): void {
    for (let i = 0; i < expected.length; i++) {
      if (<i32>this.byte() != expected.charCodeAt(i)) return this.fail("expected " + expected);
      this.at++;
    }
  }

  /** Goes past a byte of a number and keeps it. */
  private take(): void {
    this.unit(this.byte());
    this.at++;
  }

  private digits(): bool {
    if (<u32>this.byte() - 0x30 >= 10) return false;
    while (<u32>this.byte() - 0x30 < 10) this.take();
    return true;
  }

  /** A number token, as text in `units`. */
  private scanNumber(): bool {
    this.unitCount = 0;
    if (this.byte() == MINUS) this.take();
    if (this.byte() == 0x30) this.take();
    else if (!this.digits()) return false;
    if (this.byte() == DOT) {
      this.take();
      if (!this.digits()) return false;
    }
    if ((this.byte() | 0x20) == 0x65) { // e or E
      this.take();
      const sign = this.byte();
      if (sign == 0x2b || sign == MINUS) this.take();
      if (!this.digits()) return false;
    }
    return true;
  }

  private unit(value: u32): void {
    const capacity = this.units.length;
    if (this.unitCount == capacity) {
      const larger = new StaticArray<u16>(capacity * 2);
      memory.copy(changetype<usize>(larger), changetype<usize>(this.units), <usize>capacity << 1);
      this.units = larger;
    }
    unchecked((this.units[this.unitCount++] = <u16>value));
  }

  private codePoint(value: u32): void {
    if (value < 0x10000) {
      this.unit(value);
    } else {
      this.unit(0xd800 + ((value - 0x10000) >> 10));
      this.unit(0xdc00 + ((value - 0x10000) & 0x3ff));
    }
  }

  /** A string token, decoded into `units`. */
  private scanText(): bool {
    if (this.failed()) return false;
    if (this.peek() != QUOTE) {
      this.fail("expected a string");
      return false;
    }
    this.at++;
    this.unitCount = 0;
    while (this.more()) {
      const b = this.byte();
      if (b == QUOTE) {
        this.at++;
        return true;
      }
      if (b == BACKSLASH) {
        if (!this.escape()) return false;
      } else if (b < 0x20) {
        this.fail("control character in a string");
        return false;
      } else if (b < 0x80) {
        this.unit(b);
        this.at++;
      } else if (!this.utf8()) {
        this.fail("invalid UTF-8");
        return false;
      }
    }
    this.fail("string without an end");
    return false;
  }

  private escape(): bool {
    this.at++;
    let value: u32;
    switch (this.byte()) {
      case QUOTE: value = 0x22; break;
      case BACKSLASH: value = 0x5c; break;
      case 0x2f: value = 0x2f; break; // /
      case 0x62: value = 0x08; break; // b
      case 0x66: value = 0x0c; break; // f
      case 0x6e: value = 0x0a; break; // n
      case 0x72: value = 0x0d; break; // r
      case 0x74: value = 0x09; break; // t
      case 0x75: { // u
        value = 0;
        for (let i = 0; i < 4; i++) {
          this.at++;
          const b = <u32>this.byte();
          const letter = b | 0x20;
          if (b - 0x30 < 10) value = (value << 4) | (b - 0x30);
          else if (letter - 0x61 < 6) value = (value << 4) | (letter - 0x61 + 10);
          else {
            this.fail("bad \\u escape");
            return false;
          }
        }
        break;
      }
      default:
        this.fail("bad escape");
        return false;
    }
    this.at++;
    this.unit(value);
    return true;
  }

  /** One character of two to four bytes. */
  private utf8(): bool {
    const b = <u32>this.byte();
    let more: i32;
    let least: u32;
    let value: u32;
    if ((b & 0xe0) == 0xc0) {
      more = 1;
      least = 0x80;
      value = b & 0x1f;
    } else if ((b & 0xf0) == 0xe0) {
      more = 2;
      least = 0x800;
      value = b & 0x0f;
    } else if ((b & 0xf8) == 0xf0) {
      more = 3;
      least = 0x10000;
      value = b & 0x07;
    } else {
      return false;
    }
    this.at++;
    for (; more > 0; more--) {
      const next = <u32>this.byte();
      if ((next & 0xc0) != 0x80) return false;
      value = (value << 6) | (next & 0x3f);
      this.at++;
    }
    if (value < least || value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) return false;
    this.codePoint(value);
    return true;
  }
}

/** `text` as a JSON string token. */
export function quote(text: string): string {
  const parts: string[] = ['"'];
  const length = text.length;
  let plain = 0; // start of the run that needs no escape
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i);
    let escaped = "";
    if (unit == 0x22) escaped = '\\"';
    else if (unit == 0x5c) escaped = "\\\\";
    else if (unit < 0x20) escaped = hexEscape(unit);
    else if ((unit & 0xfc00) == 0xd800) {
      if (i + 1 < length && (text.charCodeAt(i + 1) & 0xfc00) == 0xdc00) i++;
      else escaped = hexEscape(unit); // half of a pair has no UTF-8 form
    } else if ((unit & 0xfc00) == 0xdc00) escaped = hexEscape(unit);
    if (escaped.length > 0) {
      parts.push(text.substring(plain, i));
      parts.push(escaped);
      plain = i + 1;
    }
  }
  parts.push(text.substring(plain));
  parts.push('"');
  return parts.join("");
}

function hexEscape(unit: i32): string {
  return "\\u" + unit.toString(16).padStart(4, "0");
}
