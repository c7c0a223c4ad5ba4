/** A decoded message with its payloads as text and its maps as objects, for comparisons. */
export function readable(value: unknown, payload: (text: string) => unknown = (text) => text): unknown {
	if (value instanceof Uint8Array) return value.length === 0 ? undefined : payload(Buffer.from(value).toString());
	if (Array.isArray(value)) return value.map((element) => readable(element, payload));
	if (value instanceof Map) return new Map([...value].map(([key, element]) => [key, readable(element, payload)]));
	if (typeof value !== "object" || value === null) return value;
	return Object.fromEntries(Object.entries(value).map(([key, element]) => [key, readable(element, payload)]));
}
