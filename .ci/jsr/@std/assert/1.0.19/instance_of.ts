export { assertInstanceOf } from "./mod.ts";
