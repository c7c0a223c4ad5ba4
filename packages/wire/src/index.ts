export * from "./bus-record.ts";
export * from "./channel-hash.ts";
export * from "./close-codes.ts";
export * from "./heartbeat.ts";
export * from "./layout-version.ts";
export * from "./publish-result.ts";
export * from "./record-head.ts";
