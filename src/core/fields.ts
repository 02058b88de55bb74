// The fields of a metric, and what somebody means by another one.

/** The fields of a metric. */
export const FIELDS: readonly string[] = [
  "name",
  "type",
  "value",
  "labels",
  "timestamp",
];

/** What other systems call them. */
const ALIASES: Readonly<Record<string, string>> = {
  metric: "name",
  metric_name: "name",
  metricname: "name",
  kind: "type",
  metric_type: "type",
  metrictype: "type",
  val: "value",
  tag: "labels",
  tags: "labels",
  dimensions: "labels",
  attributes: "labels",
  fields: "labels",
  ts: "timestamp",
  t: "timestamp",
  time: "timestamp",
  date: "timestamp",
  datetime: "timestamp",
  "@timestamp": "timestamp",
  time_stamp: "timestamp",
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
  const lower = name.toLowerCase();
  return Object.hasOwn(ALIASES, lower)
    ? ALIASES[lower]
    : likelyWord(name, FIELDS);
}

/** How many letters to add, drop or change (Levenshtein), at most `limit`. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let above = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      row.push(Math.min(
        above[j]! + 1,
        row[j - 1]! + 1,
        above[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1),
      ));
    }
    above = row;
  }
  return Math.min(limit, above[b.length]!);
}
