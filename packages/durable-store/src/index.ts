export {
	DurableStore,
	lateMax,
	type StoredChannel,
	type StoredPublication,
	type Storing,
} from "./durable-store.ts";
export { Positions } from "./positions.ts";
export { StoreError, StoreErrorCode } from "./store-error.ts";
