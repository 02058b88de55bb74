// Decompresses deflate (RFC 1951) the way gzip does it, which matters where the data
// are damaged: zlib refuses what points back too far and forgets what it has not handed
// out yet, while gzip goes on and writes all of it.

import { type ByteSource, unexpectedEnd } from "./byte_source.ts";

/** How far back a copy can reach; output is handed out in pieces of this size. */
const WINDOW = 32 * 1024;
const MAX_BITS = 15;
/** No code with what belongs to it takes more bytes of input. */
const MARGIN = 8;

const LENGTHS = [
  ...[3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59],
  ...[67, 83, 99, 115, 131, 163, 195, 227, 258],
];
const LENGTH_BITS = [
  ...[0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3],
  ...[4, 4, 4, 4, 5, 5, 5, 5, 0],
];
const DISTANCE_BITS = Array.from(
  { length: 30 },
  (_, code) => Math.max(0, (code >> 1) - 1),
);
const DISTANCES = DISTANCE_BITS.map((bits, code) =>
  code < 4 ? code + 1 : ((2 + (code & 1)) << bits) + 1
);
/** The order in which the lengths of the codes for code lengths come. */
const CODE_ORDER = [
  ...[16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15],
];

/** A Huffman code: its next bits index the table, whose entries are symbol * 16 + length. */
interface Code {
  readonly table: Uint16Array;
  readonly mask: number;
}

const damaged = () => new Error("the compressed data are damaged");

/** Makes the table of a code from the lengths of its symbols' codes. */
function makeCode(lengths: ArrayLike<number>, mayBeIncomplete = false): Code {
  const counts = new Uint16Array(MAX_BITS + 1);
  for (let i = 0; i < lengths.length; i++) counts[lengths[i]!]!++;
  let longest = MAX_BITS;
  while (longest > 1 && counts[longest] === 0) longest--;
  const next = new Uint16Array(MAX_BITS + 2);
  let left = 1;
  for (let length = 1; length <= longest; length++) {
    left = left * 2 - counts[length]!;
    if (left < 0) throw damaged();
    next[length + 1] = (next[length]! + counts[length]!) << 1;
  }
  // A single code of one bit is fine without its counterpart.
  if (left > 0 && longest > 1 && !mayBeIncomplete) throw damaged();
  const table = new Uint16Array(1 << longest);
  for (let symbol = 0; symbol < lengths.length; symbol++) {
    const length = lengths[symbol]!;
    if (length === 0) continue;
    // Codes come with their first bit first, numbers with their last.
    let code = next[length]!++;
    let reversed = 0;
    for (let i = 0; i < length; i++, code >>= 1) {
      reversed = reversed << 1 | code & 1;
    }
    for (let at = reversed; at < table.length; at += 1 << length) {
      table[at] = symbol << 4 | length;
    }
  }
  return { table, mask: table.length - 1 };
}

function repeat(lengths: readonly [length: number, times: number][]): number[] {
  return lengths.flatMap(([length, times]) => Array(times).fill(length));
}

const FIXED_LITERALS = makeCode(repeat([[8, 144], [9, 112], [7, 24], [8, 8]]));
const FIXED_DISTANCES = makeCode(repeat([[5, 30]]), true);

/** What made `#decode` return. */
const INPUT = 0, OUTPUT = 1, END = 2, FAILURE = 3;

/** Decompresses one stream after the other from a source. */
export class Inflater {
  readonly #source: ByteSource;
  /** Also what the next output is handed out from; it keeps its content in between. */
  readonly #window = new Uint8Array(WINDOW);
  #at = 0;
  /** Bits that were taken from the source and not used. */
  #hold = 0;
  #bits = 0;
  /** The rest of a copy that did not fit into the window. */
  #copyLength = 0;
  #copyFrom = 0;

  constructor(source: ByteSource) {
    this.#source = source;
  }

  /**
   * Decompresses a stream, and leaves the source behind its last byte. The chunks are
   * good until the next one.
   *
   * @throws After everything that could be decompressed.
   */
  async *stream(): AsyncGenerator<Uint8Array, undefined> {
    this.#at =
      this.#hold =
      this.#bits =
      this.#copyLength =
        0;
    try {
      for (let last = 0; last === 0;) {
        last = await this.#take(1);
        const type = await this.#take(2);
        if (type === 0) {
          yield* this.#stored();
        } else {
          const [literals, distances] = type === 1
            ? [FIXED_LITERALS, FIXED_DISTANCES]
            : type === 2
            ? await this.#readCodes()
            : [];
          if (literals === undefined || distances === undefined) {
            throw damaged();
          }
          for (;;) {
            const state = this.#decode(literals, distances);
            if (state === END) break;
            if (state === FAILURE) throw this.#failure();
            if (state === OUTPUT) yield this.#flush();
            else await this.#refill();
          }
        }
      }
    } catch (error) {
      yield this.#flush();
      throw error;
    }
    this.#giveBack();
    yield this.#flush();
  }

