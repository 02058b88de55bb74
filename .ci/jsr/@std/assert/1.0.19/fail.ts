export { fail } from "./mod.ts";
