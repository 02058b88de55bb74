export { assertNotEquals } from "./mod.ts";
