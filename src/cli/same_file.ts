// Whether the rejects are the input: then the command would read what it writes, and
// never end.

/** What tells a file from all others. */
export interface FileId {
  readonly dev: number | null;
  readonly ino: number | null;
}

/** Whether both are one and the same file. */
export function isSameFile(a: FileId, b: FileId): boolean {
  return a.ino !== null && a.ino === b.ino && a.dev === b.dev;
}

/**
 * Whether somebody who writes to the pipe that is our stdin reads the file, as in
 * `cat FILE | …`. Only Linux tells, and only with all permissions.
 */
export function isPipedIn(file: FileId): boolean {
  try {
    const pipe = Deno.readLinkSync("/proc/self/fd/0");
    if (!pipe.startsWith("pipe:")) return false;
    for (const { name: pid } of Deno.readDirSync("/proc")) {
      if (!/^\d+$/.test(pid) || Number(pid) === Deno.pid) continue;
      // Whoever has started us may well feed us, and look after the rejects.
      if (Number(pid) === Deno.ppid) continue;
      if (feeds(`/proc/${pid}`, pipe, file)) return true;
    }
  } catch {
    // Then nobody can tell.
  }
  return false;
}

const ACCESS = 0o3;
const READ = 0o0, WRITE = 0o1;

/** Whether a process writes to the pipe and reads the file. */
function feeds(process: string, pipe: string, file: FileId): boolean {
  let writes = false;
  let reads = false;
  try {
    for (const { name: fd } of Deno.readDirSync(`${process}/fd`)) {
      const path = `${process}/fd/${fd}`;
      const access = () => {
        const info = Deno.readTextFileSync(`${process}/fdinfo/${fd}`);
        return parseInt(/^flags:\s*(\d+)/m.exec(info)?.[1] ?? "", 8) & ACCESS;
      };
      const target = Deno.readLinkSync(path);
      if (target === pipe) writes ||= access() === WRITE;
      else if (
        target.startsWith("/") && isSameFile(Deno.statSync(path), file)
      ) {
        reads ||= access() === READ;
      }
    }
  } catch {
    // Another user's process, or one that has just ended.
  }
  return writes && reads;
}
