// The types of scale.js, for its test.
export function axisTop(high: number | null | undefined, least: number): number;
export function axisTicks(top: number, least: number): number[];
