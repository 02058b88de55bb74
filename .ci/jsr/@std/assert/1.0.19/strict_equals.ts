export { assertStrictEquals } from "./mod.ts";
