// A circuit breaker for the command line: once a batch has used up its retries,
// the next ones are not all tried as long.

import {
  SendError,
  type SendOptions,
  toSendError,
  type Transport,
} from "../transport.ts";
import { messageOf } from "../text.ts";

/**
 * Wraps a transport that retries. After a send that failed for good on a transient
 * error, sends fail at once for as long as that one took; then one is tried again.
 *
 * So input for a server that is down goes to the rejects file in about the time of
 * one batch's retries, and not of every batch's.
 */
export function withBreaker<T>(transport: Transport<T>): Transport<T> {
  let openUntil = -Infinity;
  let reason = "";
  return {
    async send(batch: readonly T[], options: SendOptions): Promise<void> {
      const begin = performance.now();
      if (begin < openUntil) {
        throw new SendError(`${reason} (not tried again yet)`, {
          kind: "transient",
          undelivered: batch,
        });
      }
      try {
        await transport.send(batch, options);
      } catch (thrown) {
        const error = toSendError(thrown, batch);
        const passed = error.undelivered.length < batch.length;
        if (error.kind === "transient" && !passed && !options.signal.aborted) {
          const now = performance.now();
          openUntil = Math.max(openUntil, now + (now - begin));
          reason = messageOf(error);
        }
        throw error;
      }
      openUntil = -Infinity;
    },
  };
}
