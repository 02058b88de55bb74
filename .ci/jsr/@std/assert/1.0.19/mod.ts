// Stands in for jsr:@std/assert@1.0.19 where jsr.io does not answer: the real code, from npm.
// @ts-types="./mod.d.ts"
export * from "npm:deno-std@1.4.0/assert/mod.js";
