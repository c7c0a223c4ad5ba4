/** The part of `total` that falls to one of `parts`: differs by one at most, and none gets smaller when the total grows. */
export function share(total: number, parts: number, part: number): number {
	return Math.floor(total / parts) + (part < total % parts ? 1 : 0);
}
