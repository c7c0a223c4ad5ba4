const unitBytes: ReadonlyMap<string, number> = new Map([
	["", 1],
	["b", 1],
	["kib", 1024],
	["mib", 1024 ** 2],
	["gib", 1024 ** 3],
	["kb", 1000],
	["mb", 1000 ** 2],
	["gb", 1000 ** 3],
]);

/**
 * "64KiB", "1MiB", "500kB" or "4096" (bytes) in bytes.
 * @throws RangeError whose message completes the sentence `"<text>" …`.
 */
export function parseBytes(text: string): number {
	const match = /^(\d+(?:\.\d+)?)\s*([a-zA-Z]*)$/.exec(text.trim());
	if (match === null) throw new RangeError("is not a size; write 64KiB, 1MiB or a number of bytes");
	const factor = unitBytes.get(match[2].toLowerCase());
	if (factor === undefined) throw new RangeError(`has the unknown unit "${match[2]}"; use B, KiB, MiB, GiB, kB, MB or GB`);
	const bytes = Number(match[1]) * factor;
	if (!Number.isSafeInteger(bytes)) throw new RangeError("is not a whole number of bytes");
	return bytes;
}

/** The shortest spelling that `parseBytes` reads back as the same number. */
export function formatBytes(bytes: number): string {
	for (const [unit, factor] of [
		["GiB", 1024 ** 3],
		["MiB", 1024 ** 2],
		["KiB", 1024],
	] as const) {
		if (bytes !== 0 && bytes % factor === 0) return `${bytes / factor}${unit}`;
	}
	return `${bytes}B`;
}
