// What every wrapper around a transport has in common.

import type { Batch } from "../core/batch.ts";
import type { SendOptions, Transport } from "../core/transport.ts";

/** The wrappers of this folder that a transport should not have twice. */
export type Layer = "retry" | "quarantine";

/** Under what a transport says which layers it has; shared by copies of this package. */
const LAYERS = Symbol.for("@tinyobs/batch/layers");

/**
 * A transport that sends by `send`, and is in everything else like the one inside:
 * what the wire bears, its limits and its encoding.
 */
export function wrapTransport<T>(
  inner: Transport<T>,
  send: (batch: Batch<T>, options: SendOptions) => Promise<void>,
  layer?: Layer,
): Transport<T> {
  const layers = layersOf(inner);
  return {
    maxInFlight: inner.maxInFlight,
    rules: inner.rules,
    ...(inner.prepare === undefined
      ? {}
      : { prepare: (batch: Batch<T>) => inner.prepare!(batch) }),
    send,
    [LAYERS]: layer === undefined ? layers : [...layers, layer],
  } as Transport<T>;
}

/** Whether the transport, or one inside it, is such a wrapper. */
export function hasLayer(transport: object, layer: Layer): boolean {
  return layersOf(transport).includes(layer);
}

function layersOf(transport: object): readonly string[] {
  return (transport as { [LAYERS]?: readonly string[] })[LAYERS] ?? [];
}
