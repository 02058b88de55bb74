// Snappy's block format (google/snappy, format_description.txt): a length, then literals
// and copies of what came up to 64 KiB earlier.

/** Blocks of this size are compressed apart, so that an offset always fits in 16 bits. */
const BLOCK = 65_536;
const HASH_BITS = 14;
/** A shorter rest is not worth looking for repetitions. */
const MIN_BLOCK = 16;
/** Where the last block put each hash of four bytes, counted from the block's start. */
const table = new Uint16Array(1 << HASH_BITS);

/** How many bytes {@linkcode compress} makes of `length` bytes at most. */
function maxCompressed(length: number): number {
  return 32 + length + Math.ceil(length / 6);
}

let scratch = new Uint8Array(0);

/** Compresses. The result has a buffer of its own, of just its size. */
export function compress(input: Uint8Array): Uint8Array<ArrayBuffer> {
  const max = maxCompressed(input.length);
  if (scratch.length < max) scratch = new Uint8Array(max);
  let at = writeVarint(scratch, 0, input.length);
  for (let start = 0; start < input.length; start += BLOCK) {
    const end = Math.min(input.length, start + BLOCK);
    at = compressBlock(input, start, end, scratch, at);
  }
  return scratch.slice(0, at);
}

function compressBlock(
  input: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
  at: number,
): number {
  /** Up to where the input has been written. */
  let done = start;
  if (end - start >= MIN_BLOCK) {
    table.fill(0);
    const last = end - 4;
    let misses = 32;
    for (let i = start + 1; i <= last;) {
      const word = read32(input, i);
      const slot = Math.imul(word, 0x1e35a7bd) >>> (32 - HASH_BITS);
      const candidate = start + table[slot]!;
      table[slot] = i - start;
      if (candidate >= i || read32(input, candidate) !== word) {
        // The longer nothing repeats, the fewer places are looked at.
        i += misses++ >> 5;
        continue;
      }
      misses = 32;
      let length = 4;
      while (
        i + length < end && input[candidate + length] === input[i + length]
      ) length++;
      if (done < i) at = writeLiteral(input, done, i, out, at);
      at = writeCopy(i - candidate, length, out, at);
      i += length;
      done = i;
      if (i <= last) {
        // What follows a repetition often repeats as well.
        const before = read32(input, i - 1);
        table[Math.imul(before, 0x1e35a7bd) >>> (32 - HASH_BITS)] = i - 1 -
          start;
      }
    }
  }
  return done < end ? writeLiteral(input, done, end, out, at) : at;
}

function read32(bytes: Uint8Array, at: number): number {
  return bytes[at]! | bytes[at + 1]! << 8 | bytes[at + 2]! << 16 |
    bytes[at + 3]! << 24;
}

function writeVarint(out: Uint8Array, at: number, value: number): number {
  while (value >= 0x80) {
    out[at++] = value & 0x7f | 0x80;
    value = Math.floor(value / 128);
  }
  out[at++] = value;
  return at;
}

function writeLiteral(
  input: Uint8Array,
  from: number,
  to: number,
  out: Uint8Array,
  at: number,
): number {
  const n = to - from - 1;
  if (n < 60) {
    out[at++] = n << 2;
  } else if (n < 256) {
    out[at++] = 60 << 2;
    out[at++] = n;
  } else {
    out[at++] = 61 << 2;
    out[at++] = n & 0xff;
    out[at++] = n >> 8;
  }
  // For a few bytes, a call of set() takes longer.
  if (n < 24) { for (let i = from; i < to; i++) out[at++] = input[i]!; }
  else {
    out.set(input.subarray(from, to), at);
    at += to - from;
  }
  return at;
}

function writeCopy(
  offset: number,
  length: number,
  out: Uint8Array,
  at: number,
): number {
  // A copy has 64 bytes at most; what remains of it must have 4 or more.
  while (length > 0) {
    const n = length > 64 ? (length < 68 ? 60 : 64) : length;
    if (n >= 4 && n <= 11 && offset < 2048) {
      out[at++] = 1 | n - 4 << 2 | offset >> 8 << 5;
      out[at++] = offset & 0xff;
    } else {
      out[at++] = 2 | n - 1 << 2;
      out[at++] = offset & 0xff;
      out[at++] = offset >> 8;
    }
    length -= n;
  }
  return at;
}

/**
 * Decompresses.
 *
 * @param input What {@linkcode compress} or another implementation made.
 * @param allocate Gives a buffer of at least that size.
 * @throws {RangeError} If it is not Snappy's block format.
 */
export function decompress(
  input: Uint8Array,
  allocate: (size: number) => Uint8Array<ArrayBuffer> = (size) =>
    new Uint8Array(size),
): Uint8Array<ArrayBuffer> {
  let at = 0;
  let length = 0;
  for (let factor = 1;; factor *= 128) {
    const byte = input[at++];
    if (byte === undefined || factor > 2 ** 28) throw broken();
    length += (byte & 0x7f) * factor;
    if (byte < 0x80) break;
  }
  const out = allocate(length);
  let to = 0;
  while (at < input.length) {
    const tag = input[at++]!;
    let n = tag >> 2;
    if ((tag & 3) === 0) {
      if (n >= 60) {
        const bytes = n - 59;
        n = 0;
        for (let i = 0; i < bytes; i++) n += (input[at++] ?? NaN) * 256 ** i;
      }
      n++;
      if (!(at + n <= input.length && to + n <= length)) throw broken();
      if (n < 24) {
        for (const end = at + n; at < end;) out[to++] = input[at++]!;
      } else {
        out.set(input.subarray(at, at + n), to);
        at += n;
        to += n;
      }
      continue;
    }
    let offset: number;
    if ((tag & 3) === 1) {
      n = (n & 7) + 4;
      offset = tag >> 5 << 8 | (input[at++] ?? 0);
    } else {
      n++;
      offset = (input[at++] ?? 0) | (input[at++] ?? 0) << 8;
      if ((tag & 3) === 3) {
        offset += (input[at++] ?? 0) * 2 ** 16 + (input[at++] ?? 0) * 2 ** 24;
      }
    }
    if (offset === 0 || offset > to || to + n > length || at > input.length) {
      throw broken();
    }
    // Byte by byte, as a copy may reach into what it writes.
    for (const end = to + n; to < end; to++) out[to] = out[to - offset]!;
  }
  if (to !== length) throw broken();
  return out.subarray(0, length);
}

function broken(): RangeError {
  return new RangeError(
    "Cannot decompress as the bytes are not Snappy's block format",
  );
}
