import type { VisitOrigin } from "./bus-link.ts";

/** Another ring read in the same turns as the bus, such as the one that a Kafka worker fills. */
export interface RecordSource {
	/** Visits up to `max` records and returns how many. Ends after the record with which it has visited `bytesMax` bytes. */
	read(max: number, visit: VisitOrigin, bytesMax?: number): number;
	hasRecords(): boolean;
	/** Fill level of the ring, from 0 to 1. */
	fill(): number;
	/** Requests a wake-up (by `FlushEngine.wake`) for the next record. False = there is a record already. */
	sleep(): boolean;
}

/** The loop that reads record sources, as they see it. */
export interface RecordLoop {
	addSource(source: RecordSource): void;
	removeSource(source: RecordSource): void;
	/** Call after a commit to the bus: readers are woken at the end of the turn. */
	committed(): void;
	wake(): void;
}
