/** Whether two values of an option are the same. */
export function sameValue(one: unknown, other: unknown): boolean {
	return JSON.stringify(one) === JSON.stringify(other);
}
