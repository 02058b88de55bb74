// Samples this machine and writes one JSON metric a line to stdout, to be piped into the batcher:
//
//     deno run -A examples/host_metrics.ts | tinyobs-batch http://localhost:8080/v1/ingest
//
// --allow-sys is enough for load, memory and uptime; Deno lets nothing but -A read /proc, where the
// counters of processors, network and disks come from. What cannot be read is left out.

const HELP = `Usage: host_metrics.ts [--samples N] [--interval DURATION]

Writes metrics of this machine to stdout, one JSON object a line.

  --samples N          stop after N samples (default: until interrupted)
  --interval DURATION  time between samples: 500ms, 5s, 1m (default: 1s)
  -h, --help           show this help`;

type Labels = Record<string, string>;

interface Reading {
  name: string;
  type: "counter" | "gauge";
  value: number;
  labels?: Labels;
}

function gauge(name: string, value: number, labels?: Labels): Reading {
  return { name, type: "gauge", value, ...(labels && { labels }) };
}

function counter(name: string, value: number, labels: Labels): Reading {
  return { name, type: "counter", value, labels };
}

/** The fields of each line; some kernels write `eth0:123` without a space. */
function rows(path: string): string[][] {
  const lines = Deno.readTextFileSync(path).trim().split("\n");
  return lines.map((line) => line.replace(":", ": ").trim().split(/\s+/));
}

// /proc/stat counts in ticks of 1/100 s, /proc/diskstats in sectors of 512 bytes, on any machine.
const TICKS_PER_SECOND = 100;
const SECTOR = 512;

// The columns of each file, as far as they are of use here.
const CPU_MODES = "user nice system idle iowait irq softirq steal".split(" ");
const NETWORK = { receive: 1, transmit: 9 };
const DISK = { read: 3, write: 7 };

const GROUPS: Record<string, () => Reading[]> = {
  load: () => {
    const [load1 = 0, load5 = 0, load15 = 0] = Deno.loadavg();
    return [
      gauge("host_load1", load1),
      gauge("host_load5", load5),
      gauge("host_load15", load15),
    ];
  },
  memory: () => {
    const memory = Deno.systemMemoryInfo();
    return [
      gauge("host_memory_total_bytes", memory.total),
      gauge("host_memory_free_bytes", memory.free),
      gauge("host_memory_available_bytes", memory.available),
      gauge("host_swap_total_bytes", memory.swapTotal),
      gauge("host_swap_free_bytes", memory.swapFree),
    ];
  },
  uptime: () => [gauge("host_uptime_seconds", Deno.osUptime())],
  cpu: () =>
    rows("/proc/stat").flatMap(([key = "", ...ticks]) => {
      const cpu = /^cpu(\d+)$/.exec(key)?.[1];
      if (cpu === undefined) return [];
      return CPU_MODES.map((mode, i) => {
        const seconds = Number(ticks[i] ?? 0) / TICKS_PER_SECOND;
        return counter("host_cpu_seconds_total", seconds, { cpu, mode });
      });
    }),
  network: () =>
    rows("/proc/net/dev").slice(2).flatMap((row) => {
      const device = { device: row[0]!.slice(0, -1) };
      return Object.entries(NETWORK).flatMap(([way, at]) => {
        const [bytes, packets, errors] = row.slice(at, at + 3).map(Number);
        const prefix = `host_network_${way}`;
        return [
          counter(`${prefix}_bytes_total`, bytes ?? 0, device),
          counter(`${prefix}_packets_total`, packets ?? 0, device),
          counter(`${prefix}_errors_total`, errors ?? 0, device),
        ];
      });
    }),
  disk: () =>
    rows("/proc/diskstats").flatMap((row) => {
      const device = { device: row[2] ?? "" };
      if (/^(?:loop|ram)\d/.test(device.device)) return [];
      return Object.entries(DISK).flatMap(([way, at]) => [
        counter(`host_disk_${way}s_total`, Number(row[at] ?? 0), device),
        counter(
          `host_disk_${way}_bytes_total`,
          Number(row[at + 2] ?? 0) * SECTOR,
          device,
        ),
      ]);
    }),
};

