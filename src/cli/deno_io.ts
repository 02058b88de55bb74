// The command line's world, as Deno has it.

import { type Io, STOP_SIGNALS, type StopSignal } from "./run.ts";

/** Streams, files, environment and signals of this process. */
export const denoIo: Io = {
  stdin: Deno.stdin,
  stdout: Deno.stdout,
  stderr: Deno.stderr,
  env: (name) => Deno.env.get(name),
  readTextFile: (path) => Deno.readTextFile(path),
  async openAppend(path) {
    // Deno's own API asks for the permission to read before it tells whether two
    // open files are the same. Loaded only here, as it takes 25 ms.
    const { closeSync, fstatSync, openSync, writeSync } = await import(
      "node:fs"
    );
    const file = openSync(path, "a");
    const [input, output] = [fstatSync(0), fstatSync(file)];
    return {
      isStdin: output.isFile() && input.ino === output.ino &&
        input.dev === output.dev,
      writeSync: (bytes) => writeSync(file, bytes),
      close: () => closeSync(file),
    };
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
