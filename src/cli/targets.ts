// What the command line knows of each kind of server: where it takes metrics, what it
// calls a metric, and what to try when it does not take one.

import type { MetricRules } from "../core/metric.ts";
import type { SendErrorCode } from "../core/send_error.ts";
import { TINYOBS_RULES } from "../transports/tinyobs_rules.ts";

/** A kind of server. */
export interface CliTarget {
  readonly name: string;
  /** Where one on this machine takes metrics. */
  readonly url: string;
  /** The variable of the environment that has its address. */
  readonly urlVariable: string;
  readonly keyVariable: string;
  readonly rules: MetricRules;
  /** What to try, by what went wrong and by the status of the answer. */
  readonly hints: Readonly<
    Partial<Record<SendErrorCode | number, string>>
  >;
}

const CHECK_PATH = "check the URL: TinyObs takes metrics at /v1/ingest";

export const TINYOBS: CliTarget = {
  name: "TinyObs",
  url: "http://localhost:8080/v1/ingest",
  urlVariable: "TINYOBS_ENDPOINT",
  keyVariable: "TINYOBS_API_KEY",
  rules: TINYOBS_RULES,
  hints: {
    not_metrics_server: CHECK_PATH,
    series_limit:
      "the server takes no more series: use labels with fewer different values",
    401: "check --api-key-file or TINYOBS_API_KEY",
    403: "check --api-key-file or TINYOBS_API_KEY",
    404: CHECK_PATH,
    405: CHECK_PATH,
    507: "the server's storage is full",
  },
};
