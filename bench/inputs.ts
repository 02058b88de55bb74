// Lines of metrics in the shapes in which programs write them.

const ZONES = ["eu-1a", "eu-1b", "us-1a", "us-1b"];

type Make = (value: number, nanos: string, zone: string) => string;

/** Each function makes a line of its shape. */
export const SHAPES = {
  "176 bytes, 4 labels": (value, nanos, zone) =>
    `{"name":"http_requests_total","type":"counter","value":${value},"labels":{"method":"GET","path":"/users","code":"200","zone":"${zone}"},"timestamp":"2026-11-23T07:00:00.${nanos}Z"}`,
  "other key order": (value, nanos, zone) =>
    `{"timestamp":"2026-11-23T07:00:00.${nanos}Z","labels":{"method":"GET","path":"/users","code":"200","zone":"${zone}"},"value":${value},"type":"counter","name":"http_requests_total"}`,
  "spaces after : and ,": (value, nanos, zone) =>
    `{"name": "http_requests_total", "type": "counter", "value": ${value}, "labels": {"method": "GET", "path": "/api/users", "status": "200", "zone": "${zone}"}, "timestamp": "2026-11-23T07:00:00.${nanos}Z"}`,
  "escapes": (value, nanos, zone) =>
    `{"name":"http_requests_total","type":"counter","value":${value},"labels":{"method":"GET","path":"\\/api\\/\\"users\\"","code":"200\\u00b0","zone":"${zone}"},"timestamp":"2026-11-23T07:00:00.${nanos}Z"}`,
  "exponents": (value, nanos, zone) =>
    `{"name":"http_requests_total","type":"counter","value":${
      value / 10_000
    }e+3,"labels":{"method":"GET","path":"/users","code":"200","zone":"${zone}"},"timestamp":"2026-11-23T07:00:00.${nanos}Z"}`,
  "no labels": (value, nanos) =>
    `{"name":"http_requests_total","type":"counter","value":${value},"timestamp":"2026-11-23T07:00:00.${nanos}Z"}`,
  "20 labels": (value, nanos, zone) =>
    `{"name":"http_requests_total","type":"counter","value":${value},"labels":{${
      Array.from({ length: 20 }, (_, i) => `"label_${i}":"${zone}-${i}"`)
        .join(",")
    }},"timestamp":"2026-11-23T07:00:00.${nanos}Z"}`,
  "no timestamp": (value, _nanos, zone) =>
    `{"name":"http_requests_total","type":"counter","value":${value},"labels":{"method":"GET","path":"/users","code":"200","zone":"${zone}"}}`,
} satisfies Record<string, Make>;

export type Shape = keyof typeof SHAPES;

/** Line `i` of a shape, without its line feed. */
export function line(shape: Shape, i: number): string {
  const nanos = String(i % 1_000_000_000).padStart(9, "0");
  return SHAPES[shape](10_000 + i % 90_000, nanos, ZONES[i & 3]!);
}

/** Lines `from` to `to`, each with its line feed. */
export function lines(shape: Shape, from: number, to: number): string {
  let text = "";
  for (let i = from; i < to; i++) text += line(shape, i) + "\n";
  return text;
}

/** Writes a file of `n` lines. */
export async function writeLines(
  path: string,
  shape: Shape,
  n: number,
): Promise<void> {
  const encoder = new TextEncoder();
  using file = await Deno.create(path);
  for (let i = 0; i < n; i += 10_000) {
    let bytes = encoder.encode(lines(shape, i, Math.min(n, i + 10_000)));
    while (bytes.length > 0) bytes = bytes.subarray(await file.write(bytes));
  }
}
