// A circuit breaker: once a batch has used up its retries, the next ones are not all
// tried for as long.

import type { Batch } from "../core/batch.ts";
import {
  countUndelivered,
  SendError,
  type SendErrorCode,
  toSendError,
} from "../core/send_error.ts";
import type { SendOptions, Transport } from "../core/transport.ts";
import { wrapTransport } from "./wrap.ts";

/**
 * Joins a transport and the same transport with retries. Once a batch has used up
 * its retries, and until something gets through, every other batch gets a single
 * attempt; and after each failed attempt, batches fail at once for as long as that
 * attempt took. The first success brings the retries back.
 *
 * So with a server that is down, the input goes to the rejects file in about the
 * time of one batch's retries, and not of every batch's. And a batch that always
 * fails with a server in good health costs only itself.
 */
export function withBreaker<T>(
  transport: Transport<T>,
  retrying: Transport<T>,
): Transport<T> {
  let open = false;
  let openUntil = -Infinity;
  let lastSuccess = -Infinity;
  let reason = "";
  let code: SendErrorCode = "unknown";
  return wrapTransport(
    retrying,
    async (batch: Batch<T>, options: SendOptions): Promise<void> => {
      const begin = performance.now();
      const once = open;
      if (once && begin < openUntil) {
        throw new SendError(`${reason} (not tried again yet)`, {
          kind: "transient",
          code,
        });
      }
      try {
        await (once ? transport : retrying).send(batch, options);
        open = false;
        lastSuccess = performance.now();
      } catch (thrown) {
        const error = toSendError(thrown, batch);
        // What is not transient was answered by a server that is there.
        if (
          error.kind !== "transient" ||
          countUndelivered(error, batch) < batch.length
        ) {
          open = false;
          lastSuccess = performance.now();
        } else if (lastSuccess < begin && !options.signal.aborted) {
          const now = performance.now();
          open = true;
          if (once) openUntil = now + (now - begin);
          ({ message: reason, code } = error);
        }
        throw error;
      }
    },
  );
}
