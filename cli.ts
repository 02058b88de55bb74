/**
 * The command line: reads metrics as NDJSON on stdin and sends them in batches to
 * a TinyObs server.
 *
 * ```sh
 * cat metrics.ndjson | tinyobs-batch http://localhost:8080/v1/ingest
 * ```
 *
 * It runs when this module is the main one, and exports nothing.
 *
 * @module
 */

import { denoIo } from "./src/cli/deno_io.ts";
import { main } from "./src/cli/main.ts";

// An exit, as a read of stdin that is still pending would keep the process alive.
if (import.meta.main) Deno.exit(await main(Deno.args, denoIo));
