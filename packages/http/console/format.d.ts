// The types of what a test uses of format.js.
export function count(value: number): string;
export function shards(present: number, scaling: { wanted: number; followsCpus: boolean } | null | undefined): string;
export function msTick(value: number): string;
