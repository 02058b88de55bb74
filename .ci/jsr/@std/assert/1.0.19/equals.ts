export { assertEquals } from "./mod.ts";
