export * from "./scoreboard-descriptor.ts";
