// What somebody means who writes a name that does not exist.

import { assertEquals } from "@std/assert";
import { FIELDS, likelyField, likelyWord } from "../../src/core/fields.ts";

Deno.test("what other systems call a field is known", () => {
  const cases: Record<string, string[]> = {
    name: ["metric", "metric_name", "metricName", "key", "Measurement"],
    type: ["kind", "metric_type", "metric-type"],
    value: ["val", "v", "count", "gauge"],
    labels: ["tag", "tags", "TAGS", "dimensions", "attributes", "fields"],
    timestamp: [
      "time",
      "ts",
      "time_stamp",
      "date",
      "datetime",
      "@timestamp",
      "t",
    ],
  };
  for (const [field, names] of Object.entries(cases)) {
    for (const name of names) assertEquals(likelyField(name), field, name);
  }
});

Deno.test("a misspelt field is known", () => {
  const cases: Record<string, string[]> = {
    name: ["nam", "naem", "Name"],
    type: ["tpye", "types"],
    value: ["valeu", "values", "vlaue"],
    labels: ["label", "lables", "labls", "Labels"],
    timestamp: ["timestmap", "timstamp", "timestamps", "time-stamp"],
  };
  for (const [field, names] of Object.entries(cases)) {
    for (const name of names) assertEquals(likelyField(name), field, name);
  }
});

Deno.test("a name that resembles no field has none", () => {
  const others = ["host", "id", "x", "", "level", "message", "service", "unit"];
  for (const name of [...others, "constructor", "__proto__", "x".repeat(1e6)]) {
    assertEquals(likelyField(name), undefined, name.slice(0, 20));
  }
});

Deno.test("a word that is known is the likely one itself", () => {
  for (const field of FIELDS) assertEquals(likelyWord(field, FIELDS), field);
  assertEquals(
    likelyWord("flushevrey", ["maxBuffered", "flushEvery"]),
    "flushEvery",
  );
  assertEquals(likelyWord("ab", ["abc"]), undefined, "too short to tell");
});