  #flush(): Uint8Array {
    const chunk = this.#window.subarray(0, this.#at);
    this.#at = 0;
    return chunk;
  }

  /** Gives whole bytes back to the source, of which it then has more. */
  #giveBack(): void {
    this.#source.at -= this.#bits >> 3;
    this.#bits &= 7;
    this.#hold &= (1 << this.#bits) - 1;
  }

  /** What is wrong if the next bits are no code. */
  #failure(): Error {
    const { at, end } = this.#source;
    return at === end && this.#bits < MAX_BITS ? unexpectedEnd() : damaged();
  }

  async #refill(): Promise<void> {
    this.#giveBack();
    await this.#source.more();
  }

  async #take(n: number): Promise<number> {
    while (this.#bits < n) {
      this.#hold |= await this.#source.next() << this.#bits;
      this.#bits += 8;
    }
    const value = this.#hold & ((1 << n) - 1);
    this.#hold >>>= n;
    this.#bits -= n;
    return value;
  }

  async *#stored(): AsyncGenerator<Uint8Array> {
    const source = this.#source;
    this.#giveBack();
    this.#hold = this.#bits = 0;
    let left = await source.number(2);
    if ((await source.number(2) ^ 0xffff) !== left) throw damaged();
    while (left > 0) {
      if (await source.peek() === undefined) throw unexpectedEnd();
      const n = Math.min(left, source.end - source.at, WINDOW - this.#at);
      this.#window.set(
        source.buffer.subarray(source.at, source.at + n),
        this.#at,
      );
      source.at += n;
      this.#at += n;
      left -= n;
      if (this.#at === WINDOW) yield this.#flush();
    }
  }

  async #readCodes(): Promise<[literals: Code, distances: Code]> {
    const literals = await this.#take(5) + 257;
    const distances = await this.#take(5) + 1;
    const n = await this.#take(4) + 4;
    if (literals > 286 || distances > 30) throw damaged();
    const codeLengths = new Uint8Array(CODE_ORDER.length);
    for (let i = 0; i < n; i++) {
      codeLengths[CODE_ORDER[i]!] = await this.#take(3);
    }
    const code = makeCode(codeLengths);
    const lengths = new Uint8Array(literals + distances);
    for (let i = 0; i < lengths.length;) {
      const symbol = await this.#symbol(code);
      if (symbol < 16) {
        lengths[i++] = symbol;
        continue;
      }
      const length = symbol === 16 && i > 0 ? lengths[i - 1]! : 0;
      const times = symbol === 16
        ? 3 + await this.#take(2)
        : symbol === 17
        ? 3 + await this.#take(3)
        : 11 + await this.#take(7);
      if (i + times > lengths.length) throw damaged();
      lengths.fill(length, i, i += times);
    }
    return [
      makeCode(lengths.subarray(0, literals)),
      makeCode(lengths.subarray(literals)),
    ];
  }

  async #symbol({ table, mask }: Code): Promise<number> {
    for (;;) {
      const entry = table[this.#hold & mask]!;
      const length = entry & 15;
      if (length !== 0 && length <= this.#bits) {
        await this.#take(length);
        return entry >> 4;
      }
      if (this.#bits >= MAX_BITS) throw damaged();
      this.#hold |= await this.#source.next() << this.#bits;
      this.#bits += 8;
    }
  }

  /** The hot loop: decodes until it needs input, the window is full or the block ends. */
  #decode(literals: Code, distances: Code): number {
    const { buffer, end, ended } = this.#source;
    const window = this.#window;
    let { at: from } = this.#source;
    let at = this.#at;
    let hold = this.#hold;
    let bits = this.#bits;
    let length = this.#copyLength;
    let copy = this.#copyFrom;
    let state = INPUT;
    for (;;) {
      while (length > 0 && at < WINDOW) {
        // Up to where either end of the copy meets the end of the window.
        const stop = at + Math.min(length, WINDOW - Math.max(at, copy));
        length -= stop - at;
        while (at < stop) window[at++] = window[copy++]!;
        copy &= WINDOW - 1;
      }
      if (at === WINDOW) {
        state = OUTPUT;
        break;
      }
      if (end - from < MARGIN && !ended) break;
      while (bits <= 24 && from < end) {
        hold |= buffer[from++]! << bits;
        bits += 8;
      }
      let entry = literals.table[hold & literals.mask]!;
      let used = entry & 15;
      const symbol = entry >> 4;
      if (used === 0 || used > bits) {
        state = FAILURE;
        break;
      }
      hold >>>= used;
      bits -= used;
      if (symbol < 256) {
        window[at++] = symbol;
        continue;
      }
      if (symbol === 256) {
        state = END;
        break;
      }
      const extra = LENGTH_BITS[symbol - 257];
      if (extra === undefined || extra > bits) {
        state = FAILURE;
        break;
      }
      const size = LENGTHS[symbol - 257]! + (hold & ((1 << extra) - 1));
      hold >>>= extra;
      bits -= extra;
      while (bits <= 24 && from < end) {
        hold |= buffer[from++]! << bits;
        bits += 8;
      }
      entry = distances.table[hold & distances.mask]!;
      used = entry & 15;
      if (used === 0 || used > bits) {
        state = FAILURE;
        break;
      }
      hold >>>= used;
      bits -= used;
      const more = DISTANCE_BITS[entry >> 4];
      while (bits <= 24 && from < end) {
        hold |= buffer[from++]! << bits;
        bits += 8;
      }
      if (more === undefined || more > bits) {
        state = FAILURE;
        break;
      }
      const distance = DISTANCES[entry >> 4]! + (hold & ((1 << more) - 1));
      hold >>>= more;
      bits -= more;
      length = size;
      // What lies before the beginning is left over from earlier, as with gzip.
      copy = (at - distance) & (WINDOW - 1);
    }
    this.#source.at = from;
    this.#at = at;
    this.#hold = hold;
    this.#bits = bits;
    this.#copyLength = length;
    this.#copyFrom = copy;
    return state;
  }
}
