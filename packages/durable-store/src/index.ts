export {
	DurableStore,
	type DurableStoreOptions,
	lateMax,
	type StoredChannel,
	type StoredPublication,
	type StoreOutcome,
	type Storing,
} from "./durable-store.ts";
export { type AcknowledgeOutcome, Positions } from "./positions.ts";
export { StoreError, StoreErrorCode } from "./store-error.ts";