/** The reading, or nothing after one line that says why. */
function attempt<T>(what: string, read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    const { message } = error as Error;
    console.error(`host_metrics: left out ${what}: ${message.split("\n")[0]}`);
  }
}

/** One sample; a group that cannot be read is not tried again. */
function sample(groups: Map<string, () => Reading[]>, host: Labels): string {
  const timestamp = new Date().toISOString();
  let text = "";
  for (const [group, read] of groups) {
    const readings = attempt(group, read);
    if (readings === undefined) groups.delete(group);
    for (const { name, type, value, labels } of readings ?? []) {
      const all = { ...host, ...labels };
      text += JSON.stringify({ name, type, value, labels: all, timestamp }) +
        "\n";
    }
  }
  return text;
}

async function write(text: string): Promise<void> {
  let bytes = new TextEncoder().encode(text);
  while (bytes.length > 0) {
    bytes = bytes.subarray(await Deno.stdout.write(bytes));
  }
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
    signal.addEventListener("abort", done);
    if (signal.aborted) done();
  });
}

function fail(message: string): never {
  console.error(`host_metrics: ${message}\n\n${HELP}`);
  Deno.exit(2);
}

const UNITS: Record<string, number> = { ms: 1, s: 1e3, m: 6e4, h: 36e5 };

function parseOptions(args: string[]) {
  const options = { samples: Infinity, interval: 1000 };
  const rest = args.flatMap((arg) =>
    /^(--[^=]+)=(.*)$/s.exec(arg)?.slice(1) ?? arg
  );
  for (let flag = rest.shift(); flag !== undefined; flag = rest.shift()) {
    if (flag === "-h" || flag === "--help") {
      console.log(HELP);
      Deno.exit(0);
    }
    if (flag !== "--samples" && flag !== "--interval") {
      fail(`unknown option '${flag}'`);
    }
    const value = rest.shift() ?? fail(`${flag} lacks its value`);
    if (flag === "--samples") {
      if (!/^[1-9]\d{0,14}$/.test(value)) {
        fail(`--samples takes a positive integer, not '${value}'`);
      }
      options.samples = Number(value);
    } else {
      const [, number, unit = ""] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(value) ??
        [];
      options.interval = Number(number) * (UNITS[unit] ?? NaN);
      // A timer holds no more than 31 bits of milliseconds.
      if (!(options.interval >= 1 && options.interval < 2 ** 31)) {
        fail(`--interval takes a duration such as 500ms or 5s, not '${value}'`);
      }
    }
  }
  return options;
}

if (import.meta.main) {
  const { samples, interval } = parseOptions(Deno.args);
  const interrupted = new AbortController();
  const { signal } = interrupted;
  const interrupt = () => {
    // A second signal ends the process even while a full pipe blocks a write.
    Deno.removeSignalListener("SIGINT", interrupt);
    interrupted.abort();
  };
  Deno.addSignalListener("SIGINT", interrupt);

  const hostname = attempt("the host label", () => Deno.hostname());
  const host: Labels = hostname ? { host: hostname } : {};
  const groups = new Map(Object.entries(GROUPS));
  let due = Date.now();
  try {
    for (let i = 1; i <= samples && !signal.aborted; i++) {
      await write(sample(groups, host));
      if (groups.size === 0) Deno.exitCode = 1;
      if (i === samples || groups.size === 0) break;
      // Keeps the pace, but does not make up for samples missed while the machine slept.
      due = Math.max(due + interval, Date.now());
      await sleep(due - Date.now(), signal);
    }
  } catch (error) {
    // The reader has enough: `| head` is no failure.
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
  if (!signal.aborted) Deno.removeSignalListener("SIGINT", interrupt);
}
