// What --help prints.

/** The help text, of at most 80 columns. */
export const HELP = `\
Usage: tinyobs-batch [OPTIONS] [URL]

Reads metrics from stdin, one JSON object per line, and sends them in batches to
a TinyObs server.

  URL                       where to send ($TINYOBS_ENDPOINT, else
                            http://localhost:8080/v1/ingest)

Batching:
  --batch-size N            metrics per request (1000)
  --flush-every DURATION    longest wait for a batch to fill (5s)
  --concurrency N           requests in flight at the same time (4)

Delivery:
  --timeout DURATION        longest wait for an answer (5s)
  --retries N               how often to retry what may pass later (5)
  --drain-timeout DURATION  longest wait for what is in flight after SIGINT or
                            SIGTERM (10s)
  --rejects FILE            append every line that was not acknowledged

Request:
  -H, --header 'Name: value'
                            a header for every request; repeatable
  --label key=value         a label for every metric that does not have it;
                            repeatable
  --api-key-file FILE       holds the API key (else $TINYOBS_API_KEY)

Output:
  -n, --dry-run             print the request bodies, send nothing
  --json                    print the summary as JSON to stdout
  -q, --quiet               no summary
  -v, --verbose             also say when a batch is sent
  -h, --help                print this help
  -V, --version             print the version

Durations: 500ms, 5s, 1m.
Exit codes: 0 every line was acknowledged; 1 something was invalid or not
delivered; 2 usage; 130 SIGINT; 143 SIGTERM.
`;
