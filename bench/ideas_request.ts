// Ideas for the request: what fetch does with a string and with bytes.

import type { Idea, Ideas } from "./ideas.ts";
import { line } from "./inputs.ts";

const N = 1000;

function requestOf(
  prepare: (text: string) => () => BodyInit,
  signals = false,
): Idea {
  return ({ sink, shape }) => {
    const body = prepare(
      `{"metrics":[${
        Array.from({ length: N }, (_, i) => line(shape, i)).join(",")
      }]}`,
    );
    const forever = new AbortController().signal;
    const post = async () => {
      const response = await fetch(`http://127.0.0.1:${sink.http}/v1/ingest`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: body(),
        ...signals
          ? { signal: AbortSignal.any([forever, AbortSignal.timeout(5000)]) }
          : {},
      });
      return await response.text();
    };
    return {
      per: 20 * N,
      async run() {
        let left = 20;
        const worker = async () => {
          while (left-- > 0) await post();
        };
        await Promise.all([worker(), worker(), worker(), worker()]);
        return left;
      },
    };
  };
}

const encoder = new TextEncoder();

export const REQUEST: Ideas = {
  "a string": requestOf((text) => () => text),
  "a string that was joined just now": requestOf((text) => {
    const parts = text.split(",");
    return () => parts.join(",");
  }),
  "bytes made beforehand": requestOf((text) => {
    const bytes = encoder.encode(text);
    return () => bytes;
  }),
  "bytes encoded for each request": requestOf((text) => () =>
    encoder.encode(text)
  ),
  "bytes encoded into a buffer that is kept": requestOf((text) => {
    const buffer = new Uint8Array(3 * text.length);
    return () => buffer.subarray(0, encoder.encodeInto(text, buffer).written);
  }),
  "a string, with the two signals of fetchTransport": requestOf(
    (text) => () => text,
    true,
  ),
};
