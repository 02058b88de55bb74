export { assertThrows } from "./mod.ts";
