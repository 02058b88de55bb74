export { assertGreater } from "./mod.ts";
