// The proxy that Deno's fetch goes through by itself, so that messages can name it.

import { safeUrl } from "../transports/http/target.ts";

/** A proxy for HTTP. */
export interface Proxy {
  /** Its address, without credentials. */
  readonly name: string;
  /** Where that stands, as a shell writes it. */
  readonly variable: string;
}

/** The proxy for requests to `url`, by the variables that Deno reads. */
export function proxyFor(
  url: string,
  env: (name: string) => string | undefined,
): Proxy | undefined {
  const { hostname, protocol } = new URL(url);
  const read = (name: string) => {
    for (const variable of [name, name.toLowerCase()]) {
      const value = env(variable);
      if (value) return { value, variable: `$${variable}` };
    }
    return undefined;
  };
  const { value, variable } = read("ALL_PROXY") ??
    read(protocol === "https:" ? "HTTPS_PROXY" : "HTTP_PROXY") ?? {};
  if (value === undefined || variable === undefined) return undefined;
  const host = hostname.replace(/^\[|\]$/g, "");
  const isExcepted = read("NO_PROXY")?.value.split(",").some((text) =>
    matches(host, text.trim().toLowerCase())
  );
  if (isExcepted) return undefined;
  const address = value.includes("://") ? value : `http://${value}`;
  return { name: safeUrl(address).replace(/\/$/, ""), variable };
}

/** Whether an entry of `NO_PROXY` is about the host: a name, its domain, an IP or a net. */
function matches(host: string, entry: string): boolean {
  if (entry === "" || entry === "*") return entry === "*";
  const [net = "", bits] = entry.split("/");
  if (bits !== undefined) {
    const [a, b] = [ipv4(host), ipv4(net)];
    if (a === undefined || b === undefined) return false;
    const size = 2 ** (32 - Number(bits));
    return Math.floor(a / size) === Math.floor(b / size);
  }
  const name = entry.replace(/^\./, "");
  return host === name || host.endsWith(`.${name}`);
}

function ipv4(text: string): number | undefined {
  if (!/^\d{1,3}(\.\d{1,3}){3}$/.test(text)) return undefined;
  return text.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
}
