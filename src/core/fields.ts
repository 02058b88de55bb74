// The fields of a metric, and what somebody means by another one.

/** The fields of a metric. */
export const FIELDS: readonly string[] = [
  "name",
  "type",
  "value",
  "labels",
  "timestamp",
];

/** What other systems call them, in lower case and without separators. */
const ALIASES: Readonly<Record<string, string>> = {
  metric: "name",
  metricname: "name",
  measurement: "name",
  key: "name",
  kind: "type",
  metrictype: "type",
  val: "value",
  v: "value",
  count: "value",
  gauge: "value",
  tag: "labels",
  tags: "labels",
  dimension: "labels",
  dimensions: "labels",
  attribute: "labels",
  attributes: "labels",
  fields: "labels",
  ts: "timestamp",
  t: "timestamp",
  time: "timestamp",
  date: "timestamp",
  datetime: "timestamp",
  "@timestamp": "timestamp",
};

/** The one of `known` that a misspelt word most likely stands for, or `undefined`. */
export function likelyWord(
  word: string,
  known: readonly string[],
): string | undefined {
  const lower = word.toLowerCase();
  let best: string | undefined;
  let least = Math.min(2, Math.floor(word.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(lower, candidate.toLowerCase(), least);
    if (distance < least) [best, least] = [candidate, distance];
  }
  return best;
}

/** The field that an unknown field most likely stands for, or `undefined`. */
export function likelyField(name: string): string | undefined {
  const plain = name.toLowerCase().replace(/[\s_.-]/g, "");
  return Object.hasOwn(ALIASES, plain)
    ? ALIASES[plain]
    : likelyWord(plain, FIELDS);
}

/** How many letters to add, drop, change or swap with the next, at most `limit`. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let above: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const aboveThat = above;
    above = row;
    row = [i];
    for (let j = 1; j <= b.length; j++) {
      let least = Math.min(
        above[j]! + 1,
        row[j - 1]! + 1,
        above[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1),
      );
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, aboveThat[j - 2]! + 1);
      }
      row.push(least);
    }
  }
  return Math.min(limit, row[b.length]!);
}
