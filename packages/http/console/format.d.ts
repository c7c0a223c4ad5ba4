// The types of what a test uses of format.js.
export function count(value: number): string;
export function msTick(value: number): string;
