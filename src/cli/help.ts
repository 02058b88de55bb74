// What --help prints. The completions are read from it too.

/** The help text, of at most 80 columns. */
export const HELP = `\
Usage: tinyobs-batch [OPTIONS] [URL]

Reads metrics, one JSON object per line, and sends them in batches to a TinyObs
server at URL ($TINYOBS_ENDPOINT, else http://localhost:8080/v1/ingest).

Input:
  -f, --file FILE           read FILE, not stdin; repeatable; - is stdin, and
                            FILE.gz is decompressed
      --label KEY=VALUE     add a label, where a metric lacks it; repeatable
Batching:
      --batch-size N        metrics per request (1000)
      --flush-every TIME    longest wait for a batch to fill (5s)
      --concurrency N       requests in flight at the same time (4)
Delivery:
      --timeout TIME        longest wait for an answer (5s)
      --retries N           how often to retry what may pass later (5)
      --drain-timeout TIME  longest wait after SIGINT or SIGTERM (10s)
      --rejects FILE        append every line that was not acknowledged
  -H, --header 'NAME: VALUE'
                            add a request header; repeatable
      --api-key-file FILE   read the API key from FILE ($TINYOBS_API_KEY)
Output:
  -n, --dry-run             print the request bodies, send nothing
      --json                print the summary as JSON to stdout
      --log-format FORMAT   text or json, on stderr (text)
      --no-progress         no live line on a terminal (nor with $NO_COLOR)
  -q, --quiet               no summary
  -v, --verbose             also tell of each batch
  -h, --help                print this help
  -V, --version             print the version

TIME is a number with ms, s, m or h. 'tinyobs-batch completions bash' (zsh,
fish) prints completions.

Exit codes: 0 every line was acknowledged, 1 some were invalid or not delivered,
            2 wrong usage, 129, 130, 143 SIGHUP, SIGINT, SIGTERM.
Examples:
  cat metrics.ndjson | tinyobs-batch http://localhost:8080/v1/ingest
  tinyobs-batch -f monday.ndjson.gz --label day=monday --rejects rejects.ndjson
  tail -F app.ndjson | tinyobs-batch --flush-every 1s --api-key-file key.txt
`;
