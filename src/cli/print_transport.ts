// The transport of --dry-run: prints what would be sent, one request a line.

import type { Batch } from "../core/batch.ts";
import type { Transport } from "../core/transport.ts";

const LINE_FEED = 0x0a;

/**
 * Prints the request bodies.
 *
 * @param encode Makes a request's body.
 * @param maxPerRequest How many items one request may hold.
 * @param print Writes to stdout.
 */
export function printTransport<T>(
  encode: (items: readonly T[]) => { readonly body: Uint8Array },
  maxPerRequest: number,
  print: (bytes: Uint8Array) => Promise<void>,
): Transport<T> {
  return {
    // What is printed keeps the order of the input.
    maxInFlight: 1,
    async send(batch: Batch<T>): Promise<void> {
      const items = [...batch];
      for (let i = 0; i < items.length; i += maxPerRequest) {
        const { body } = encode(items.slice(i, i + maxPerRequest));
        const line = new Uint8Array(body.length + 1);
        line.set(body);
        line[body.length] = LINE_FEED;
        await print(line);
      }
    },
  };
}
