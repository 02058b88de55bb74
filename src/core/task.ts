// Turns of the event loop: one that faked timers cannot stop, and a timer that does
// not keep the process alive.

/**
 * Resolves in a task of its own, after the timers and the I/O that are due. Test
 * libraries replace `setTimeout`, `setImmediate` and even `queueMicrotask`, but not
 * the channel.
 */
export function nextTask(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    // The types of Node know no `onmessage`.
    Object.assign(port1, {
      onmessage() {
        port1.close();
        port2.close();
        resolve();
      },
    });
    port2.postMessage(undefined);
  });
}

/** What Deno calls it, whose timers are numbers. */
const { Deno } = globalThis as {
  Deno?: { unrefTimer?: (id: unknown) => void };
};

/** A timer that does not keep the process alive, where the runtime has such. */
export function backgroundTimer(
  callback: () => void,
  delay: number,
  set: typeof setTimeout = globalThis.setTimeout,
): ReturnType<typeof setTimeout> {
  const timer = set(callback, delay);
  if (typeof timer === "number") Deno?.unrefTimer?.(timer);
  else (timer as { unref?: () => void }).unref?.();
  return timer;
}
