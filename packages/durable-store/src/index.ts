export { EmbeddedStore } from "./embedded/embedded-store.ts";
export { PostgresStore } from "./postgres/postgres-store.ts";
export { type DurableStore, lateMax, type StoredChannel } from "./store.ts";
export { StoreError } from "./store-error.ts";
export type { StoredPublication } from "./stored-record.ts";
