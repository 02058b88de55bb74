// What the command line needs of the world around it, so that a test can be it.

/** Something to read bytes from. */
export interface Input {
  /** Reads into the buffer: how many bytes, or `null` at the end. */
  read(buffer: Uint8Array): Promise<number | null>;
}

/** A file of input. */
export interface InputFile extends Input {
  /** How long the file is, in bytes as it is on disk. */
  readonly size: number;
  /** How many of those have been read. */
  readonly position: number;
  /** Frees what the file holds. */
  close(): void;
}

/** A file to write to, at once. */
export interface OutputFile {
  /** Writes some of the bytes: how many. */
  writeSync(bytes: Uint8Array): number;
  /** Closes the file. */
  close(): void;
  /** Whether it is the very file that stdin or one of the input files reads. */
  readonly isInput: boolean;
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
  readonly stdout: { write(bytes: Uint8Array): Promise<number> };
  readonly stderr: {
    writeSync(bytes: Uint8Array): number;
    /** Whether it is a terminal, and nobody asked for a plain one. */
    isAnimated(): boolean;
    /** The width of the terminal, in columns. */
    columns(): number;
  };
  /** An environment variable. */
  env(name: string): string | undefined;
  /** Reads a whole file. */
  readTextFile(path: string): Promise<string>;
  /** Opens a file to read, and to decompress if its name ends with `.gz`. */
  openInput(path: string): Promise<InputFile>;
  /** Opens a file to write at its end, and makes it if need be. */
  openAppend(path: string, inputs: readonly string[]): Promise<OutputFile>;
  /** Which of these permissions are not there and cannot be asked for. */
  missing(needs: readonly Need[]): Need[];
  /** Calls back at each stop signal, until the returned function is called. */
  onSignal(callback: (signal: StopSignal) => void): () => void;
  /** Ends the process at once. */
  exit(code: number): void;
}
