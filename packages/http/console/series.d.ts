// The types of what a test uses of series.js.
export class Series {
	readonly messages: readonly number[];
	readonly p50: readonly (number | null)[];
	readonly p99: readonly (number | null)[];
	add(snapshot: unknown): void;
}
