// What to try when a send failed, in the words of the command line.

import {
  SendError,
  type SendOptions,
  toSendError,
  type Transport,
} from "../core/transport.ts";

/** Causes, as Deno words them, and what helps. */
const BY_MESSAGE: [RegExp, string][] = [
  [/connection refused/i, "is the server running there?"],
  [/dns error|failed to lookup/i, "check the host's name"],
  [
    /certificate|InvalidContentType|tls|handshake/i,
    "check whether the server speaks https",
  ],
  [/^No answer from/, "a longer --timeout or a smaller --batch-size may help"],
  [/a redirect to/, "give that address instead"],
  [/HTML/, "check the URL: TinyObs takes metrics at /v1/ingest"],
  [/invalid URL|ports? .* blocked/i, "check the URL"],
];

const BY_STATUS: Record<number, string> = {
  401: "check --api-key-file or TINYOBS_API_KEY",
  403: "check --api-key-file or TINYOBS_API_KEY",
  404: "check the URL: TinyObs takes metrics at /v1/ingest",
  405: "check the URL: TinyObs takes metrics at /v1/ingest",
  413: "a smaller --batch-size may help",
  429: "the server takes no more series: use fewer label values",
  507: "the server's storage is full",
};

/** Adds to each failure's message what to try. */
export function withHints<T>(transport: Transport<T>): Transport<T> {
  return {
    async send(batch: readonly T[], options: SendOptions): Promise<void> {
      try {
        await transport.send(batch, options);
      } catch (thrown) {
        const error = toSendError(thrown, batch);
        const hint = hintFor(error);
        if (hint === undefined) throw error;
        const { kind, undelivered, status, retryAfter, index, cause } = error;
        throw new SendError(`${error.message}; ${hint}`, {
          kind,
          undelivered,
          status,
          retryAfter,
          index,
          cause,
        });
      }
    },
  };
}

function hintFor({ message, status, kind }: SendError): string | undefined {
  // What may pass by itself needs no advice but patience.
  if (status !== undefined && kind === "transient") return undefined;
  if (status !== undefined && status in BY_STATUS) return BY_STATUS[status];
  // Without the address, which may well have any of these words in it.
  const words = message.replace(/https?:\/\/\S+/, "");
  return BY_MESSAGE.find(([pattern]) => pattern.test(words))?.[1];
}
