/** Whether a field need not be sent: absent, "", 0, false, no bytes, an empty list or map. A message is never zero. */
export function isZero(value: unknown): boolean {
	if (typeof value !== "object" || value === null) return !value;
	if (value instanceof Uint8Array || Array.isArray(value)) return value.length === 0;
	return value instanceof Map && value.size === 0;
}
