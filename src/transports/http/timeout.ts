// The time limit of a request, by a clock that stops while the program computes.

/** What is late by less than this was not held up by the program, in ms. */
const PUNCTUAL = 10;
/** The least that a late timer is extended by, in ms: enough to hear of an answer. */
const MIN_EXTENSION = 50;

/** The time limit of one request. */
export interface Timeout {
  /** Aborted when the time is up, or by the sender. */
  readonly signal: AbortSignal;
  /** The request is over. */
  end(): void;
}

/**
 * Starts the time limit of a request.
 *
 * A program that computes without a break hears of an answer only afterwards, and
 * of the timer first. So a timer that comes late gets as much time again as it was
 * late, at most once: an answer that is there already wins.
 *
 * Not `AbortSignal.any`, which lives as long as the timer and costs a tenth of the
 * memory of a busy sender.
 *
 * @param limit The time, in milliseconds.
 * @param sender Aborted when the sender will wait no longer.
 */
export function startTimeout(limit: number, sender: AbortSignal): Timeout {
  const due = performance.now() + limit;
  const request = new AbortController();
  let timer = AbortSignal.timeout(Math.ceil(limit));
  const onSender = () => request.abort(sender.reason);
  const expire = () => request.abort(timer.reason);
  const onTimer = () => {
    const late = performance.now() - due;
    if (late < PUNCTUAL) return expire();
    const more = Math.max(MIN_EXTENSION, Math.min(late, limit));
    timer = AbortSignal.timeout(Math.ceil(more));
    timer.addEventListener("abort", expire);
  };
  timer.addEventListener("abort", onTimer);
  if (sender.aborted) onSender();
  else sender.addEventListener("abort", onSender);
  return {
    signal: request.signal,
    // The timer itself lives until it fires; it must not keep the request with it.
    end() {
      sender.removeEventListener("abort", onSender);
      timer.removeEventListener("abort", onTimer);
      timer.removeEventListener("abort", expire);
    },
  };
}
