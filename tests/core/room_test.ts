// Room: who is let through, in which order, and what a promised place is worth.

import { assert, assertEquals } from "@std/assert";
import { Room } from "../../src/core/room.ts";
import { isPending, range, turn, within } from "../_helpers.ts";

/** A room whose places the test counts, and the order in which they are had. */
function roomOf(places: number) {
  const state = { free: places };
  const room = new Room(() => state.free);
  const order: number[] = [];
  return {
    room,
    order,
    wait: (who: number) => room.wait().then(() => void order.push(who)),
    take() {
      state.free--;
      room.taken();
    },
    /** Makes room, of which the room hears later. */
    free(n: number) {
      state.free += n;
    },
    give(n: number) {
      state.free += n;
      room.wake();
    },
  };
}

Deno.test("whoever comes while there is room is let through at once", async () => {
  const { wait, take, order } = roomOf(2);
  await wait(0);
  take();
  await wait(1);
  take();
  assertEquals(order, [0, 1]);
});

Deno.test("as many are let through as there is room for, in the order in which they came", async () => {
  const { wait, take, give, order } = roomOf(0);
  const waiting = range(0, 6).map(wait);
  await turn();
  assertEquals(order, []);
  for (let n = 0; n < 6; n += 2) {
    give(2);
    await Promise.resolve();
    await Promise.resolve();
    assertEquals(order, range(0, n + 2));
    take();
    take();
  }
  await Promise.all(waiting);
});

Deno.test("nobody who comes later overtakes those who wait", async () => {
  const { wait, take, give, order } = roomOf(0);
  const first = wait(0);
  give(1);
  // It has its place, and has not used it yet.
  const second = wait(1);
  await first;
  take();
  give(1);
  await second;
  take();
  assertEquals(order, [0, 1]);
});

Deno.test("nobody overtakes those who wait for places that nobody has handed out yet", async () => {
  const { room, wait, take, free, order } = roomOf(0);
  const first = wait(0);
  free(1);
  const second = wait(1);
  await turn();
  assertEquals(order, []);
  room.wake();
  await first;
  take();
  assertEquals(order, [0]);
  free(1);
  room.wake();
  await second;
  assertEquals(order, [0, 1]);
});

Deno.test("a place that was had at once and is not taken goes to the next one", async () => {
  const { wait, order } = roomOf(1);
  await wait(0);
  await within(wait(1), "the place of the first one");
  assertEquals(order, [0, 1]);
});

Deno.test("a place that nobody takes goes to the next one", async () => {
  const { wait, give, order } = roomOf(0);
  const waiting = [wait(0), wait(1)];
  give(1);
  // The first one never pushes.
  await Promise.all(waiting);
  assertEquals(order, [0, 1]);
});

Deno.test("an open room lets everybody through, now and later", async () => {
  const { room, wait, order } = roomOf(0);
  const waiting = [wait(0), wait(1)];
  assert(await isPending(Promise.race(waiting)));
  room.open();
  await Promise.all(waiting);
  await wait(2);
  assertEquals(order, [0, 1, 2]);
});
