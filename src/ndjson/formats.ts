// What input looks like that is not NDJSON, and how to send it all the same.

/** A format that was recognized. */
export interface Format {
  /** What the input looks like. */
  readonly looksLike: string;
  /** What to do instead. */
  readonly instead: string;
}

const decoder = new TextDecoder();

const MAGIC: readonly (readonly [readonly number[], Format])[] = [
  [[0x1f, 0x8b], {
    looksLike: "gzip",
    instead: "decompress it with gunzip -c, or name it FILE.gz for --file",
  }],
  [[0x28, 0xb5, 0x2f, 0xfd], {
    looksLike: "zstd",
    instead: "decompress it with zstd -dc",
  }],
  [[0x42, 0x5a, 0x68], {
    looksLike: "bzip2",
    instead: "decompress it with bunzip2 -c",
  }],
  [[0xfd, 0x37, 0x7a, 0x58, 0x5a], {
    looksLike: "xz",
    instead: "decompress it with xz -dc",
  }],
  [[0x50, 0x4b, 0x03, 0x04], {
    looksLike: "a zip file",
    instead: "decompress it with unzip -p",
  }],
];

const UTF16: Format = {
  looksLike: "UTF-16",
  instead: "convert it with iconv -f UTF-16 -t UTF-8",
};

const TEXT: readonly (readonly [RegExp, Format])[] = [
  [/^\s*\{\s*"metrics"\s*:\s*\[/, {
    looksLike: "a request body, as --dry-run prints it",
    instead: "take the metrics out with jq -c '.metrics[]'",
  }],
  [/^\s*\[/, {
    looksLike: "a JSON array",
    instead: "write one object per line with jq -c '.[]'",
  }],
  [/^\s*\{\s*$/, {
    looksLike: "JSON over several lines",
    instead: "write one object per line with jq -c .",
  }],
  [
    /^# (?:HELP|TYPE|UNIT) |^[a-zA-Z_:][\w:]*(?:\{[^}]*\})? +(?:[-+]?[\d.]+(?:e[-+]?\d+)?|NaN|[-+]Inf)(?: \d+)?\s*$/i,
    {
      looksLike: "Prometheus text",
      instead:
        "convert it with examples/prometheus_to_ndjson.sh of the repository",
    },
  ],
  [/^[\w.-]+:[-+]?[\d.]+\|(?:c|g|ms|h|d|s)\b/, {
    looksLike: "StatsD lines",
    instead: "send them to a StatsD server, or write metrics as JSON objects",
  }],
  [
    /^[^\s,={}"]+(?:,[^\s=]+=[^\s,]+)* [^\s=]+=(?:"[^"]*"|[^\s"])+(?: -?\d+)?\s*$/,
    {
      looksLike: "InfluxDB line protocol",
      instead: "write metrics as JSON objects, one per line",
    },
  ],
  [/^[\w.-]+(?:;[^\s;=]+=[^\s;]+)* -?[\d.]+ \d+\s*$/, {
    looksLike: "Graphite lines",
    instead: "write metrics as JSON objects, one per line",
  }],
  [/^(?:[\w@"]+[,;\t]){2,}[\w@"]+\s*$/, {
    looksLike: "CSV",
    instead: "write metrics as JSON objects, one per line",
  }],
];

/**
 * Recognizes the format of some input.
 *
 * @param line The first line of it that is not a metric.
 * @returns What it looks like, or `undefined` if it looks like nothing known.
 */
export function guessFormat(line: Uint8Array): Format | undefined {
  for (const [magic, format] of MAGIC) {
    if (magic.every((byte, i) => line[i] === byte)) return format;
  }
  const start = line.subarray(0, 1024);
  const hasMark = (start[0] === 0xff && start[1] === 0xfe) ||
    (start[0] === 0xfe && start[1] === 0xff);
  if (hasMark || start.includes(0)) {
    return hasMark || zerosAlternate(start) ? UTF16 : undefined;
  }
  const text = decoder.decode(start);
  return TEXT.find(([pattern]) => pattern.test(text))?.[1];
}

/** Whether every second byte is zero, as in UTF-16 of ASCII. */
function zerosAlternate(bytes: Uint8Array): boolean {
  const zeros = [0, 0];
  for (let i = 0; i < bytes.length; i++) if (bytes[i] === 0) zeros[i & 1]!++;
  const half = Math.floor(bytes.length / 2);
  return Math.max(...zeros) >= half * 0.9 && Math.min(...zeros) <= half * 0.1;
}
