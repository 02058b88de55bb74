// The command line's world, as Deno has it.

import { gunzip } from "./gunzip.ts";
import {
  type Io,
  type OutputFile,
  STOP_SIGNALS,
  type StopSignal,
} from "./io.ts";
import { isPipedIn, isSameFile } from "./same_file.ts";

/** Of the reads of a file, every so manyth is in the background. */
const ASYNC_EVERY = 8;

/** Streams, files, environment and signals of this process. */
export const denoIo: Io = {
  stdin: {
    read: (buffer) => Deno.stdin.read(buffer),
    isTerminal: () => Deno.stdin.isTerminal(),
    // It came with the process, and goes with it.
    close() {},
  },
  stdout: { write: (bytes) => Deno.stdout.write(bytes) },
  stderr: {
    ...(isFile("/dev/stderr")
      ? { writeSync: (bytes: Uint8Array) => Deno.stderr.writeSync(bytes) }
      : {}),
    write: (bytes) => Deno.stderr.write(bytes),
    isAnimated: () =>
      Deno.stderr.isTerminal() && !Deno.noColor && peekEnv("TERM") !== "dumb",
    columns: () => Deno.consoleSize().columns,
  },
  env: (name) => Deno.env.get(name),
  peekEnv,
  readTextFile: (path) => Deno.readTextFile(path),
  async openInput(path) {
    const file = await Deno.open(path);
    const { size, isDirectory, isFile } = await file.stat();
    if (isDirectory) {
      file.close();
      throw new Deno.errors.IsADirectory("Is a directory");
    }
    let reads = 0;
    const plain = {
      size,
      position: 0,
      async read(buffer: Uint8Array) {
        // A read in the background costs more than one at once, but gives timers and
        // signals their turn.
        const n = isFile && ++reads % ASYNC_EVERY > 0
          ? file.readSync(buffer)
          : await file.read(buffer);
        plain.position += n ?? 0;
        return n;
      },
      close: () => file.close(),
    };
    return path.endsWith(".gz") ? gunzip(plain) : plain;
  },
  openAppend,
  missing(needs) {
    const mayAsk = Deno.stdin.isTerminal() && Deno.stderr.isTerminal();
    return needs.filter((need) => {
      const { state } = Deno.permissions.querySync(need);
      return state !== "granted" && !(state === "prompt" && mayAsk);
    });
  },
  onSignal(callback) {
    const ignored = readIgnoredSignals();
    const forget: (() => void)[] = [];
    for (const name of Object.keys(STOP_SIGNALS) as StopSignal[]) {
      // With the first listener Deno takes all of them over, so that one which is
      // ignored needs a listener as well.
      const listener = ignored.has(name) ? () => {} : () => callback(name);
      try {
        Deno.addSignalListener(name, listener);
      } catch {
        // Windows has not all of them.
        continue;
      }
      forget.push(() => Deno.removeSignalListener(name, listener));
    }
    return () => forget.forEach((forget) => forget());
  },
  exit: (code) => Deno.exit(code),
};

function peekEnv(variable: string): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable });
  return state === "granted" ? Deno.env.get(variable) : undefined;
}

/**
 * Opens a file to append to. One that is no file on disk is written to in the
 * background, and a named pipe opened there as well: that waits for its reader.
 */
async function openAppend(
  path: string,
  inputs: readonly string[],
): Promise<OutputFile> {
  // Deno's own API asks for the permission to read before it tells whether two open
  // files are the same, and cannot open a pipe without waiting. Loaded only here, as it
  // takes 40 ms.
  const { closeSync, constants, fstatSync, openSync, statSync } = await import(
    "node:fs"
  );
  const { O_APPEND, O_CREAT, O_NONBLOCK = 0, O_WRONLY } = constants;
  let probe: number;
  try {
    probe = openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK);
  } catch (error) {
    // A named pipe that nobody reads, or a device that is not there.
    if ((error as { code?: string }).code !== "ENXIO") throw error;
    return { ...writeInBackground(path).sink, isInput: false };
  }
  const output = fstatSync(probe);
  const isInput = (output.isFile() || output.isFIFO()) &&
    ([fstatSync(0), ...inputs.map((input) => statSync(input))]
      .some((input) => isSameFile(input, output)) ||
      (output.isFile() && isAllAllowed() && isPipedIn(output)));
  if (!output.isFile()) {
    const { sink, opened } = writeInBackground(path);
    // Not before it is open again, as its reader would see an end.
    opened.finally(() => closeSync(probe)).catch(() => {});
    return { ...sink, isInput };
  }
  closeSync(probe);
  // Not by node:fs, which does not tell how much it has written before it failed.
  const file = Deno.openSync(path, { append: true });
  // What an earlier run could not finish must not run into a line of this one.
  if (output.size > 0 && !endsWithLineFeed(path)) file.writeSync(LINE_FEED);
  return {
    isInput,
    writeSync: (bytes) => file.writeSync(bytes),
    write: (bytes) => file.write(bytes),
    close: () => file.close(),
  };
}

function writeInBackground(path: string) {
  const opened = Deno.open(path, { append: true });
  // The first write tells.
  opened.catch(() => {});
  const sink = {
    write: async (bytes: Uint8Array) => await (await opened).write(bytes),
    close: () => void opened.then((file) => file.close(), () => {}),
  };
  return { opened, sink };
}

const LINE_FEED = new Uint8Array([0x0a]);

/** Whether a file's last byte is known to be a line feed. A blank line does no harm. */
function endsWithLineFeed(path: string): boolean {
  if (Deno.permissions.querySync({ name: "read", path }).state !== "granted") {
    return false;
  }
  using file = Deno.openSync(path);
  file.seekSync(-1, Deno.SeekMode.End);
  const byte = new Uint8Array(1);
  file.readSync(byte);
  return byte[0] === LINE_FEED[0];
}

/** Whether Deno was told to allow everything, so that /dev and /proc may be read. */
function isAllAllowed(): boolean {
  return (["read", "write", "net", "env", "sys", "run", "ffi"] as const).every(
    (name) => Deno.permissions.querySync({ name }).state === "granted",
  );
}

function isFile(path: string): boolean {
  try {
    return isAllAllowed() && Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** The bits of the stop signals in the mask of the ignored ones. */
const SIGNAL_BITS: Readonly<Record<StopSignal, bigint>> = {
  SIGHUP: 1n << 0n,
  SIGINT: 1n << 1n,
  SIGTERM: 1n << 14n,
};

/**
 * The signals that were ignored when the process started, as by nohup or in a script's
 * background job. Only Linux tells, and only with all permissions.
 */
function readIgnoredSignals(): Set<string> {
  try {
    if (!isAllAllowed()) return new Set();
    const status = Deno.readTextFileSync("/proc/self/status");
    const mask = BigInt(`0x${/^SigIgn:\s*([\da-f]+)$/m.exec(status)![1]}`);
    return new Set(
      Object.keys(SIGNAL_BITS).filter((name) =>
        (mask & SIGNAL_BITS[name as StopSignal]) !== 0n
      ),
    );
  } catch {
    return new Set();
  }
}
