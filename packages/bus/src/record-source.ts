import type { VisitOrigin } from "./bus-link.ts";

/** Another ring that is read in the same turns as the bus, such as the one that a Kafka worker fills. */
export interface RecordSource {
	/** Visits up to `max` records and returns how many. */
	read(max: number, visit: VisitOrigin): number;
	hasRecords(): boolean;
	/** How full the ring is, from 0 to 1. */
	fill(): number;
	/** Asks to be woken (by `FlushEngine.wake`) when a record comes. False = one is there already. */
	sleep(): boolean;
}

/** What a record source may call on the loop that reads it. */
export interface RecordLoop {
	addSource(source: RecordSource): void;
	removeSource(source: RecordSource): void;
	/** Something was committed to the bus: readers are woken at the end of the turn. */
	committed(): void;
	wake(): void;
}
