// Reads a .gz file: all that `gzip -dc` makes of it, and then the error if there is
// one. DecompressionStream and node:zlib forget what they have decompressed when they
// meet an error, and call what follows the last member one.

import { ByteSource } from "./byte_source.ts";
import { Inflater } from "./inflate.ts";
import type { Input } from "./io.ts";

const MAGIC = [0x1f, 0x8b];
const DEFLATE = 8;
const HAS_CHECKSUM = 2, HAS_EXTRA = 4, HAS_NAME = 8, HAS_COMMENT = 16;
/** The time, the compression's level and the system: of no use here. */
const UNUSED = 6;

/** The decompressed content of a file. */
export function gunzip(file: Input): Input {
  const chunks = readMembers(new ByteSource(file));
  let rest: Uint8Array = new Uint8Array(0);
  return {
    get size() {
      return file.size ?? 0;
    },
    get position() {
      return file.position ?? 0;
    },
    async read(buffer) {
      while (rest.length === 0) {
        const { done, value } = await chunks.next();
        if (done) return null;
        rest = value;
      }
      const part = rest.subarray(0, buffer.length);
      buffer.set(part);
      rest = rest.subarray(part.length);
      return part.length;
    },
    close: () => file.close(),
  };
}

async function* readMembers(
  source: ByteSource,
): AsyncGenerator<Uint8Array, undefined> {
  const inflater = new Inflater(source);
  await readHeader(source, "it is not in gzip format");
  for (;;) {
    let checksum = -1;
    let size = 0;
    for await (const chunk of inflater.stream()) {
      checksum = addToChecksum(checksum, chunk);
      size = (size + chunk.length) % 2 ** 32;
      yield chunk;
    }
    const wanted = [await source.number(4), await source.number(4)];
    if (wanted[0] !== ~checksum >>> 0 || wanted[1] !== size) {
      throw new Error("the checksum is wrong: the data are damaged");
    }
    // A tape is padded with zeros.
    while (await source.peek() === 0) source.at++;
    if (await source.peek() === undefined) return;
    await readHeader(source, "something else follows the compressed data");
  }
}

async function readHeader(
  source: ByteSource,
  complaint: string,
): Promise<void> {
  for (const byte of MAGIC) {
    if (await source.peek() !== byte) throw new Error(complaint);
    source.at++;
  }
  if (await source.next() !== DEFLATE) {
    throw new Error("it is compressed by an unknown method");
  }
  const flags = await source.next();
  await source.number(UNUSED);
  if (flags & HAS_EXTRA) {
    for (let n = await source.number(2); n > 0; n--) await source.next();
  }
  for (const flag of [HAS_NAME, HAS_COMMENT]) {
    if (flags & flag) { while (await source.next() !== 0); }
  }
  if (flags & HAS_CHECKSUM) await source.number(2);
}

/** Tables for CRC-32, four bytes at a time. */
const CRC = new Int32Array(4 * 256);
for (let byte = 0; byte < 256; byte++) {
  let crc = byte;
  for (let i = 0; i < 8; i++) {
    crc = crc & 1 ? crc >>> 1 ^ 0xedb88320 : crc >>> 1;
  }
  CRC[byte] = crc;
}
for (let at = 256; at < CRC.length; at++) {
  const crc = CRC[at - 256]!;
  CRC[at] = CRC[crc & 0xff]! ^ crc >>> 8;
}

function addToChecksum(checksum: number, bytes: Uint8Array): number {
  let crc = checksum;
  let i = 0;
  for (; i + 4 <= bytes.length; i += 4) {
    crc ^= bytes[i]! | bytes[i + 1]! << 8 | bytes[i + 2]! << 16 |
      bytes[i + 3]! << 24;
    crc = CRC[768 + (crc & 0xff)]! ^ CRC[512 + (crc >>> 8 & 0xff)]! ^
      CRC[256 + (crc >>> 16 & 0xff)]! ^ CRC[crc >>> 24]!;
  }
  for (; i < bytes.length; i++) {
    crc = CRC[(crc ^ bytes[i]!) & 0xff]! ^ crc >>> 8;
  }
  return crc;
}
