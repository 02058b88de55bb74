// The command line's world, as Deno has it.

import {
  type InputFile,
  type Io,
  STOP_SIGNALS,
  type StopSignal,
} from "./io.ts";

/** Streams, files, environment and signals of this process. */
export const denoIo: Io = {
  stdin: Deno.stdin,
  stdout: Deno.stdout,
  stderr: {
    writeSync: (bytes) => Deno.stderr.writeSync(bytes),
    isAnimated: () => Deno.stderr.isTerminal() && !Deno.noColor && !isDumb(),
    columns: () => Deno.consoleSize().columns,
  },
  env: (name) => Deno.env.get(name),
  readTextFile: (path) => Deno.readTextFile(path),
  async openInput(path) {
    const file = await Deno.open(path);
    const { size, isDirectory } = await file.stat();
    if (isDirectory) {
      file.close();
      throw new Deno.errors.IsADirectory("Is a directory");
    }
    const plain = {
      size,
      position: 0,
      async read(buffer: Uint8Array) {
        const n = await file.read(buffer);
        plain.position += n ?? 0;
        return n;
      },
      close: () => file.close(),
    };
    return path.endsWith(".gz") ? await gunzip(plain) : plain;
  },
  async openAppend(path, inputs) {
    // Deno's own API asks for the permission to read before it tells whether two
    // open files are the same. Loaded only here, as it takes 25 ms.
    const { closeSync, fstatSync, openSync, statSync, writeSync } =
      await import("node:fs");
    const file = openSync(path, "a");
    const output = fstatSync(file);
    // What an earlier run could not finish must not run into a line of this one.
    if (output.size > 0 && !endsWithLineFeed(path)) writeSync(file, LINE_FEED);
    return {
      isInput: output.isFile() &&
        [fstatSync(0), ...inputs.map((input) => statSync(input))].some((
          input,
        ) => input.ino === output.ino && input.dev === output.dev),
      writeSync: (bytes) => writeSync(file, bytes),
      close: () => closeSync(file),
    };
  },
  missing(needs) {
    const mayAsk = Deno.stdin.isTerminal() && Deno.stderr.isTerminal();
    return needs.filter((need) => {
      const { state } = Deno.permissions.querySync(need);
      return state !== "granted" && !(state === "prompt" && mayAsk);
    });
  },
  onSignal(callback) {
    const listeners = Object.keys(STOP_SIGNALS).map((name) => {
      const signal = name as StopSignal;
      const listener = () => callback(signal);
      Deno.addSignalListener(signal, listener);
      return () => Deno.removeSignalListener(signal, listener);
    });
    return () => listeners.forEach((forget) => forget());
  },
  exit: (code) => Deno.exit(code),
};

const LINE_FEED = new Uint8Array([0x0a]);

/** Whether a file's last byte is a line feed; yes, where it may not be read. */
function endsWithLineFeed(path: string): boolean {
  if (Deno.permissions.querySync({ name: "read", path }).state !== "granted") {
    return true;
  }
  using file = Deno.openSync(path);
  file.seekSync(-1, Deno.SeekMode.End);
  const byte = new Uint8Array(1);
  file.readSync(byte);
  return byte[0] === 0x0a;
}

/** Nobody is asked for a permission for this alone. */
function isDumb(): boolean {
  const { state } = Deno.permissions.querySync({
    name: "env",
    variable: "TERM",
  });
  return state === "granted" && Deno.env.get("TERM") === "dumb";
}

/**
 * Decompresses. `DecompressionStream` stops at the first of several members. What
 * zlib has not handed out yet when it meets an error is lost, so it gets little at a
 * time.
 */
async function gunzip(file: InputFile): Promise<InputFile> {
  const { createGunzip } = await import("node:zlib");
  const { Readable } = await import("node:stream");
  async function* compressed() {
    for (;;) {
      const buffer = new Uint8Array(4 * 1024);
      const n = await file.read(buffer);
      if (n === null) return;
      yield buffer.subarray(0, n);
    }
  }
  const source = Readable.from(compressed(), { objectMode: false });
  const stream = source.pipe(createGunzip());
  source.on("error", (error) => stream.destroy(error));
  const chunks: AsyncIterator<Uint8Array> = stream[Symbol.asyncIterator]();
  let rest = new Uint8Array(0);
  return {
    size: file.size,
    get position() {
      return file.position;
    },
    async read(buffer) {
      if (rest.length === 0) {
        const { done, value } = await chunks.next();
        if (done) return null;
        rest = new Uint8Array(value);
      }
      const part = rest.subarray(0, buffer.length);
      buffer.set(part);
      rest = rest.subarray(part.length);
      return part.length;
    },
    close() {
      stream.destroy();
      source.destroy();
      file.close();
    },
  };
}
