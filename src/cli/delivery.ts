// The one place that turns options into the transport that delivers lines.

import { messageOf } from "../core/text.ts";
import type { Transport } from "../core/transport.ts";
import { withBreaker } from "../delivery/breaker.ts";
import { withQuarantine } from "../delivery/quarantine.ts";
import { type RetryEvent, withRetry } from "../delivery/retry.ts";
import { encodeLines } from "../ndjson/body.ts";
import type { Line } from "../ndjson/line.ts";
import { takeBuffer } from "../transports/http/buffers.ts";
import { HEAD, TAIL, tinyobsTransport } from "../transports/tinyobs.ts";
import { TINYOBS_MAX_PER_REQUEST } from "../transports/tinyobs_rules.ts";
import type { CliOptions } from "./flags.ts";
import { withHints } from "./hints.ts";
import { printTransport } from "./print_transport.ts";
import type { Proxy } from "./proxy.ts";
import { TINYOBS } from "./targets.ts";
import { UsageError } from "./values.ts";

/** What the delivery needs besides the options. */
export interface DeliveryOptions {
  readonly apiKey: string | undefined;
  readonly proxy: Proxy | undefined;
  /** Writes to stdout, for --dry-run. */
  readonly print: (bytes: Uint8Array) => Promise<void>;
  /** Called before a batch is sent again. */
  readonly onRetry: (event: RetryEvent<Line>) => void;
  /** Told of the length of each request's body. */
  readonly onRequest: (bytes: number) => void;
}

/**
 * Composes the way of a batch: the wire, hints, retries, a breaker and quarantine.
 *
 * @throws {UsageError} If the URL or a header cannot be used.
 */
export function makeDelivery(
  options: CliOptions,
  { apiKey, proxy, print, onRetry, onRequest }: DeliveryOptions,
): Transport<Line> {
  const { url, headers, timeout, dryRun, retries } = options;
  const encode = (lines: readonly Line[]) => ({
    ...encodeLines(lines, HEAD, TAIL, takeBuffer),
    recyclable: true,
  });
  let wire: Transport<Line>;
  try {
    wire = tinyobsTransport<Line>(url, { apiKey, headers, timeout }, {
      encode,
      onRequest,
    });
  } catch (error) {
    throw new UsageError(messageOf(error));
  }
  if (dryRun) {
    return printTransport(encode, TINYOBS_MAX_PER_REQUEST, (bytes) => {
      onRequest(bytes.length - 1);
      return print(bytes);
    });
  }
  const hinting = withHints(wire, { url, target: TINYOBS, proxy });
  const retrying = withRetry(hinting, { attempts: retries + 1, onRetry });
  return withQuarantine(withBreaker(hinting, retrying));
}
