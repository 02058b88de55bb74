// A bar chart as SVG, readable on light and on dark.

import { type BarGroup, fmt } from "./lib.ts";

const WIDTH = 720;
const LABEL = 230;
const VALUE = 80;
const ROW = 24;
const GAP = 28;

/** Draws groups of horizontal bars, one below the other, each to its own scale. */
export function chart(groups: readonly BarGroup[]): string {
  const shapes: string[] = [];
  let y = 0;
  for (const { title, unit, bars } of groups) {
    const max = Math.max(...bars.map((bar) => bar.value));
    y += GAP;
    shapes.push(
      `<text x="0" y="${y}"><tspan class="title">${escape(title)}</tspan> ${
        escape(unit)
      }</text>`,
    );
    y += 10;
    for (const { name, value, ours } of bars) {
      const width = Math.max(2, value / max * (WIDTH - LABEL - VALUE));
      shapes.push(
        `<text x="${LABEL - 8}" y="${y + 16}" text-anchor="end">${
          escape(name)
        }</text>`,
        `<rect x="${LABEL}" y="${y + 3}" width="${width.toFixed(1)}" height="${
          ROW - 6
        }" rx="2"${ours ? ' class="ours"' : ""}/>`,
        `<text x="${(LABEL + width + 8).toFixed(1)}" y="${y + 16}">${
          fmt(value)
        }</text>`,
      );
      y += ROW;
    }
  }
  const height = y + 8;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${
    escape(groups.map((group) => group.title).join("; "))
  }">
<style>
text { font: 13px system-ui, sans-serif; fill: #57606a }
.title { font-weight: 600; fill: #1f2328 }
rect { fill: #afb8c1 }
.ours { fill: #0969da }
@media (prefers-color-scheme: dark) {
text { fill: #9198a1 }
.title { fill: #f0f6fc }
rect { fill: #4b535d }
.ours { fill: #4493f8 }
}
</style>
${shapes.join("\n")}
</svg>
`;
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(
    '"',
    "&quot;",
  );
}
