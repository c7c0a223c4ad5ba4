/**
 * Reads the form of OTEL_RESOURCE_ATTRIBUTES and OTEL_EXPORTER_OTLP_HEADERS: `key=value,key=value`, with percent-encoded values.
 * @throws RangeError that names the part that is not such a pair. It quotes only the key, since a value may be a secret.
 */
export function keyValueList(text: string): Record<string, string> {
	const found: Record<string, string> = {};
	for (const part of text.split(",")) {
		if (part.trim() === "") continue;
		const equals = part.indexOf("=");
		const key = part.slice(0, Math.max(0, equals)).trim();
		if (key === "") throw new RangeError("has a part that is not of the form key=value");
		try {
			found[key] = decodeURIComponent(part.slice(equals + 1).trim());
		} catch {
			throw new RangeError(`has a value of ${key} with a % that begins no percent-encoded byte; write a percent sign as %25`);
		}
	}
	return found;
}
