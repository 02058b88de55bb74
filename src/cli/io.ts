// What the command line needs of the world around it, so that a test can stand in
// for it.

/** Something to read bytes from. */
export interface Input {
  /** Reads into the buffer: how many bytes, or `null` at the end. */
  read(buffer: Uint8Array): Promise<number | null>;
  /** How long it is, in bytes as they are on disk, where that is known. */
  readonly size?: number;
  /** How many of those have been read. */
  readonly position?: number;
  /** Frees what it holds. */
  close(): void;
}

/** Something to write bytes to. */
export interface Sink {
  /**
   * Writes some of the bytes: how many. Only a sink that never makes its writer wait
   * has it, such as a file on disk.
   */
  writeSync?(bytes: Uint8Array): number;
  /** The same for any sink; it waits for as long as nobody reads the other end. */
  write(bytes: Uint8Array): Promise<number>;
}

/** A file to append to. */
export interface OutputFile extends Sink {
  /** Whether it is the very file or pipe that one of the inputs reads. */
  readonly isInput: boolean;
  /** Closes the file. */
  close(): void;
}

/** A permission of Deno that is needed. */
export type Need =
  | { name: "net"; host: string }
  | { name: "env"; variable: string }
  | { name: "read" | "write"; path: string };

/** The signals that end a run, with the exit codes that a shell expects. */
export const STOP_SIGNALS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
/** The name of one of them. */
export type StopSignal = keyof typeof STOP_SIGNALS;

/** Streams, files, environment and signals. */
export interface Io {
  readonly stdin: Input & { isTerminal(): boolean };
  readonly stdout: Sink;
  readonly stderr: Sink & {
    /** Whether it is a terminal, and nobody asked for a plain one. */
    isAnimated(): boolean;
    /** The width of the terminal, in columns. */
    columns(): number;
  };
  /** An environment variable. */
  env(name: string): string | undefined;
  /** The same, or `undefined` where it takes a permission that is not there. */
  peekEnv(name: string): string | undefined;
  /** Reads a whole file. */
  readTextFile(path: string): Promise<string>;
  /** Opens a file to read, and to decompress if its name ends with `.gz`. */
  openInput(path: string): Promise<Input>;
  /** Opens a file to write at its end, and makes it if need be. */
  openAppend(path: string, inputs: readonly string[]): Promise<OutputFile>;
  /** Which of these permissions are not there and cannot be asked for. */
  missing(needs: readonly Need[]): Need[];
  /**
   * Calls back at each stop signal, until the returned function is called. Signals
   * that were ignored when the process started stay ignored.
   */
  onSignal(callback: (signal: StopSignal) => void): () => void;
  /** Ends the process at once. */
  exit(code: number): void;
}
