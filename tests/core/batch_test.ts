// A batch: its items, their release, and an array as one.

import { assertEquals, assertStrictEquals } from "@std/assert";
import { ReleasableBatch, toBatch } from "../../src/core/batch.ts";

Deno.test("a batch gives its items as often as it is asked", () => {
  const batch = new ReleasableBatch(["a", "b"]);
  assertEquals([...batch, ...batch], ["a", "b", "a", "b"]);
  assertEquals(batch.length, 2);
});

Deno.test("a released batch makes its items once, when somebody asks, and keeps its length", () => {
  let made = 0;
  const batch = new ReleasableBatch([{ id: 1 }, { id: 2 }]);
  batch.release(() => {
    made++;
    return [{ id: 1 }, { id: 2 }];
  });
  assertEquals([batch.length, made], [2, 0]);
  const first = [...batch];
  const again = [...batch];
  assertEquals(first, [{ id: 1 }, { id: 2 }]);
  assertEquals(made, 1);
  // Who compares by identity, as quarantine does, meets the same objects.
  assertStrictEquals(first[1], again[1]);
});

Deno.test("a batch can be released again after its items were made", () => {
  const batch = new ReleasableBatch([1, 2]);
  batch.release(() => [1, 2]);
  assertEquals([...batch], [1, 2]);
  batch.release(() => [3, 4]);
  assertEquals([...batch], [3, 4]);
});

Deno.test("an array becomes a batch of its own each time, a batch stays what it is", () => {
  const items = [1, 2];
  const batch = toBatch(items);
  assertEquals([batch.length, [...batch]], [2, [1, 2]]);
  assertEquals(batch === toBatch(items), false);
  const own = new ReleasableBatch(items);
  assertStrictEquals(toBatch(own), own);
});
