export type { GuardConfig } from "./guard-rules.ts";
export { GuardWatch, machineMeasures } from "./guard-watch.ts";
