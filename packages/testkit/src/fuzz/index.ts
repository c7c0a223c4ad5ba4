export * from "./client-frames.ts";
export * from "./frame-cases.ts";
export * from "./frame-exchange.ts";
export * from "./frame-judge.ts";
export * from "./request-judge.ts";
export * from "./requests.ts";
export * from "./runs.ts";
